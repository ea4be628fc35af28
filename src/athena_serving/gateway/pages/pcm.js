// Sound files as raw samples: 16 bits, one channel, at the rate that is wanted.

import { Unfit } from "./controls.js";

const STEP = 0.04; // seconds of sound in a frame (http-api.md 8.5)
const LOUDEST = 32767;

/** Bytes of a frame at this rate: 1280 at 16 kHz. */
export const frameSize = (rate) => 2 * Math.round(rate * STEP);

/** Samples as 16 bits, from numbers between -1 and 1. */
export const toInt16 = (samples) => Int16Array.from(samples, (one) => Math.max(-1, Math.min(1, one)) * LOUDEST);

/**
 * The samples of a file, as bytes: those of a WAV that fits, and of `.raw` and `.pcm`, as they are; all others as the
 * browser decodes them. Throws Unfit if it cannot, or there are none.
 */
export async function samplesOf({ name, blob }, rate) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const samples = fitting(bytes, name, rate) ?? (await decoded(bytes.buffer, rate));
  if (samples.length < 2) throw new Unfit("There is no sound in this file.");
  return samples.subarray(0, samples.length & ~1);
}

/** Frames of these samples; in real time if `isPaced`. */
export async function* paced(samples, rate, isPaced) {
  const size = frameSize(rate);
  const began = performance.now();
  for (let at = 0; at < samples.length; at += size) {
    const early = (at / 2 / rate) * 1000 - (performance.now() - began);
    if (isPaced && early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    yield samples.subarray(at, at + size);
  }
}

function fitting(bytes, name, rate) {
  if (/\.(raw|pcm)$/i.test(name)) return bytes;
  const { format, channels, bits, rate: own, data } = wav(bytes);
  return format === 1 && channels === 1 && bits === 16 && own === rate ? data : null;
}

/** What a WAV says of itself, and its samples; nothing for what is none. Chunks may stand in any order, and lie. */
export function wav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  const found = {};
  if (word(0) !== "RIFF" || word(8) !== "WAVE") return found;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [name, length, start] = [word(at), view.getUint32(at + 4, true), at + 8];
    if (name === "fmt " && start + 16 <= bytes.length) {
      const [format, channels, own, bits] = [view.getUint16(start, true), view.getUint16(start + 2, true), view.getUint32(start + 4, true), view.getUint16(start + 14, true)];
      Object.assign(found, { format, channels, rate: own, bits });
    }
    if (name === "data") found.data ??= bytes.subarray(start, start + length);
    at = start + length + (length % 2);
  }
  return found.data && found.format ? found : {};
}

async function decoded(buffer, rate) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer); // which resamples to the context's rate
  } catch (error) {
    throw new Unfit("The browser cannot read this sound.", { cause: error });
  }
  const mixed = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    sound.getChannelData(channel).forEach((one, index) => (mixed[index] += one / sound.numberOfChannels));
  }
  return new Uint8Array(toInt16(mixed).buffer);
}
