// Elements: made of text only, and drawn again when the reader chooses another language.

import { own } from "./words.js";

const drawings = new WeakMap(); // element → what it shows, as a function

/** An element. Children are nodes or text, never markup: nothing that a service says can become an element. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(Boolean));
  return element;
}

export const code = (text, kind) => el("code", { class: kind }, text);
export const chip = (value) => code(JSON.stringify(value), "chip");

/** The element, showing what `draw` returns: now, and again whenever it or all are redrawn. */
export function live(element, draw) {
  drawings.set(element, draw);
  element.setAttribute("data-live", "");
  redraw(element);
  return element;
}

export function redraw(element) {
  element.replaceChildren(...[drawings.get(element)()].flat(Infinity).filter(Boolean));
}

export function redrawAll() {
  for (const element of document.querySelectorAll("[data-live]")) redraw(element);
}

/** A sentence of the page's own, in the reader's language. */
export const said = (sentence, tag = "span", attributes = {}) => live(el(tag, attributes), () => own(sentence));

/** A list of links: [address, words] each. */
export const linksTo = (links) => el("ul", {}, links.map(([href, words]) => el("li", {}, el("a", { href }, words))));
