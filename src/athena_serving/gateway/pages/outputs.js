// Outputs of a stream, growing piece by piece: words, sound that is heard as it comes, pictures, other bytes.

import { viewer } from "./controls.js";
import { fileName, isRaw, soundOf, wavOf } from "./data.js";
import { code, el, live, redraw, said } from "./nodes.js";
import { Player } from "./player.js";
import { size } from "./tables.js";
import { own } from "./words.js";

const MOST = 500; // paragraphs that stay: more would only make the page slow
const LONGEST = 100_000; // characters of a text that stay
const PICTURES = 24; // that stay
const TICK = 100; // milliseconds between two looks at how much was heard

/** The output of this name, made for its first piece: `element`, `add(data)` (data.js), `end()`, `close()`. */
export function outputOf(key, data) {
  if (data.json !== undefined || data.text !== undefined) return new Words(key);
  if (data.kind === "audio") return new Sound(key, data);
  return data.blob?.type.startsWith("image/") ? new Pictures(key) : new Bytes(key);
}

class Output {
  constructor(key) {
    this.key = key;
    this.save = el("span", { class: "save" });
    this.body = el("div", { class: "pieces" });
    const title = el("h4", {}, said("Output"), " ", code(key), " ", this.save);
    this.element = el("div", { class: "output", "data-output": key }, title, this.body);
  }

  /** Offer a file of all pieces. */
  keep(blob, name) {
    this.save.replaceChildren(el("a", { class: "copy", download: name, href: URL.createObjectURL(blob) }, said("Save")));
  }

  end() {}
  close() {}
}

/** Text is appended. `{text, final}` is a line, written anew until it is final; other JSON is a paragraph each. */
class Words extends Output {
  constructor(key) {
    super(key);
    this.body.setAttribute("role", "log");
    this.body.setAttribute("aria-label", key);
    this.open = null; // the paragraph that still grows
    this.all = [];
    this.coming = []; // pieces that are not shown yet
  }

  /** Shown once the screen is drawn again, with all that have come until then: many small pieces must not be many layouts. */
  add(data) {
    if (this.coming.push(data) === 1) requestAnimationFrame(() => this.show());
  }

  show() {
    if (!this.coming.length) return;
    const isText = this.coming.every(({ json, text }) => json === undefined && text !== undefined);
    if (isText) this.append(this.coming.map(({ text }) => text).join(""));
    else this.coming.forEach((one) => this.put(one));
    this.coming = [];
    this.body.scrollTop = this.body.scrollHeight;
  }

  put({ json, text }) {
    const isLine = typeof json?.text === "string" && typeof json.final === "boolean";
    if (isLine) this.line(json);
    else if (text !== undefined) this.append(text);
    else {
      const words = JSON.stringify(json, null, 2);
      this.paragraph("is-json").textContent = words;
      this.all.push(`${words}\n`);
    }
  }

  line({ text, final }) {
    const line = this.open ?? this.paragraph("is-line");
    line.textContent = text;
    line.classList.toggle("is-open", !final);
    this.open = final ? null : line;
    if (final) this.all.push(`${text}\n`);
  }

  append(text) {
    this.open ??= this.paragraph("is-text");
    this.open.textContent = (this.open.textContent + text).slice(-LONGEST);
    this.all.push(text);
  }

  paragraph(kind) {
    const one = el("p", { class: `piece ${kind}` });
    this.body.append(one);
    if (this.body.childElementCount > MOST) this.body.firstChild.remove();
    return one;
  }

  end() {
    this.show();
    if (this.all.length) this.keep(new Blob(this.all, { type: "text/plain" }), `${this.key}.txt`);
  }
}

class Sound extends Output {
  constructor(key, { bytes, attributes }) {
    super(key);
    this.attributes = attributes;
    this.pieces = [];
    this.player = isRaw(bytes, attributes) ? playerOf(attributes) : null;
    this.isOver = false;
    if (this.player) this.body.append(...this.desk());
  }

  /** What shows that something is heard: seconds and a bar; and the button that stops it for a while. */
  desk() {
    this.bar = el("span", { class: "heard" });
    const button = live(el("button", { type: "button", class: "tool" }), () => own(this.player.isSilent ? "Play" : "Pause"));
    button.addEventListener("click", () => this.player.toggle());
    this.player.context.addEventListener("statechange", () => redraw(button));
    this.times = live(el("span", { class: "times" }), () => [
      own("played"), " ", el("b", {}, seconds(this.player.played)), " ", own("out of"), " ", el("b", {}, seconds(this.player.received))]);
    this.timer = setInterval(() => this.look(), TICK);
    return [el("div", { class: "desk" }, el("span", { class: "waves", "aria-hidden": "true" }, [1, 2, 3, 4].map(() => el("i"))), button,
      el("span", { class: "track", "aria-hidden": "true" }, this.bar), this.times)];
  }

  look() {
    const { played, received, isSilent } = this.player;
    const isHeard = !isSilent && played < received;
    this.element.classList.toggle("is-heard", isHeard);
    this.element.dataset.played = played.toFixed(3);
    this.element.dataset.received = received.toFixed(3);
    this.bar.style.width = `${received ? (played / received) * 100 : 0}%`;
    redraw(this.times);
    if (this.isOver && played >= received) clearInterval(this.timer);
  }

  add({ bytes }) {
    this.pieces.push(bytes);
    this.player?.add(bytes);
  }

  /** All is there: it can be saved, and heard once more. */
  end() {
    this.isOver = true;
    const blob = this.player ? wavOf(this.pieces, this.attributes) : new Blob(this.pieces, { type: `audio/${this.attributes.encoding ?? ""}` });
    this.keep(blob, this.player ? `${this.key}.wav` : fileName(this.key, { kind: "audio", blob }));
    this.body.append(viewer(blob, "audio"));
  }

  close() {
    clearInterval(this.timer);
    this.player?.close();
    this.element.classList.remove("is-heard");
  }
}

/** Null where the browser cannot play such samples while they come. */
function playerOf(attributes) {
  try {
    return new Player(soundOf(attributes));
  } catch {
    return null;
  }
}

const seconds = (value) => `${value.toFixed(1)} s`;

class Pictures extends Output {
  add({ blob }) {
    const picture = viewer(blob, "image");
    this.body.append(picture);
    this.keep(blob, fileName(this.key, { kind: "image", blob }));
    if (this.body.childElementCount <= PICTURES) return;
    URL.revokeObjectURL(this.body.firstChild.src);
    this.body.firstChild.remove();
  }
}

/** What cannot be shown is counted. */
class Bytes extends Output {
  constructor(key) {
    super(key);
    this.pieces = [];
    this.length = 0;
    this.count = live(el("p", { class: "none" }), () => size(this.length));
    this.body.append(this.count);
  }

  add({ bytes, blob }) {
    this.pieces.push(bytes);
    this.length += bytes.length;
    this.first ??= blob;
    redraw(this.count);
  }

  end() {
    this.keep(new Blob(this.pieces), fileName(this.key, { kind: "other", blob: this.first }));
  }
}
