// A session by the form: its inputs go out in frames, its answers are shown as they come.

import { inputsOf } from "./api.js";
import { Unfit } from "./controls.js";
import { soundOf } from "./data.js";
import { framesOf } from "./frames.js";
import { Recording } from "./microphone.js";
import { paced, samplesOf } from "./pcm.js";
import { isSampled, readable, sampled, usualOf } from "./requests.js";
import { FileData } from "./samples.js";
import { run } from "./session.js";
import { announce } from "./shell.js";
import { StreamView } from "./streamview.js";
import { own } from "./words.js";

/** Run one session of a caller (caller.js). Throws Unfit, with its `field`, if an input cannot be sent. */
export async function stream(caller, request) {
  const { form, signal, url, service: { operation } } = caller;
  const asked = readable(operation, request);
  const known = inputsOf(operation);
  const ready = await withSounds(form, known, asked);
  const view = new StreamView(usualOf(operation, asked));
  caller.replace([view.element], view);
  const end = await run(url, framesOf(ready, known), {
    signal,
    onOpen: () => view.open(),
    onSent: () => view.sent(),
    onStep: (answer) => view.step(answer),
  });
  view.end(end, form.mark(end.header?.errors ?? []));
  announce(`${own("Answer")}: ${view.state}`);
}

/** The request with its sounds as samples. One whose encoding was chosen to be another goes out as it is. */
async function withSounds(form, known, request) {
  const entries = Object.entries(request.payload ?? {}).map(async ([key, block]) => {
    const { kind, block: node } = known[key];
    const file = block[kind];
    if (kind !== "audio" || !(file instanceof FileData) || !isSampled(block)) return [key, block];
    const field = form.at(`/payload/${key}/${kind}`);
    const said = sampled(block, node);
    try {
      return [key, { ...said, [kind]: await pieces(file, soundOf(said).rate, field.control.isPaced()) }];
    } catch (error) {
      throw error instanceof Unfit ? Object.assign(error, { field }) : error;
    }
  });
  return { ...request, ...(request.payload && { payload: Object.fromEntries(await Promise.all(entries)) }) };
}

async function pieces(file, rate, isPaced) {
  if (!(file instanceof Recording)) return paced(await samplesOf(file, rate), rate, isPaced);
  await file.open(rate);
  return file;
}
