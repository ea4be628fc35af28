// The page at /: the services that there are, each to be tried with a form of its own.

import { api, load, requestOf, services, urlOf, waysOf } from "./api.js";
import { Caller } from "./caller.js";
import { codeTabs } from "./codes.js";
import { Form } from "./form.js";
import { code, el, linksTo, live, redraw, said } from "./nodes.js";
import { readable } from "./requests.js";
import { place, startTools } from "./shell.js";
import { streamLanguages } from "./streamcode.js";
import { own } from "./words.js";

const AGAIN = 2000; // milliseconds until a server that is not ready is asked again

let health = null; // what /healthz said last
let shown = new Map(); // service → its section, and the schema that its form was made from

// ── services ──────────────────────────────────────────────────────────────────────────────────────

function sectionOf(service, index) {
  const form = new Form(service);
  const url = urlOf(service.paths[0]);
  const answer = el("div", { class: "answer", "aria-busy": "false" }, said("Call the service to see its answer here.", "p", { class: "none" }));
  new Caller({ form, service, url, answer, onEnd: refresh });
  const [samples, contents] = codesOf(service, form, url);
  ["input", "change", "click", "drop"].forEach((event) => form.element.addEventListener(event, () => contents.forEach(redraw)));
  const title = el("h2", {}, service.name);
  const links = el("p", { class: "links" }, code(service.paths[0]), el("a", { href: `docs#service-${index}` }, said("Documents")));
  const side = el("div", { class: "side" }, said("Answer", "h3"), answer);
  const left = el("div", { class: "left" }, form.element, said("The call as code", "h3"), samples);
  return el("section", { id: `service-${index}`, class: "service" }, title, links, live(el("div"), () => reasonOf(service.name)), el("div", { class: "split" }, left, side));
}

/** The call as code, for each mode that the form has; the style sheet shows that of the form's. */
function codesOf({ operation }, form, url) {
  const ask = () => form.request().request;
  const { hasStream, hasOnce } = form.ways;
  const pairs = [
    hasStream && ["stream-code", codeTabs(url, () => readable(operation, ask()), streamLanguages(operation))],
    hasOnce && ["once-code", codeTabs(url, ask)],
  ].filter(Boolean);
  return [pairs.map(([kind, [box]]) => el("div", { class: kind }, box)), pairs.map(([, [, content]]) => content)];
}

/** Why a service cannot be called; nothing if it can. */
function reasonOf(name) {
  const { ready, reason } = health?.services?.[name] ?? { ready: true };
  return !ready && el("p", { class: "problem" }, own("not ready"), ": ", reason);
}

/** Sections as the document has them. One whose schema is the same stays, with what was typed into it. */
function show() {
  const before = shown;
  shown = new Map();
  services().forEach((service, index) => {
    const schema = JSON.stringify([requestOf(service.operation), waysOf(service.operation)]);
    const known = before.get(service.name);
    const section = known?.schema === schema && known.section.id === `service-${index}` ? known.section : sectionOf(service, index);
    shown.set(service.name, { section, schema });
  });
  const sections = [...shown.values()].map(({ section }) => section);
  const isSame = sections.length > 0 && sections.every((one) => one.isConnected) && before.size === shown.size;
  if (isSame) return;
  place("main").replaceChildren(...(sections.length ? sections : [nothing()]));
}

const nothing = () => el("div", {},
  said("No service can be called yet. This page looks again by itself.", "p", { class: "none" }),
  live(el("ul", { class: "reasons" }), () => (health?.reasons ?? []).map((reason) => el("li", {}, reason))));

function showBar() {
  document.title = api.info.title;
  place("brand").textContent = api.info.title;
  place("version").textContent = api.info.version;
  live(place("health"), () => own(health?.ready ? "ready" : "not ready"));
  place("health").classList.toggle("is-bad", !health?.ready);
  live(place("nav"), () => {
    place("nav").setAttribute("aria-label", own("Contents"));
    const links = [...shown].map(([name, { section }]) => [`#${section.id}`, name]);
    const others = [["docs", own("Documents")], ["openapi.json", "openapi.json"], ["healthz", own("Health")]];
    return [el("h2", {}, own("Services")), linksTo(links), el("h2", {}, own("Server")), linksTo(others)];
  });
}

// ── the state of the server ───────────────────────────────────────────────────────────────────────

let timer = 0;

/** Ask how the server is, and read the document again; once more in a while as long as it is not ready. */
async function refresh() {
  clearTimeout(timer);
  try {
    health = await (await fetch("healthz")).json();
    await load();
  } catch {
    health = { ready: false, reasons: [] }; // a server that does not answer; what is on the page stays
  }
  if (api) {
    show();
    showBar();
  }
  document.querySelectorAll(".service > [data-live], .reasons").forEach(redraw);
  if (!health.ready) timer = setTimeout(() => !document.hidden && refresh(), AGAIN);
}

async function start() {
  startTools();
  addEventListener("focus", refresh);
  try {
    await load();
  } catch (error) {
    place("main").replaceChildren(el("p", { class: "none" }, said("openapi.json cannot be read:"), ` ${error.message}`));
    return;
  }
  await refresh();
  if (location.hash) place(location.hash.slice(1))?.scrollIntoView();
  document.documentElement.dataset.ready = "yes";
}

await start();
