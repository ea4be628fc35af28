// A call by the form: what is in it is sent, what comes back is shown; a second click ends it.

import { answerParts, errorsOf } from "./answer.js";
import { Unfit } from "./controls.js";
import { el, said } from "./nodes.js";
import { filled } from "./form.js";
import { announce } from "./shell.js";
import { stream } from "./stream.js";
import { own } from "./words.js";

/** `service` is called at `url` with what `form` has; `answer` is where it shows. `onEnd` hears of each call's end. */
export class Caller {
  constructor({ form, service, url, answer, onEnd }) {
    Object.assign(this, { form, service, url, answer, onEnd });
    this.waiting = null;
    this.view = null; // of the stream that was last
    form.element.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.waiting) this.waiting.abort();
      else this.call();
    });
  }

  async call() {
    this.form.clear();
    const { request, unfit } = this.form.request();
    if (unfit.length) return this.refuse(unfit);
    this.waiting = new AbortController();
    this.show(true);
    try {
      await (this.form.isStream ? stream(this, request) : this.post(request));
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    } finally {
      this.waiting = null;
      this.form.settle();
      this.show(false);
      this.onEnd();
    }
  }

  get signal() {
    return this.waiting.signal;
  }

  /** What stands in these fields cannot be sent: [[field, words]]. */
  refuse(unfit) {
    unfit.forEach(([field, words]) => field.mark(() => own(words)));
    unfit[0][0].control.element.focus();
    this.form.settle();
  }

  async post(request) {
    const body = JSON.stringify(await filled(request));
    const began = performance.now();
    const headers = { "Content-Type": "application/json", "X-Athena-Timing": "1" };
    const response = await fetch(this.url, { method: "POST", headers, body, signal: this.signal });
    const text = await response.text();
    const elapsed = performance.now() - began;
    const rest = this.form.mark(errorsOf(text));
    const parts = await answerParts({ response, text, elapsed, pictures: this.form.pictures(), rest });
    this.replace(parts.filter(Boolean));
    announce(`${own("Answer")}: HTTP ${response.status}`);
  }

  fail(error) {
    if (error instanceof Unfit && error.field) return this.refuse([[error.field, error.message]]);
    const words = el("p", {}, said("The server cannot be reached:"), ` ${error.message}`);
    this.replace([el("div", { class: "problem", role: "alert" }, words)]);
  }

  /** Show these parts instead of the last answer. `view` is what still makes sound in them. */
  replace(parts, view = null) {
    this.view?.close();
    this.view = view;
    for (const one of this.answer.querySelectorAll("[src], a[download]")) URL.revokeObjectURL(one.src ?? one.href);
    this.answer.replaceChildren(...parts);
    this.answer.classList.remove("is-old");
    if (this.answer.getBoundingClientRect().top > innerHeight - 80) this.answer.scrollIntoView({ block: "start" });
  }

  show(isWaiting) {
    this.answer.setAttribute("aria-busy", String(isWaiting));
    this.answer.classList.toggle("is-old", isWaiting);
    this.form.busy(isWaiting);
  }
}
