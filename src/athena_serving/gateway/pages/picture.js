// The picture that was sent, with the places on it that the answer speaks of.

import { shapes } from "./boxes.js";
import { el, live } from "./nodes.js";
import { own } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** The picture with its boxes and their words; nothing if the answer has no boxes or the browser cannot show it. */
export async function pictureWith(blob, values) {
  const image = el("img", { src: URL.createObjectURL(blob), alt: blob.name ?? "" });
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(image.src); // a kind of picture that the browser does not know
    return null;
  }
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const found = shapes(values, { width, height });
  if (!found.length) {
    URL.revokeObjectURL(image.src);
    return null;
  }
  const rows = found.map((shape, index) => drawn(shape, index, { width, height }));
  const drawing = el("div", { class: "drawing" }, image, overlay(rows, width, height), rows.map(({ tag }) => tag));
  const list = el("ol", { class: "places" }, rows.map(({ line }) => line));
  const caption = live(el("figcaption", { class: "hint" }), () => [blob.name, ` · ${width} × ${height} · ${found.length} `, own(found.length === 1 ? "box" : "boxes")]);
  return el("figure", { class: "picture" }, drawing, caption, list);
}

function overlay(rows, width, height) {
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(...rows.map(({ polygon }) => polygon));
  return svg;
}

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  return element;
}

/** One place: its polygon, its number on the picture, its line of words beside it. Pointing at one shows the others. */
function drawn({ points, label, score }, index, { width, height }) {
  const polygon = shape("polygon", { points: points.map((point) => point.join(",")).join(" ") });
  const tag = el("span", { class: "tag", "aria-hidden": "true" }, String(index + 1));
  const [x, y] = points.reduce((first, point) => (point[0] + point[1] < first[0] + first[1] ? point : first));
  tag.style.left = `${within((x / width) * 100)}%`;
  tag.style.top = `${within((y / height) * 100)}%`;
  const words = el("span", { class: "words" }, label ?? "—");
  const share = score !== undefined && el("span", { class: "score" }, score > 0 && score <= 1 ? score.toFixed(3) : String(score));
  const line = el("li", { tabindex: "0" }, el("span", { class: "count", "aria-hidden": "true" }, String(index + 1)), words, share);
  const all = [polygon, tag, line];
  for (const [event, isOn] of [["pointerenter", true], ["pointerleave", false], ["focus", true], ["blur", false]]) {
    all.forEach((one) => one.addEventListener(event, () => all.forEach((other) => other.classList.toggle("is-chosen", isOn))));
  }
  return { polygon, tag, line };
}

const within = (percent) => Math.min(100, Math.max(0, percent));
