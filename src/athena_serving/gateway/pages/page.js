// The page at /docs: reads openapi.json and shows how each service is called.

import {
  answerExample, answerOf, api, headerOf, load, membersOf, requestExample, requestOf, resolve, services, urlOf, waysOf, wishOf,
} from "./api.js";
import { codeBox, codeTabs, copyButton } from "./codes.js";
import { code, el, linksTo } from "./nodes.js";
import { readable } from "./requests.js";
import { place, startTools } from "./shell.js";
import { streamLanguages } from "./streamcode.js";
import { grid, members, row, size } from "./tables.js";
import { maybe, own } from "./words.js";

// ── services ──────────────────────────────────────────────────────────────────

function serviceSection({ name, paths, operation }, index) {
  return el("section", { id: `service-${index}`, class: "service" },
    el("h2", {}, name),
    el("div", { class: "split" },
      el("div", { class: "tables" }, routes(paths, operation), requestPart(operation), answerPart(operation), errorPart(operation)),
      el("aside", { class: "samples" }, samplePart(paths[0], operation))));
}

const part = (title, ...content) => el("div", { class: "part" }, el("h3", {}, own(title)), content);
const about = (title, where) => el("h4", {}, own(title), " ", code(where));
const none = (words) => el("p", { class: "none" }, own(words));

function routes(paths, operation) {
  const { hasStream, hasOnce } = waysOf(operation);
  const verb = (word) => el("span", { class: "verb" }, word);
  const verbs = () => [hasStream && verb("WebSocket"), hasOnce && verb("POST")];
  const lines = paths.map((path) => el("li", {}, verbs(), code(path), copyButton(() => urlOf(path))));
  return part("Call it", el("ul", { class: "routes" }, lines));
}

function requestPart(operation) {
  const { parameter, payload } = requestOf(operation).properties ?? {};
  const parts = [headerPart(operation)];
  const blocks = membersOf(parameter);
  const isWish = wishOf(operation);
  for (const [key, block] of blocks) {
    const hasAny = membersOf(block).some(([name, node]) => !isWish(name, node));
    parts.push(about("Parameters", `parameter.${key}`));
    parts.push(hasAny ? members(block, { skip: isWish }) : none("This service takes no parameters."));
  }
  for (const [key, block] of membersOf(payload)) {
    const data = membersOf(block).filter(([, node]) => node.contentEncoding).map(([name]) => name);
    parts.push(about("Input", `payload.${key}`), members(block, { first: data }));
  }
  for (const [key, block] of blocks) {
    for (const [name, node] of membersOf(block).filter(([name, node]) => isWish(name, node))) {
      parts.push(folded(`${own("What you may ask of output")} `, `parameter.${key}.${name}`, members(node)));
    }
  }
  return part("Request", parts);
}

function headerPart(operation) {
  const { header, names, ways, isFirst } = headerOf(operation);
  const marks = Object.fromEntries(ways.map((name) => [name, ways.length > 1 ? "one of them" : "required"]));
  const rest = names.filter((name) => !isFirst(name));
  const others = () => folded(`${rest.length} ${own("more fields")}`, "", members(header, { skip: isFirst }));
  const first = members(header, { first: ways, marks, skip: (name) => !isFirst(name) });
  return [about("Header", "header"), first, rest.length > 0 && others()];
}

function folded(words, where, content) {
  return el("details", {}, el("summary", {}, words, where && code(where)), content);
}

function answerPart(operation) {
  const parts = membersOf(answerOf(operation)).map(([key, block]) => {
    const data = membersOf(block).filter(([, node]) => !node.type && !("const" in node)).map(([name]) => name);
    return [about("Output", `payload.${key}`), members({ ...block, required: [] }, { first: data })];
  });
  return parts.length > 0 && part("Answer", parts);
}

function errorPart(operation) {
  const rows = Object.entries(operation.responses).flatMap(([status, given]) => {
    const response = resolve(given);
    const again = () => response.headers?.["Retry-After"] && el("span", { class: "mark calm" }, own("may be tried again"));
    const codes = response["x-codes"] ?? [];
    return codes.map((one) => row(code(status), code(String(one.code)), [maybe(one.description), " ", again()]));
  });
  return part("Errors", grid(["Status", "Code", "Meaning"], rows));
}

// ── examples ──────────────────────────────────────────────────────────────────

function samplePart(path, operation) {
  const request = requestExample(operation);
  const title = (words) => el("h3", {}, own(words));
  if (request === undefined) return none("No example can be made up for this service.");
  const [requestBox] = waysOf(operation).hasStream
    ? codeTabs(urlOf(path), () => readable(operation, request), streamLanguages(operation))
    : codeTabs(urlOf(path), () => request);
  const [answerBox] = codeBox(() => JSON.stringify(answerExample(operation), null, 2));
  return [title("Example request"), requestBox, title("Example answer"), answerBox];
}

// ── the whole ───────────────────────────────────────────────────────────────────────────────────────

function serverSection() {
  const verb = () => el("span", { class: "verb get" }, "GET");
  const statuses = (get) => Object.keys(get.responses).map((status) => [code(status), " "]);
  const found = Object.entries(api.paths).filter(([, item]) => item.get);
  const rows = found.map(([path, { get }]) => row([verb(), code(path)], maybe(get.summary ?? ""), statuses(get)));
  return section("server", "The server's own routes", grid(["Route", "Meaning", "Status"], rows));
}

const section = (id, title, content) => el("section", { id, class: id }, el("h2", {}, own(title)), content);

function rulesSection() {
  const rules = (api.info.description ?? "").split("\n\n").filter(Boolean);
  return section("rules", "For every call", el("ul", {}, rules.map((rule) => el("li", {}, ruleOf(rule)))));
}

function ruleOf(rule) {
  const limit = /^A body may have (\d+) bytes\.$/.exec(rule);
  return limit ? `${own("A body may have at most")} ${size(Number(limit[1]))}` : maybe(rule);
}

function show() {
  const found = services();
  document.title = `${api.info.title} · API`;
  place("brand").textContent = api.info.title;
  place("version").textContent = api.info.version;
  const links = found.map(({ name }, index) => [`#service-${index}`, name]);
  const titles = [["./", own("Try it")], ["#rules", own("For every call")], ["#server", own("The server's own routes")]];
  const others = [...titles, ["openapi.json", "openapi.json"]];
  place("nav").setAttribute("aria-label", own("Contents"));
  place("nav").replaceChildren(el("h2", {}, own("Services")), linksTo(links), el("h2", {}, own("Server")), linksTo(others));
  const shown = found.length ? found.map(serviceSection) : [none("No service can be called yet. Try again in a moment.")];
  place("main").replaceChildren(...shown, rulesSection(), serverSection());
}

async function start() {
  startTools(() => api && show());
  try {
    await load();
  } catch (error) {
    const words = none("openapi.json cannot be read:");
    words.append(` ${error.message}`);
    place("main").replaceChildren(words);
    return;
  }
  show();
  if (location.hash) place(location.hash.slice(1))?.scrollIntoView();
  document.documentElement.dataset.ready = "yes";
}

await start();
