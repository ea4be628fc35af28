// In the audio thread: the microphone's samples at the wanted rate, in pieces of one frame. Any message ends it.

import { Resampler } from "./resampler.js";

class Recorder extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate, length } }) {
    super();
    this.resampler = new Resampler(sampleRate, rate);
    this.piece = new Float32Array(length);
    this.filled = 0;
    this.isOver = false;
    this.port.onmessage = () => this.end();
  }

  process([[first, ...others]]) {
    if (first && !this.isOver) this.take(this.resampler.push(others.length ? mixed([first, ...others]) : first));
    return !this.isOver;
  }

  take(samples) {
    for (const one of samples) {
      this.piece[this.filled++] = one;
      if (this.filled === this.piece.length) this.give();
    }
  }

  give() {
    this.port.postMessage(this.piece.slice(0, this.filled));
    this.filled = 0;
  }

  end() {
    if (this.isOver) return;
    this.take(this.resampler.flush());
    if (this.filled) this.give();
    this.isOver = true;
    this.port.postMessage(null);
  }
}

const mixed = (channels) => channels[0].map((_, at) => channels.reduce((sum, one) => sum + one[at], 0) / channels.length);

registerProcessor("recorder", Recorder);
