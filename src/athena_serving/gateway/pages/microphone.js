// The microphone as an input: pieces of raw samples as long as it is on.

import { Unfit } from "./controls.js";
import { frameSize, toInt16 } from "./pcm.js";
import { FileData } from "./samples.js";

const RECORDER = new URL("recorder.js", import.meta.url);

/** Browsers give it to pages of https and of this machine only. */
export const hasMicrophone = () => Boolean(navigator.mediaDevices?.getUserMedia) && typeof AudioWorkletNode === "function";

/** What is said until `stop`. To code that is shown it is a file. `onLevel` hears how loud each piece is, 0 to 1. */
export class Recording extends FileData {
  constructor(onLevel) {
    super("speech.wav", null);
    this.onLevel = onLevel;
    this.pieces = [];
    this.isOver = false;
    this.wake = () => {};
  }

  /** Begin to listen; `rate` in Hz. Throws Unfit if the browser, or its owner, does not want that. */
  async open(rate) {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      throw new Unfit(error.name === "NotFoundError" ? "There is no microphone." : "The microphone may not be used.", { cause: error });
    }
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(RECORDER);
    const processorOptions = { rate, length: frameSize(rate) / 2 };
    this.node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0, processorOptions });
    this.node.port.onmessage = ({ data }) => this.hear(data);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    if (this.isOver) this.node.port.postMessage("stop"); // while the browser was asking
  }

  hear(samples) {
    if (samples === null) return this.close();
    this.onLevel(samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0));
    this.pieces.push(new Uint8Array(toInt16(samples).buffer));
    this.wake();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      while (this.pieces.length) yield this.pieces.shift();
      if (this.isOver) return;
      await new Promise((resolve) => (this.wake = resolve));
    }
  }

  /** No more: what was heard until now still goes out. */
  stop() {
    if (this.node) this.node.port.postMessage("stop");
    else this.isOver = true;
  }

  /** Leave the microphone. */
  close() {
    this.isOver = true;
    this.stream?.getTracks().forEach((one) => one.stop());
    if (this.context?.state !== "closed") this.context?.close();
    this.wake();
  }
}
