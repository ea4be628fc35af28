// A session as one sees it: its state in a line, what goes wrong, and its outputs.

import { dataOf } from "./data.js";
import { code, el, live, redraw, said } from "./nodes.js";
import { outputOf } from "./outputs.js";
import { milliseconds } from "./timing.js";
import { own } from "./words.js";

const LINES = 200; // answers that are shown as they came, the last ones
const LONGEST = 500; // characters of each

/** Made when a session begins; `usual` are each output's attributes where an answer has none. */
export class StreamView {
  constructor(usual) {
    this.usual = usual;
    this.outputs = new Map();
    this.began = performance.now();
    Object.assign(this, { out: 0, in: 0, first: null, took: null, sid: "", kind: "", words: "connecting", lines: [] });
    this.line = live(el("p", { class: "outcome" }), () => this.draw());
    this.trouble = el("div");
    this.shown = el("div", { class: "outputs" });
    this.element = el("div", { class: "stream" }, this.line, this.trouble, this.shown, this.raw());
  }

  /** What is said of it in a word, in the reader's language. */
  get state() {
    return this.header ? `${own(this.words)} ${this.header.code ?? ""}` : own(this.words);
  }

  draw() {
    const count = (words, number) => el("span", {}, said(words), " ", el("b", {}, String(number)));
    return [
      el("span", { class: `badge ${this.kind}` }, this.state),
      count("sent", this.out), count("received", this.in),
      this.first !== null && el("span", {}, said("first after"), " ", el("b", {}, milliseconds(this.first))),
      this.took !== null && el("span", { class: "took" }, own("in"), ` ${milliseconds(this.took)}`),
      this.sid && el("code", { class: "sid" }, this.sid),
    ];
  }

  /** Draw the line again, once for all that happens until the screen shows it. */
  refresh() {
    this.coming ??= requestAnimationFrame(() => {
      this.coming = undefined;
      redraw(this.line);
    });
  }

  open() {
    [this.words, this.kind] = ["streaming", "busy"];
    this.refresh();
  }

  sent() {
    if (this.out === 0) this.began = performance.now();
    this.out += 1;
    this.refresh();
  }

  /** One answer. What has no data is only an acknowledgement, or the end. */
  async step({ header, payload, ...rest }) {
    this.sid = header.sid ?? this.sid;
    this.note({ header, payload, ...rest });
    for (const [key, output] of Object.entries(payload ?? {})) {
      const data = await dataOf(output, this.usual[key]);
      if (data.bytes.length === 0) continue;
      this.first ??= performance.now() - this.began;
      this.in += 1;
      this.outputFor(key, data).add(data);
    }
    this.refresh();
  }

  outputFor(key, data) {
    if (!this.outputs.has(key)) {
      const output = outputOf(key, data);
      this.outputs.set(key, output);
      this.shown.append(output.element);
    }
    return this.outputs.get(key);
  }

  /** It is over, in the way that session.js says; `rest` are errors that belong to no field of the form. */
  end(end, rest) {
    const [words, kind] = { done: ["done", "good"], stopped: ["stopped", ""], refused: ["refused", "bad"], closed: ["closed", "bad"] }[end.kind];
    const wasOpen = this.words !== "connecting";
    Object.assign(this, { words, kind, took: performance.now() - this.began, header: end.header });
    this.sid = end.header?.sid ?? this.sid;
    this.outputs.forEach((one) => one.end());
    if (end.kind === "stopped") this.close();
    if (kind === "bad") this.trouble.replaceWith(problem(end, rest, wasOpen));
    if (kind === "good" && !this.outputs.size) this.shown.append(said("Nothing came but the end.", "p", { class: "none" }));
    redraw(this.line);
  }

  /** Be quiet. */
  close() {
    this.outputs.forEach((one) => one.close());
  }

  // ── as it came ──────────────────────────────────────────────────────────────────────────────────

  raw() {
    this.text = live(el("code"), () => this.lines.join("\n"));
    this.fold = el("details", {}, said("The answers as they came", "summary"), el("div", { class: "code" }, el("pre", { tabindex: "0" }, this.text)));
    this.fold.addEventListener("toggle", () => redraw(this.text));
    return this.fold;
  }

  note(answer) {
    const line = JSON.stringify(answer);
    this.lines.push(line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line);
    if (this.lines.length > LINES) this.lines.shift();
    if (this.fold.open) redraw(this.text);
  }
}

function problem({ header, code: number, reason }, rest, wasOpen) {
  const lines = rest.map(({ pointer, message }) => el("li", {}, code(pointer || "/"), " ", message));
  const closed = wasOpen ? "The connection was closed before the end:" : "The connection could not be opened:";
  const words = header
    ? [header.code !== undefined && el("b", {}, `${header.code} `), header.message]
    : [said(closed), ` ${number}`];
  return el("div", { class: "problem", role: "alert" },
    el("p", {}, words),
    lines.length > 0 && el("ul", {}, lines),
    reason && reason !== header?.message && el("p", {}, said("closed with"), ` ${reason}`));
}
