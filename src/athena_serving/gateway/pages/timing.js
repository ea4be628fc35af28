// Where the time of a call went: the answer's Server-Timing (W3C Server Timing), and what the browser measured.

import { el, live, said } from "./nodes.js";
import { own } from "./words.js";

/** In the order in which a call passes them (docs/metrics.md), in words. */
const STAGES = {
  read: "read the body",
  decode: "check and decode",
  wait: "wait for a worker",
  user: "the service's own code",
  encode: "write the answer",
};

/** Milliseconds by name: `read;dur=0.1, decode;dur=2`. */
export function parse(header) {
  const metrics = (header ?? "").split(",").map((one) => /^\s*([\w-]+)\s*;.*?\bdur=([\d.]+)/.exec(one));
  return Object.fromEntries(metrics.filter(Boolean).map(([, name, value]) => [name, Number(value)]));
}

/** A bar and its legend; nothing if the server measured nothing. `elapsed` is what the browser waited, in ms. */
export function timingBar(header, elapsed) {
  const metrics = parse(header);
  const stages = Object.entries(STAGES).filter(([name]) => name in metrics).map(([name, words]) => [name, words, metrics[name]]);
  if (!stages.length) return null;
  const whole = stages.reduce((sum, [, , value]) => sum + value, 0) || 1;
  const bar = el("div", { class: "stages", "aria-hidden": "true" }, stages.map(([name, , value]) => piece(name, value / whole)));
  const lines = stages.map((one) => legend(...one));
  const rest = el("li", {}, said("network and browser"), el("b", {}, milliseconds(Math.max(0, elapsed - (metrics.total ?? whole)))));
  return el("div", { class: "timing" }, bar, el("ul", { class: "legend" }, lines, rest));
}

function piece(name, part) {
  const element = el("span", { class: `stage stage-${name}` });
  element.style.flexGrow = String(part);
  return element;
}

function legend(name, words, value) {
  return el("li", { "data-stage": name },
    el("span", { class: `swatch stage-${name}` }), said(words), el("b", {}, milliseconds(value)));
}

export const milliseconds = (value) => `${value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)} ms`;

/** How long all took, for a line of text. */
export const took = (elapsed) => live(el("span", { class: "took" }), () => `${own("in")} ${milliseconds(elapsed)}`);
