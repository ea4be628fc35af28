// The input of a sound that may be streamed: a file, or the microphone.

import { fileControl } from "./controls.js";
import { el, live, redraw, said } from "./nodes.js";
import { Recording, hasMicrophone } from "./microphone.js";
import { own } from "./words.js";

/**
 * As `fileControl`, and: the microphone's button calls `onRecord` with the recording in place of the file, until
 * `settle()`; `isPaced()` says whether a file goes out in real time.
 */
export function soundControl({ id, onChoice, onRecord }) {
  let recording = null;
  const file = fileControl({ id, kind: "audio", onChoice });
  const level = el("span", { class: "level", "aria-hidden": "true" });
  const words = live(el("span"), () => own(recording ? "Stop recording" : "Microphone"));
  const button = el("button", { type: "button", class: "tool mic", disabled: !hasMicrophone() }, el("span", { class: "dot", "aria-hidden": "true" }), words, level);
  const pace = el("input", { type: "checkbox", id: `${id}-pace` });
  const show = (next) => {
    recording = next;
    level.style.width = "0";
    button.classList.toggle("is-on", recording !== null);
    redraw(words);
  };
  button.addEventListener("click", () => {
    if (recording) return recording.stop();
    show(new Recording((loud) => (level.style.width = `${Math.round(loud * 100)}%`)));
    onRecord();
  });
  const settle = () => {
    recording?.close();
    show(null);
  };
  const extra = el("div", { class: "stream-only sound" }, button,
    el("span", { class: "tick" }, pace, said("Send a file in real time", "label", { for: pace.id })),
    !hasMicrophone() && said("Browsers give the microphone only to pages of https and of this machine.", "p", { class: "hint" }));
  const whole = el("div", { class: "sounds" }, file.whole, extra);
  return { ...file, whole, settle, isPaced: () => pace.checked, read: () => recording ?? file.read() };
}
