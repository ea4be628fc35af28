// A request as code to copy. A file in it stays a file: the code reads it from where it runs.

export const LANGUAGES = { curl, Python: python, JavaScript: javascript };

/** Data of a request that come from a file. */
export class FileData {
  constructor(name, blob) {
    this.name = name;
    this.blob = blob;
  }
}

export const hasFiles = (value) =>
  value instanceof FileData || (value !== null && typeof value === "object" && Object.values(value).some(hasFiles));

/** A value as a language writes it; `end` follows the last member of a list as well, where the language has it so. */
export function written(value, { step, end = "", words = {}, text = JSON.stringify, file }, indent = "") {
  if (value instanceof FileData) return file(value);
  if (typeof value === "string") return text(value);
  if (value === null || typeof value !== "object") return words[value] ?? String(value);
  const inner = indent + step;
  const one = (item) => written(item, { step, end, words, text, file }, inner);
  const isList = Array.isArray(value);
  const parts = isList ? value.map(one) : Object.entries(value).map(([key, item]) => `${text(key)}: ${one(item)}`);
  const [open, close] = isList ? "[]" : "{}";
  if (!parts.length) return open + close;
  return `${open}\n${parts.map((part) => inner + part).join(",\n")}${end}\n${indent}${close}`;
}

/** `flags` are curl's own; `accept` is one more header. */
export function curl(url, request, flags = "", accept = "") {
  const more = accept && ` \\\n  -H '${accept}'`;
  const head = `curl ${flags && `${flags} `}${shell(url)}${more} \\\n  -H 'Content-Type: application/json' \\\n  -d`;
  if (!hasFiles(request)) return `${head} '${written(request, { step: "  " }).replaceAll("'", "'\\''")}'`;
  // Between the two marks the shell looks into the text, for the file's sake; it shall find nothing else there.
  const text = (words) => JSON.stringify(words).replace(/[\\$`]/g, "\\$&");
  const file = ({ name }) => `"$(base64 < ${shell(name)} | tr -d '\\n')"`;
  return `${head} @- <<REQUEST\n${written(request, { step: "  ", text, file })}\nREQUEST`;
}

function shell(word) {
  return /^[\w:/.%@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function python(url, request) {
  const file = ({ name }) => `data(${JSON.stringify(name)})`;
  const words = { null: "None", true: "True", false: "False" };
  const reads = `import base64
from pathlib import Path

import requests


def data(path):
    return base64.b64encode(Path(path).read_bytes()).decode()


`;
  return `${hasFiles(request) ? reads : "import requests\n\n"}request = ${written(request, { step: "    ", end: ",", words, file })}
answer = requests.post(${JSON.stringify(url)}, json=request)
answer.raise_for_status()
print(answer.json()["payload"])`;
}

function javascript(url, request) {
  const file = ({ name }) => `await data(${JSON.stringify(name)})`;
  const reads = `import { readFile } from "node:fs/promises";

const data = (path) => readFile(path, "base64");
`;
  return `${hasFiles(request) ? reads : ""}const request = ${written(request, { step: "  ", file })};
const answer = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(request),
});
console.log((await answer.json()).payload);`;
}

const TOKENS = new RegExp(
  [
    /("(?:[^"\\]|\\.)*"(?=\s*:))/, // a name
    /("(?:[^"\\]|\\.)*"|'[^'\n]*')/, // a text
    /\b(import|from|def|return|const|let|new|await|for|in|with|as|if|else|raise|break|true|false|null|True|False|None|curl)\b/,
    /((?<=[\s:[(,])-?\d[\d.eE+-]*(?=[\s,\]})]|$))/, // a number
    /((?<=\s)(?:#|\/\/) .*)/, // words for the reader
  ].map((one) => one.source).join("|"),
  "g",
);
const CLASSES = ["key", "string", "word", "number", "comment"];

/** Code as nodes, its tokens in spans. */
export function coloured(code) {
  const nodes = [];
  let end = 0;
  for (const match of code.matchAll(TOKENS)) {
    const span = document.createElement("span");
    span.className = CLASSES[match.slice(1).findIndex((group) => group !== undefined)];
    span.textContent = match[0];
    nodes.push(code.slice(end, match.index), span);
    end = match.index + match[0].length;
  }
  return [...nodes, code.slice(end)];
}
