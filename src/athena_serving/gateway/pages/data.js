// Data on the wire: bytes into base64 and out of it, and what kind of thing they are.

/** Names of kinds of data, and of the members that have them (wire/messages.py). */
export const DATA_KEYS = ["text", "audio", "image", "video", "other"];
const SAMPLE = { rate: 16000, channels: 1, bits: 16 }; // of raw sound that does not say (http-api.md 2.6)

/** First bytes of what a browser can show. No SVG: it is a document, not a picture. */
const SIGNS = [
  ["image/png", /^\x89PNG/], ["image/jpeg", /^\xff\xd8\xff/], ["image/gif", /^GIF8/], ["image/bmp", /^BM/],
  ["image/webp", /^RIFF[^]{4}WEBP/], ["image/avif", /^[^]{4}ftypavi[fs]/], ["audio/wav", /^RIFF[^]{4}WAVE/],
  ["audio/mpeg", /^(ID3|\xff[\xe2-\xfb])/], ["audio/ogg", /^OggS/], ["audio/flac", /^fLaC/],
  ["video/mp4", /^[^]{4}ftyp/], ["video/webm", /^\x1a\x45\xdf\xa3/],
];
const ENDINGS = { jpeg: "jpg", mpeg: "mp3" };

/**
 * What an output of an answer has: `kind`, `attributes`, `bytes` (a Uint8Array), and `json` or `text` if it is that, or
 * `blob` if one can see or hear it. `usual` are attributes that hold where the answer has none.
 */
export async function dataOf(output, usual = {}) {
  const kind = DATA_KEYS.find((key) => key in output) ?? "other";
  const { [kind]: value = "", ...said } = output;
  const attributes = { ...usual, ...said };
  const bytes = await bytesOf(value, attributes);
  if (attributes.format === "text" && typeof value === "string") return { kind, attributes, bytes, text: value };
  if (attributes.format === "json" || typeof value !== "string") {
    const json = typeof value === "string" ? jsonOf(value) : value;
    return { kind, attributes, bytes, json };
  }
  if (kind === "text") {
    const text = decoded(bytes, attributes.encoding);
    return { kind, attributes, bytes, text, json: /^\s*[[{]/.test(text) ? jsonOf(text) : undefined };
  }
  return { kind, attributes, bytes, blob: blobOf(bytes, kind, attributes) };
}

async function bytesOf(value, attributes) {
  if (typeof value !== "string") return new TextEncoder().encode(JSON.stringify(value, null, 2));
  if (attributes.format === "text") return new TextEncoder().encode(value);
  const bytes = fromBase64(value) ?? new TextEncoder().encode(value);
  return attributes.compress === "gzip" ? await unzipped(bytes) : bytes;
}

/** Bytes as base64, in steps: a call takes only so many arguments. */
export function toBase64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}

function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  } catch {
    return null; // data that are JSON need no base64
  }
}

async function unzipped(bytes) {
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    return bytes; // which say that they are gzip and are not
  }
}

function decoded(bytes, encoding) {
  const name = /^gb/i.test(encoding ?? "") ? encoding : "utf-8";
  try {
    return new TextDecoder(name).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes); // an encoding of which the browser knows nothing
  }
}

function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function blobOf(bytes, kind, attributes) {
  const type = typeOf(bytes);
  return kind === "audio" && isRaw(bytes, attributes) ? wavOf([bytes], attributes) : new Blob([bytes], { type });
}

/** Are these samples without a file around them? */
export function isRaw(bytes, { encoding } = {}) {
  const type = typeOf(bytes);
  return (!type || ["raw", "pcm"].includes(encoding)) && type !== "audio/wav";
}

function typeOf(bytes) {
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  return SIGNS.find(([, sign]) => sign.test(head))?.[0] ?? "";
}

/** A name for the file, from what is in it. */
export function fileName(key, { kind, text, json, blob }) {
  if (json !== undefined) return `${key}.json`;
  if (text !== undefined) return `${key}.txt`;
  const ending = blob?.type.split("/")[1] ?? "";
  return `${key}.${(ENDINGS[ending] ?? ending) || (kind === "other" ? "bin" : kind)}`;
}

/** How raw samples are to be heard: `rate` in Hz, `channels`, `bits` of a sample. */
export const soundOf = (attributes) => ({
  rate: Number(attributes.sample_rate) || SAMPLE.rate,
  channels: Number(attributes.channels) || SAMPLE.channels,
  bits: Number(attributes.bit_depth) || SAMPLE.bits,
});

/** Pieces of raw samples as a file that says what they are. */
export function wavOf(pieces, attributes) {
  const length = pieces.reduce((sum, one) => sum + one.length, 0);
  return new Blob([wavHead(length, soundOf(attributes)), ...pieces], { type: "audio/wav" });
}

/** RIFF, 44 bytes. */
function wavHead(length, { rate, channels, bits }) {
  const frame = (channels * bits) / 8;
  const view = new DataView(new ArrayBuffer(44));
  const words = (at, text) => [...text].forEach((one, index) => view.setUint8(at + index, one.charCodeAt(0)));
  words(0, "RIFF");
  view.setUint32(4, 36 + length, true);
  words(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * frame, true);
  view.setUint16(32, frame, true);
  view.setUint16(34, bits, true);
  words(36, "data");
  view.setUint32(40, length, true);
  return view.buffer;
}
