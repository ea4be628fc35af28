// The page at /docs: reads openapi.json and shows how each service is called.

import { LANGUAGES, coloured } from "./samples.js";
import { code, el, grid, members, row, size } from "./tables.js";
import { choose, current, maybe, own } from "./words.js";

const FIRST_HEADERS = ["app_id", "appid"];
const place = (id) => document.getElementById(id);
let api = null;
let language = "curl";
let updates = []; // what to do when another language is chosen

/** The node; if it is a reference, with what stands there. */
function resolve(node) {
  if (!node?.$ref) return node ?? {};
  const target = node.$ref.slice(2).split("/").reduce((found, step) => found?.[unescaped(step)], api);
  return { ...target, ...node };
}

const unescaped = (step) => step.replaceAll("~1", "/").replaceAll("~0", "~");
const schemaOf = (content) => resolve(content?.content?.["application/json"]?.schema);
const exampleOf = (content) => content?.content?.["application/json"]?.example;
const membersOf = (node) => Object.entries(resolve(node).properties ?? {}).map(([name, one]) => [name, resolve(one)]);

// ── services ──────────────────────────────────────────────────────────────────

/** Services by name, each with its paths and the operation that they share. */
function services() {
  const found = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    const name = item.post?.tags?.[0];
    if (name === undefined) continue;
    if (!found.has(name)) found.set(name, { name, paths: [], operation: item.post });
    found.get(name).paths.push(path);
  }
  return [...found.values()];
}

function serviceSection({ name, paths, operation }, index) {
  return el("section", { id: `service-${index}`, class: "service" },
    el("h2", {}, name),
    el("div", { class: "split" },
      el("div", { class: "tables" }, routes(paths), requestPart(operation), answerPart(operation), errorPart(operation)),
      el("aside", { class: "samples" }, samplePart(paths[0], operation))));
}

const part = (title, ...content) => el("div", { class: "part" }, el("h3", {}, own(title)), content);
const about = (title, where) => el("h4", {}, own(title), " ", code(where));
const none = (words) => el("p", { class: "none" }, own(words));

function routes(paths) {
  const verb = () => el("span", { class: "verb" }, "POST");
  const lines = paths.map((path) => el("li", {}, verb(), code(path), copyButton(() => urlOf(path))));
  return part("Call it", el("ul", { class: "routes" }, lines));
}

const urlOf = (path) => new URL(`.${path}`, document.baseURI).href;

function requestPart(operation) {
  const request = schemaOf(resolve(operation.requestBody));
  const outputs = Object.keys(answerOf(operation)?.properties ?? {});
  const { header, parameter, payload } = request.properties ?? {};
  const parts = [headerPart(resolve(header))];
  const blocks = membersOf(parameter);
  const isWish = (name, node) => outputs.includes(name) && node.properties !== undefined;
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

function headerPart(header) {
  const names = membersOf(header).map(([name]) => name);
  const isWay = (name) => names.includes(name) && header.anyOf?.some((way) => way.required?.includes(name));
  const ways = FIRST_HEADERS.filter(isWay);
  const marks = Object.fromEntries(ways.map((name) => [name, ways.length > 1 ? "one of them" : "required"]));
  const isFirst = (name) => ways.includes(name) || (header.required ?? []).includes(name);
  const rest = names.filter((name) => !isFirst(name));
  const others = () => folded(`${rest.length} ${own("more fields")}`, "", members(header, { skip: isFirst }));
  const first = members(header, { first: FIRST_HEADERS, marks, skip: (name) => !isFirst(name) });
  return [about("Header", "header"), first, rest.length > 0 && others()];
}

function folded(words, where, content) {
  return el("details", {}, el("summary", {}, words, where && code(where)), content);
}

const answerOf = (operation) => schemaOf(resolve(operation.responses["200"])).properties?.payload;

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
  const request = exampleOf(resolve(operation.requestBody));
  const answer = exampleOf(resolve(operation.responses["200"]));
  const title = (words) => el("h3", {}, own(words));
  if (request === undefined) return none("No example can be made up for this service.");
  const boxes = [title("Example request"), codeTabs(urlOf(path), request)];
  const [answerBox] = codeBox(() => JSON.stringify(answer, null, 2));
  return [...boxes, title("Example answer"), answerBox];
}

