// Samples from one rate to another, piece by piece, by a windowed sinc. No audio context: it also runs in a worklet.

const ZEROS = 16; // crossings of the sinc on each side: 0.1 dB up to 90 % of the band, and 60 dB below beyond it

/** Push samples in, get those of the other rate that are known by then. */
export class Resampler {
  constructor(from, to) {
    const whole = divisor(from, to);
    [this.up, this.down] = [to / whole, from / whole];
    const band = Math.min(1, to / from) * (from === to ? 1 : 0.95); // a little below the fold, for the filter's slope
    this.half = Math.ceil(ZEROS / band);
    this.filters = Array.from({ length: this.up }, (_, phase) => filter(phase / this.up, band, this.half));
    this.waiting = new Float32Array(this.half - 1); // silence before the first sample
    this.place = 0; // of the next sample out, in 1/up of a sample in
  }

  /** All of `samples` (Float32Array) are taken; what comes out lags `half` samples behind. */
  push(samples) {
    const all = new Float32Array(this.waiting.length + samples.length);
    all.set(this.waiting);
    all.set(samples, this.waiting.length);
    const taps = 2 * this.half;
    const out = [];
    let start = 0;
    for (; (start = Math.floor(this.place / this.up)) + taps <= all.length; this.place += this.down) {
      const weights = this.filters[this.place % this.up];
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += weights[tap] * all[start + tap];
      out.push(sum);
    }
    this.waiting = all.subarray(start);
    this.place -= start * this.up;
    return Float32Array.from(out);
  }

  /** The last samples: silence pushes them out. */
  flush() {
    return this.push(new Float32Array(this.half));
  }
}

const divisor = (one, other) => (other === 0 ? one : divisor(other, one % other));

/** Weights of the samples around a place that lies `part` of a sample behind the middle one; their sum is 1. */
function filter(part, band, half) {
  const weights = Float32Array.from({ length: 2 * half }, (_, tap) => {
    const away = tap - half + 1 - part;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * away) / half); // Hann
    const angle = Math.PI * away * band;
    return window * (angle === 0 ? 1 : Math.sin(angle) / angle);
  });
  const sum = weights.reduce((one, other) => one + other, 0);
  return weights.map((one) => one / sum);
}
