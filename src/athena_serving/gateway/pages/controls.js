// One input of a form: made from a schema, read as a value.

import { toBase64 } from "./data.js";
import { el, live, said } from "./nodes.js";
import { FileData } from "./samples.js";
import { size } from "./tables.js";
import { own } from "./words.js";

/** What stands in an input cannot be sent, for this reason; a sentence of ours. */
export class Unfit extends Error {}

const ACCEPTED = { image: "image/*", audio: "audio/*", video: "video/*" };
const typesOf = (node) => [node.type ?? []].flat().filter((name) => name !== "null");

/**
 * The control for a value of this schema: `element` (an input with `id`), and `read()`, the value or undefined for none.
 * `read` throws `Unfit`. `start` is what stands there first.
 */
export function controlOf(node, { id, isRequired = false, start = node.default }) {
  const types = typesOf(node);
  if (node.enum || "const" in node) return choice(node.enum ?? [node.const], { id, isRequired, start });
  if (types.includes("boolean")) return checkbox({ id, isRequired, start });
  if (types.includes("integer") || types.includes("number")) return number(node, { id, start });
  if (types.includes("array") || types.includes("object")) return json({ id, start });
  return line({ id, start });
}

function choice(values, { id, isRequired, start }) {
  const shown = values.filter((value) => value !== null);
  const options = shown.map((value, index) => el("option", { value: index, selected: value === start }, String(value)));
  const none = !isRequired && said("not sent", "option", { value: "" });
  const element = el("select", { id }, none, options);
  return { element, read: () => (element.value === "" ? undefined : shown[Number(element.value)]) };
}

/** Not sent as long as nobody has touched it, since no tick and no answer look the same. */
function checkbox({ id, isRequired, start }) {
  const element = el("input", { id, type: "checkbox", checked: start === true });
  let isTouched = isRequired;
  element.addEventListener("change", () => (isTouched = true));
  return { element, read: () => (isTouched ? element.checked : undefined) };
}

/** Bounds are for the arrows; whether a number is right is the server's to say. */
function number(node, { id, start }) {
  const isWhole = !typesOf(node).includes("number");
  const step = node.multipleOf ?? (isWhole ? 1 : "any");
  const element = el("input", { id, type: "number", min: node.minimum, max: node.maximum, step, value: start, inputmode: isWhole ? "numeric" : "decimal" });
  const read = () => {
    if (element.validity.badInput) throw new Unfit("This is not a number.");
    return element.value === "" ? undefined : Number(element.value);
  };
  return { element, read };
}

function line({ id, start }) {
  const element = el("input", { id, type: "text", value: start, autocomplete: "off", spellcheck: "false" });
  return { element, read: () => (element.value === "" ? undefined : element.value) };
}

function json({ id, start }) {
  const value = start === undefined ? "" : JSON.stringify(start, null, 2);
  const element = area(id, value);
  return { element, read: () => (element.value.trim() === "" ? undefined : parsed(element.value)) };
}

function area(id, value) {
  const element = el("textarea", { id, rows: 4, spellcheck: "false" });
  element.value = value;
  return element;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Unfit("This is not JSON.", { cause: error });
  }
}

/** Text that is sent as data; must it be JSON? */
export function textControl({ id, start = "", isJson }) {
  const element = area(id, start);
  const read = () => {
    if (element.value === "") return undefined;
    if (isJson()) parsed(element.value);
    return toBase64(new TextEncoder().encode(element.value));
  };
  return { element, read };
}

// ── files ───────────────────────────────────────────────────────────────────────────────────────────

/** A place to drop a file, or to choose one; shows what was chosen. `file()` is that file, `onChoice` hears of it. */
export function fileControl({ id, kind, onChoice }) {
  const element = el("input", { id, type: "file", accept: ACCEPTED[kind] });
  const preview = el("div", { class: "preview" });
  const remove = said("Remove", "button", { type: "button", class: "tool", hidden: true });
  const drop = el("label", { class: "drop", for: id }, said("Drop a file here, or choose one"), element);
  let chosen = null;
  const choose = (file) => {
    chosen = file;
    showPreview(preview, file, kind);
    remove.hidden = file === null;
    drop.classList.toggle("is-small", file !== null);
    onChoice(file);
  };
  element.addEventListener("change", () => element.files.length && choose(element.files[0]));
  remove.addEventListener("click", () => {
    element.value = "";
    choose(null);
    element.focus();
  });
  acceptDrops(drop, choose);
  const read = () => (chosen === null ? undefined : new FileData(chosen.name, chosen));
  return { element, whole: el("div", { class: "file" }, drop, preview, remove), read, file: () => chosen };
}

function acceptDrops(drop, choose) {
  const mark = (isOver) => (event) => {
    event.preventDefault();
    drop.classList.toggle("is-over", isOver);
  };
  drop.addEventListener("dragover", mark(true));
  drop.addEventListener("dragleave", mark(false));
  drop.addEventListener("drop", (event) => {
    mark(false)(event);
    if (event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });
}

function showPreview(preview, file, kind) {
  const old = preview.querySelector("[src]");
  if (old) URL.revokeObjectURL(old.src);
  preview.replaceChildren(...(file === null ? [] : [viewer(file, kind), about(file)]).filter(Boolean));
}

/** The file as one sees or hears it; what the browser cannot show is left out. */
export function viewer(blob, kind) {
  const tag = { image: "img", audio: "audio", video: "video" }[kind];
  if (!tag || blob.size === 0) return null;
  const element = el(tag, { src: URL.createObjectURL(blob), ...(tag === "img" ? { alt: blob.name ?? "" } : { controls: true }) });
  element.addEventListener("error", () => element.remove());
  return element;
}

const about = (file) => el("p", { class: "hint" }, el("b", {}, file.name), " · ", live(el("span"), () => size(file.size)));
