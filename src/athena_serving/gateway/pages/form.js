// The form of one service, made from the schema of its request: what is in it becomes a request, and what the server
// finds wrong with the request is shown at the place it came from.

import { dataKeyOf, headerOf, membersOf, requestExample, requestOf, waysOf, wishOf, wishesOf } from "./api.js";
import { Unfit, controlOf, fileControl, textControl } from "./controls.js";
import { code, el, live, redraw, said } from "./nodes.js";
import { FileData } from "./samples.js";
import { soundControl } from "./sounds.js";
import { valuesOf } from "./tables.js";
import { maybe, own } from "./words.js";

let count = 0; // of fields on the page, for their ids

/** One place of the request with its control, and a line for what is wrong with it. */
class Field {
  constructor(path, control, { node = {}, isRequired = false, isWide = false } = {}) {
    this.path = path;
    this.control = control;
    const id = control.element.id;
    this.wrong = el("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
    const hint = hintOf(node, path.at(-1), `${id}-hint`);
    control.element.setAttribute("aria-describedby", [`${id}-wrong`, hint && hint.id].filter(Boolean).join(" "));
    if (isRequired) control.element.setAttribute("aria-required", "true");
    const label = el("label", { for: id }, code(path.at(-1)), isRequired && said("required", "span", { class: "mark" }));
    const isTick = control.element.type === "checkbox";
    const parts = isTick ? [el("div", { class: "tick" }, control.element, label)] : [label, control.whole ?? control.element];
    const isOnce = path.at(-1) === "status" && path[0] !== "parameter"; // in a stream each frame has its own
    const kinds = ["field", isWide && "wide", isOnce && "once-only"].filter(Boolean);
    this.element = el("div", { class: kinds.join(" ") }, parts, this.wrong, hint);
  }

  get pointer() {
    return this.path.map((step) => `/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  }

  /** Show what is wrong; undefined for nothing. */
  mark(draw) {
    const { element } = this.control;
    this.wrong.hidden = draw === undefined;
    if (draw === undefined) return element.removeAttribute("aria-invalid");
    live(this.wrong, draw);
    element.setAttribute("aria-invalid", "true");
    for (let one = this.element.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
  }
}

/** What the author says of it, and what it may be; nothing that the control or the label shows anyway. */
function hintOf(node, name, id) {
  const title = node.title?.toLowerCase() === name.toLowerCase() ? undefined : node.title;
  const rule = node.enum ? {} : { ...node, examples: undefined };
  const draw = () => {
    const words = [title, node.description && maybe(node.description)].filter(Boolean).join(" · ");
    return [words, words && " ", valuesOf(rule)];
  };
  const hint = live(el("p", { class: "hint", id }), draw);
  return hint.textContent.trim() ? hint : null;
}

// ── the request ───────────────────────────────────────────────────────────────────────────────────

/** The form; `request`, `mark`, `clear`, `settle` and `pictures` are what others need of it. `isStream`: its mode. */
export class Form {
  constructor({ name, operation }) {
    this.fields = [];
    this.operation = operation;
    this.example = requestExample(operation) ?? {};
    this.ways = waysOf(operation);
    this.isStream = this.ways.hasStream;
    this.isBusy = false;
    this.button = live(el("button", { type: "submit", class: "call" }), () => own(this.verb()));
    this.element = el("form", { class: "form", novalidate: true, "aria-label": name },
      this.modes(), this.inputs(), this.parameters(), this.header(), this.wishes(),
      el("div", { class: "actions" }, this.button, el("kbd", {}, "Ctrl ⏎")));
    this.element.classList.toggle("is-stream", this.isStream);
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.element.requestSubmit();
    });
  }

  verb() {
    if (this.isStream) return this.isBusy ? "Stop" : "Start";
    return this.isBusy ? "Cancel" : "Call";
  }

  /** While a call is on its way, the button ends it. */
  busy(isBusy) {
    this.isBusy = isBusy;
    this.element.classList.toggle("is-busy", isBusy);
    redraw(this.button);
  }

  /** The request as it stands in the form, and the fields whose content cannot be sent. */
  request() {
    const parts = {};
    const unfit = [];
    for (const field of this.fields) {
      try {
        put(parts, field.path, field.control.read());
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
        unfit.push([field, error.message]);
      }
    }
    const { header, parameter, payload } = parts;
    return { request: { header, ...(parameter && { parameter }), ...(payload && { payload }) }, unfit };
  }

  /** Show the server's verdict, [{pointer, message}]; returns what belongs to no field. */
  mark(errors) {
    const rest = [];
    for (const { pointer, message } of errors) {
      const field = this.at(pointer);
      if (field) field.mark(() => message);
      else rest.push({ pointer, message });
    }
    this.fields.find((one) => !one.wrong.hidden)?.control.element.focus();
    return rest;
  }

  /** The field at the place; a value inside a field is that field's. */
  at(pointer) {
    return this.fields.find((one) => pointer === one.pointer || pointer.startsWith(`${one.pointer}/`));
  }

  clear() {
    this.fields.forEach((one) => one.mark(undefined));
  }

  /** The call is over: whatever was only for it goes. */
  settle() {
    this.fields.forEach(({ control }) => control.settle?.());
  }

  /** The pictures that are sent. */
  pictures() {
    return this.fields.filter(({ control, path }) => path.at(-1) === "image" && control.file?.()).map((one) => one.control.file());
  }

  // ── its parts ─────────────────────────────────────────────────────────────────────────────────────

  /** The choice between a stream and one answer, where there is one. */
  modes() {
    if (!this.ways.hasStream || !this.ways.hasOnce) return null;
    const name = nextId();
    const choice = (words, isStream) => {
      const input = el("input", { type: "radio", name, id: nextId(), checked: isStream });
      input.addEventListener("change", () => {
        this.isStream = isStream;
        this.element.classList.toggle("is-stream", isStream);
        redraw(this.button);
      });
      return [input, said(words, "label", { for: input.id })];
    };
    return el("fieldset", { class: "modes" }, said("Mode", "legend"), choice("Stream", true), choice("One answer", false));
  }

  add(field) {
    this.fields.push(field);
    return field.element;
  }

  /** Fields for the members of an object, those of objects inside too. */
  members(block, path, { skip = () => false, start = {} } = {}) {
    return membersOf(block).filter(([name, node]) => !skip(name, node)).map(([name, node]) => {
      const isRequired = (block.required ?? []).includes(name);
      const below = [...path, name];
      if (node.properties) return group(code(below.slice(2).join(".")), this.members(node, below, { start: start[name] }));
      const control = controlOf(node, { id: nextId(), isRequired, start: isRequired ? start[name] : node.default });
      return this.add(new Field(below, control, { node, isRequired }));
    });
  }

  inputs() {
    const blocks = membersOf(requestOf(this.operation).properties?.payload);
    return blocks.map(([key, block]) => group([said("Input"), " ", code(key)], this.input(key, block)));
  }

  input(key, block) {
    const kind = dataKeyOf(block);
    const path = ["payload", key];
    const attributes = this.members(block, path, { skip: (name) => name === kind });
    const encoding = this.at(`/payload/${key}/encoding`)?.control.element;
    const format = this.at(`/payload/${key}/format`)?.control;
    const onChoice = (file) => encoding && !this.isStream && chooseByName(encoding, file);
    const control = this.dataControl(kind, { key, format, onChoice });
    const isRequired = (block.required ?? []).includes(kind);
    const field = kind && this.add(new Field([...path, kind], control, { isRequired, isWide: true }));
    return [field, attributes.length > 0 && folded([said("Attributes"), " ", code(key)], attributes)];
  }

  dataControl(kind, { key, format, onChoice }) {
    const id = nextId();
    const isJson = () => format?.read() === "json";
    if (kind === "text") return textControl({ id, start: isJson() ? "" : this.text(key), isJson });
    if (kind === "audio" && this.ways.hasStream) return soundControl({ id, onChoice, onRecord: () => this.element.requestSubmit() });
    return fileControl({ id, kind, onChoice });
  }

  /** The text of the example, so that a first call needs no more than a click. */
  text(key) {
    const sample = this.example.payload?.[key]?.text;
    return sample === undefined ? "" : new TextDecoder().decode(Uint8Array.from(atob(sample), (one) => one.charCodeAt(0)));
  }

  parameters() {
    const isWish = wishOf(this.operation);
    return membersOf(requestOf(this.operation).properties?.parameter).map(([key, block]) => {
      const fields = this.members(block, ["parameter", key], { skip: isWish, start: this.example.parameter?.[key] });
      return fields.length > 0 && group(said("Parameters"), fields);
    });
  }

  header() {
    const { header, names, ways, isFirst } = headerOf(this.operation);
    const start = this.example.header ?? {};
    const isShown = (name) => name === ways[0] || (isFirst(name) && !ways.includes(name));
    const needed = { ...header, required: [...(header.required ?? []), ...ways.slice(0, 1)] };
    const first = this.members(needed, ["header"], { start, skip: (name) => !isShown(name) });
    const rest = this.members(header, ["header"], { skip: isShown });
    const count = names.filter((name) => !isShown(name)).length;
    return group(said("Header"), first, rest.length > 0 && folded(live(el("span"), () => `${count} ${own("more fields")}`), rest));
  }

  wishes() {
    return wishesOf(this.operation).map(({ path, node }) =>
      folded([said("What you may ask of output"), " ", code(path.at(-1))], this.members(withoutDefaults(node), path)));
  }
}

const nextId = () => `field-${++count}`;
const group = (title, ...content) => el("fieldset", {}, el("legend", {}, title), el("div", { class: "fields" }, content));
const folded = (title, content) => el("details", {}, el("summary", {}, title), el("div", { class: "fields" }, content));

/** Wishes have defaults that the server fills in; sent, they would only hide the one that was meant. */
function withoutDefaults(node) {
  const members = membersOf(node).map(([name, one]) => [name, { ...one, default: undefined }]);
  return { ...node, properties: Object.fromEntries(members) };
}

function put(request, path, value) {
  if (value === undefined) return;
  const last = path.length - 1;
  path.slice(0, last).reduce((node, step) => (node[step] ??= {}), request)[path[last]] = value;
}

/** picture.png says its encoding. */
function chooseByName(select, file) {
  const ending = file?.name.split(".").at(-1).toLowerCase();
  const option = [...select.options ?? []].find((one) => one.value !== "" && one.textContent === ending);
  if (option) select.value = option.value;
}

// ── on its way ────────────────────────────────────────────────────────────────────────────────────

/** The request with the content of its files, in base64. */
export async function filled(value) {
  if (value instanceof FileData) return base64(value.blob);
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value;
  const members = Object.entries(value).map(async ([key, one]) => [key, await filled(one)]);
  return Object.fromEntries(await Promise.all(members));
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
