// Boxes with code: coloured, in a language of the reader's choice, to copy.

import { el, live, redrawAll } from "./nodes.js";
import { LANGUAGES, coloured } from "./samples.js";
import { announce } from "./shell.js";
import { own } from "./words.js";

const SHORT = 1500; // milliseconds that "Copied" stands

let language = "curl"; // of all boxes

/** A request in every language, and the element to redraw when it has changed. `ask` returns the request. */
export function codeTabs(url, ask, languages = LANGUAGES) {
  const names = Object.keys(languages);
  const chosen = () => (language in languages ? language : names[0]);
  const tabs = names.map((name) => el("button", { type: "button", class: "tab" }, name));
  const press = () => tabs.forEach((tab, index) => tab.setAttribute("aria-pressed", String(names[index] === chosen())));
  tabs.forEach((tab, index) => tab.addEventListener("click", () => {
    language = names[index];
    redrawAll();
  }));
  return codeBox(() => languages[chosen()](url, ask()), tabs, press);
}

/** The box, and the element inside that has the code. */
export function codeBox(write, tabs = el("span", { class: "tab" }, "JSON"), onDraw = () => {}) {
  const head = el("div", { class: "codehead" }, tabs, el("span", { class: "spring" }), copyButton(write));
  const content = live(el("code"), () => {
    onDraw();
    return coloured(write());
  });
  return [el("div", { class: "code" }, head, el("pre", { tabindex: "0" }, content)), content];
}

export function copyButton(write) {
  let words = "Copy";
  const button = live(el("button", { type: "button", class: "copy" }), () => own(words));
  const show = (sentence) => {
    words = sentence;
    button.textContent = own(sentence);
  };
  button.addEventListener("click", async () => {
    await copy(write());
    show("Copied");
    announce(own("Copied"));
    setTimeout(show, SHORT, "Copy");
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
