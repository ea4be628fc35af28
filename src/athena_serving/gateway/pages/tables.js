// Schemas as tables: name, type, values, default.

import { chip, code, el, said } from "./nodes.js";
import { maybe, own } from "./words.js";

/** The members of an object schema: a row each, members of members too. `first` are names to begin with. */
export function members(schema, { first = [], marks = {}, skip = () => false } = {}) {
  const all = Object.entries(schema.properties ?? {}).filter(([name, node]) => !skip(name, node));
  const rank = ([name]) => (first.includes(name) ? first.indexOf(name) : first.length);
  const sorted = all.toSorted((one, other) => rank(one) - rank(other));
  const rows = sorted.flatMap(([name, node]) => rowsOf(name, node, schema, marks));
  return table(rows);
}

function table(rows) {
  const hasDefaults = rows.some((row) => row.fallback !== undefined);
  const heads = ["Name", "Type", "Values", ...(hasDefaults ? ["Default"] : [])];
  const body = rows.map(({ name, mark, node, words, fallback }) => {
    const first = [code(name), mark && el("span", { class: "mark" }, own(mark)), words && el("p", {}, maybe(words))];
    const cells = [el("th", { scope: "row" }, first), el("td", { class: "type" }, typeOf(node)), el("td", {}, valuesOf(node))];
    return el("tr", {}, cells, hasDefaults && el("td", {}, fallback === undefined ? "" : chip(fallback)));
  });
  return grid(heads, body);
}

/** A table with these heads; it scrolls by itself where the window is narrow. */
export function grid(heads, rows) {
  const head = el("tr", {}, heads.map((one) => said(one, "th", { scope: "col" })));
  return el("div", { class: "table" }, el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
}

/** A row of plain cells. */
export const row = (...cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)));

function rowsOf(name, node, parent, marks) {
  const isRequired = (parent.required ?? []).includes(name);
  const mark = Object.hasOwn(marks, name) ? marks[name] : isRequired && "required";
  const words = [node.title, node.description].filter((text) => text && text !== name).join(" · ");
  const first = { name, mark, node, words, fallback: node.default };
  const inside = node.items?.properties ? node.items : node;
  const prefix = inside === node ? `${name}.` : `${name}[].`;
  const below = Object.entries(inside.properties ?? {});
  const deeper = below.flatMap(([key, child]) => rowsOf(key, child, inside, {}));
  return [first, ...deeper.map((one) => ({ ...one, name: prefix + one.name }))];
}

const typesOf = (node) => [node.type ?? []].flat().filter((name) => name !== "null");

function typeOf(node) {
  if (node.contentEncoding) return node.contentEncoding;
  const types = typesOf(node);
  if ("const" in node && !types.length) return typeof node.const;
  if (types.includes("array") && typesOf(node.items ?? {}).length) return `array ${own("of")} ${typeOf(node.items)}`;
  return types.join(` ${own("or")} `) || node.$ref?.split("/").at(-1) || own("any");
}

/** What a value may be, as chips and ranges. */
export function valuesOf(node) {
  const parts = [];
  const chips = (values) => values.filter((value) => value !== null).map(chip);
  if ("const" in node) parts.push(...chips([node.const]));
  if (node.enum) parts.push(...chips(node.enum));
  else if (node.examples) parts.push(`${own("usually")} `, ...chips(node.examples));
  parts.push(range(node.minimum, node.maximum), open(node.exclusiveMinimum, node.exclusiveMaximum));
  const isText = !typesOf(node).length || typesOf(node).includes("string");
  if (isText) parts.push(range(node.minLength, node.maxLength, size));
  parts.push(range(node.minItems, node.maxItems, (count) => `${count} ${own("items")}`));
  if (node.multipleOf !== undefined) parts.push(`${own("multiple of")} ${node.multipleOf}`);
  if (node.format) parts.push(code(node.format, "chip"));
  if (node.pattern && !node.contentEncoding) parts.push(`${own("matches")} `, code(node.pattern, "chip"));
  if (node.items && typesOf(node).includes("array")) parts.push(...valuesOf(node.items));
  const shown = parts.filter(Boolean);
  return shown.map((part, index) => [part, isWords(part) && isWords(shown[index + 1]) ? ", " : " "]);
}

// Words that end a statement; those before a chip end with a blank.
const isWords = (part) => typeof part === "string" && !part.endsWith(" ");

function range(least, most, write = String) {
  if (least === undefined && most === undefined) return "";
  if (least === undefined) return `≤ ${write(most)}`;
  if (most === undefined) return `≥ ${write(least)}`;
  return least === most ? `= ${write(most)}` : `${least} … ${write(most)}`;
}

function open(least, most) {
  return [least !== undefined && `> ${least}`, most !== undefined && `< ${most}`].filter(Boolean).join(", ");
}

/** A length. Lengths count bytes, whatever JSON Schema thinks. */
export function size(bytes) {
  for (const [unit, factor] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor} ${unit}`;
  }
  return `${bytes} ${own(bytes === 1 ? "byte" : "bytes")}`;
}
