// A request as code to copy.

export const LANGUAGES = { curl, Python: python, JavaScript: javascript };

function curl(url, request) {
  const body = JSON.stringify(request, null, 2).replaceAll("'", "'\\''");
  return `curl ${shell(url)} \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
}

function shell(url) {
  return /^[\w:/.%@-]+$/.test(url) ? url : `'${url.replaceAll("'", "'\\''")}'`;
}

function python(url, request) {
  return `import requests

request = ${literal(request, "")}
answer = requests.post(${JSON.stringify(url)}, json=request)
answer.raise_for_status()
print(answer.json()["payload"])`;
}

// JSON as Python writes it.
function literal(value, indent) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = indent + "    ";
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((one) => literal(one, inner))
    : Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${literal(one, inner)}`);
  const [open, close] = isList ? "[]" : "{}";
  if (!parts.length) return open + close;
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join("")}${indent}${close}`;
}

function javascript(url, request) {
  return `const request = ${JSON.stringify(request, null, 2)};
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
    /\b(import|const|await|true|false|null|True|False|None|curl)\b/,
    /((?<=[\s:[(,])-?\d[\d.eE+-]*(?=[\s,\]})]|$))/, // a number
  ].map((one) => one.source).join("|"),
  "g",
);
const CLASSES = ["key", "string", "word", "number"];

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