/** A request in every language. All such boxes show the same one; what else is open or has the focus stays. */
function codeTabs(url, request) {
  const text = () => LANGUAGES[language](url, request);
  const names = Object.keys(LANGUAGES);
  const tabs = names.map((name) => el("button", { type: "button", class: "tab" }, name));
  const [box, content] = codeBox(text, tabs);
  const update = () => {
    content.replaceChildren(...coloured(text()));
    tabs.forEach((tab, index) => tab.setAttribute("aria-pressed", String(names[index] === language)));
  };
  tabs.forEach((tab, index) => tab.addEventListener("click", () => {
    language = names[index];
    updates.forEach((one) => one());
  }));
  updates.push(update);
  update();
  return box;
}

/** The box, and the element inside that has the code. */
function codeBox(write, tabs = el("span", { class: "tab" }, "JSON")) {
  const head = el("div", { class: "codehead" }, tabs, el("span", { class: "spring" }), copyButton(write));
  const content = el("code", {}, coloured(write()));
  return [el("div", { class: "code" }, head, el("pre", { tabindex: "0" }, content)), content];
}

function copyButton(write) {
  const button = el("button", { type: "button", class: "copy" }, own("Copy"));
  button.addEventListener("click", async () => {
    await copy(write());
    button.textContent = place("said").textContent = own("Copied");
    setTimeout(() => (button.textContent = own("Copy")), 1500);
  });
  return button;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el("textarea", { class: "hidden" }); // where the page came by plain HTTP from another machine
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
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
  updates = [];
  document.title = `${api.info.title} · API`;
  place("brand").textContent = api.info.title;
  place("version").textContent = api.info.version;
  const links = found.map(({ name }, index) => [`#service-${index}`, name]);
  const titles = [["#rules", own("For every call")], ["#server", own("The server's own routes")]];
  const others = [...titles, ["openapi.json", "openapi.json"]];
  place("nav").setAttribute("aria-label", own("Contents"));
  place("nav").replaceChildren(el("h2", {}, own("Services")), linksTo(links), el("h2", {}, own("Server")), linksTo(others));
  const shown = found.length ? found.map(serviceSection) : [none("No service can be called yet. Try again in a moment.")];
  place("main").replaceChildren(...shown, rulesSection(), serverSection());
  showTools();
}

const linksTo = (links) => el("ul", {}, links.map(([href, words]) => el("li", {}, el("a", { href }, words))));

function showTools() {
  place("language").textContent = current() === "zh" ? "English" : "中文";
  place("theme").textContent = own(isDark() ? "Light" : "Dark");
}

const systemTheme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const isDark = () => (document.documentElement.dataset.theme ?? systemTheme()) === "dark";

function remember(name, value) {
  try {
    localStorage.setItem(`athena-${name}`, value);
  } catch {
    // a browser that keeps nothing: the choice holds as long as the page does
  }
}

function recall(name) {
  try {
    return localStorage.getItem(`athena-${name}`);
  } catch {
    return null;
  }
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
}

async function start() {
  choose(recall("language") ?? current());
  if (recall("theme")) setTheme(recall("theme"));
  place("language").addEventListener("click", () => {
    choose(current() === "zh" ? "en" : "zh");
    remember("language", current());
    if (api) show();
    else showTools();
  });
  place("theme").addEventListener("click", () => {
    setTheme(isDark() ? "light" : "dark");
    remember("theme", document.documentElement.dataset.theme);
    showTools();
  });
  showTools();
  try {
    const answer = await fetch("openapi.json");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    api = await answer.json();
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
