// Raw samples heard as they come: each piece begins where the one before it ends. No elements.

const LEAD = 0.08; // seconds between the first piece and its sound, so that the second is there in time
const READ = {
  8: (view, at) => (view.getUint8(at) - 128) / 128, // of all depths, the only one without a sign in a WAV
  16: (view, at) => view.getInt16(at, true) / 32768,
  24: (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608,
  32: (view, at) => view.getInt32(at, true) / 2147483648,
};

/** Plays what is added to it. Throws, when made, what the browser says to a rate or depth it does not know. */
export class Player {
  constructor({ rate, channels, bits }) {
    if (!READ[bits]) throw new RangeError(`${bits} bits`);
    [this.rate, this.channels, this.bits] = [rate, channels, bits];
    this.context = new AudioContext({ sampleRate: rate }); // the samples' own, so that their ends meet without a seam
    this.rest = new Uint8Array(0); // of a sample whose other half comes with the next piece
    this.received = 0; // seconds
    this.until = 0; // when all that has come will have been heard, in the context's seconds
  }

  /** Seconds that were heard. */
  get played() {
    return this.received - Math.max(0, this.until - this.context.currentTime);
  }

  get isSilent() {
    return this.context.state !== "running"; // a browser plays nothing before the first click
  }

  add(bytes) {
    const all = new Uint8Array(this.rest.length + bytes.length);
    all.set(this.rest);
    all.set(bytes, this.rest.length);
    const frame = (this.channels * this.bits) / 8;
    const count = Math.floor(all.length / frame);
    this.rest = all.slice(count * frame);
    if (count) this.schedule(this.buffer(new DataView(all.buffer), count));
  }

  buffer(view, count) {
    const buffer = this.context.createBuffer(this.channels, count, this.rate);
    const width = this.bits / 8;
    for (let channel = 0; channel < this.channels; channel++) {
      const samples = buffer.getChannelData(channel);
      for (let at = 0; at < count; at++) samples[at] = READ[this.bits](view, (at * this.channels + channel) * width);
    }
    return buffer;
  }

  schedule(buffer) {
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const now = this.context.currentTime;
    if (this.until <= now) this.until = now + LEAD; // the first, or the next came too late
    source.start(this.until);
    this.until += buffer.duration;
    this.received += buffer.duration;
  }

  toggle() {
    return this.isSilent ? this.context.resume() : this.context.suspend();
  }

  close() {
    if (this.context.state !== "closed") this.context.close();
  }
}
