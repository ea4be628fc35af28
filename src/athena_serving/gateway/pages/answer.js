// What came back of a call: outputs, or errors, and where the time went.

import { codeBox } from "./codes.js";
import { viewer } from "./controls.js";
import { dataOf, fileName } from "./data.js";
import { chip, code, el, live, said } from "./nodes.js";
import { pictureWith } from "./picture.js";
import { grid, row, size } from "./tables.js";
import { timingBar, took } from "./timing.js";

const LONGEST = 200_000; // characters of an answer that are shown; more would only make the page slow

/**
 * The elements of an answer. `response` has status and headers, `text` is its body, `elapsed` the milliseconds until it
 * was there; `pictures` are the files that were sent; `rest` are errors that belong to no field of the form.
 */
export async function answerParts({ response, text, elapsed, pictures, rest }) {
  const body = parsed(text);
  const { code: number, message, sid } = body?.header ?? {};
  const isGood = response.ok && number === 0;
  const head = headLine(response.status, { number, isGood, sid, elapsed });
  const timing = timingBar(response.headers.get("server-timing"), elapsed);
  if (!isGood) return [head, problem({ number, message: message ?? body?.message ?? text, rest, response }), timing, rawPart(text)];
  const outputs = await Promise.all(Object.entries(body.payload ?? {}).map(async ([key, one]) => [key, await dataOf(one)]));
  const values = outputs.map(([, { json }]) => json).filter((json) => json !== undefined);
  const drawings = await Promise.all(pictures.map((one) => pictureWith(one, values)));
  return [head, timing, drawings, tableOf(outputs), outputs.map(outputPart), rawPart(text)].flat(Infinity);
}

/** A body's errors, [{pointer, message}]. */
export const errorsOf = (text) => parsed(text)?.header?.errors ?? [];

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // somebody between the server and us has answered
  }
}

function headLine(status, { number, isGood, sid, elapsed }) {
  const badge = el("span", { class: isGood ? "badge good" : "badge bad" }, `HTTP ${status}`);
  const words = number !== undefined && el("span", {}, said("Code"), ` ${number}`);
  return el("p", { class: "outcome" }, badge, words, took(elapsed), sid && el("code", { class: "sid" }, sid));
}

function problem({ number, message, rest, response }) {
  const again = response.headers.get("retry-after");
  const lines = rest.map(({ pointer, message: words }) => el("li", {}, code(pointer || "/"), " ", words));
  return el("div", { class: "problem", role: "alert" },
    el("p", {}, number !== undefined && el("b", {}, `${number} `), message),
    lines.length > 0 && el("ul", {}, lines),
    again && el("p", {}, said("may be tried again"), ` (${again} s)`));
}

// ── outputs ───────────────────────────────────────────────────────────────────────────────────────

function tableOf(outputs) {
  const rows = outputs.map(([key, { kind, attributes, bytes }]) => {
    const said = Object.entries(attributes).map(([name, value]) => [`${name} `, chip(value), " "]);
    return row(code(key), kind, live(el("span"), () => size(bytes.length)), said);
  });
  return rows.length > 0 && grid(["Output", "Type", "Size", "Attributes"], rows);
}

function outputPart([key, data]) {
  const save = el("a", { class: "copy", download: fileName(key, data), href: URL.createObjectURL(data.blob ?? new Blob([data.bytes])) }, said("Save"));
  const title = el("h4", {}, said("Output"), " ", code(key), " ", save);
  const shown = (data.blob && data.blob.type && viewer(data.blob, data.blob.type.split("/")[0])) || textOf(data);
  return el("div", { class: "output", "data-output": key }, title, shown);
}

function textOf({ json, text, bytes }) {
  if (json !== undefined) return codeBox(() => cut(JSON.stringify(json, null, 2)))[0];
  if (text === undefined) return el("p", { class: "none" }, live(el("span"), () => size(bytes.length)));
  return text === "" ? said("Nothing: the text is empty.", "p", { class: "none" }) : codeBox(() => cut(text), "")[0];
}

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}\n…` : text);

/** The body as it came. */
function rawPart(text) {
  const content = el("pre", { tabindex: "0" }, el("code", {}, cut(text)));
  return el("details", {}, said("The answer as it came", "summary"), el("div", { class: "code" }, content));
}
