// A request as the frames of a session (http-api.md 7.2): the first has everything but the rest of the data, the last
// says that it is the last, by status 2.

import { toBase64 } from "./data.js";
import { FileData } from "./samples.js";

const WHO = ["app_id", "appid"]; // what the schema asks of every header
const BEGIN = 0, CONTINUE = 1, END = 2;
const PIECE = 1 << 16; // bytes of a file in a frame; a picture stays whole

/**
 * The frames of a request. `known` has each input's kind by key (api.js); data are base64, a file, or whatever yields
 * pieces of bytes, which go out one a frame, those of several inputs side by side.
 */
export async function* framesOf({ header, parameter, payload = {} }, known) {
  const inputs = await Promise.all(Object.entries(payload).map(([key, block]) => Input.begun(key, known[key].kind, block)));
  const who = Object.fromEntries(Object.entries(header ?? {}).filter(([name]) => WHO.includes(name)));
  let head = { ...header };
  let rest = parameter && { parameter };
  for (let status = BEGIN; status !== END; head = { ...who }, rest = {}) {
    const open = inputs.filter((one) => !one.isOver);
    const blocks = Object.fromEntries(await Promise.all(open.map(async (one) => [one.key, await one.next()])));
    const isOver = inputs.every((one) => one.isOver);
    yield { header: { ...head, status: isOver ? END : status }, ...rest, ...(open.length && { payload: blocks }) };
    status = isOver ? END : CONTINUE;
  }
}

/** One input on its way out. It looks one piece ahead: the last must say so, and must not be empty. */
class Input {
  static async begun(key, kind, { [kind]: data, ...attributes }) {
    const one = new Input();
    Object.assign(one, { key, kind, attributes, status: BEGIN, isOver: false });
    one.pieces = piecesOf(data, kind)[Symbol.asyncIterator]();
    one.ahead = await one.pieces.next();
    return one;
  }

  async next() {
    const { done, value } = this.ahead;
    if (!done) this.ahead = await this.pieces.next();
    this.isOver = this.ahead.done;
    const data = !done && { [this.kind]: typeof value === "string" ? value : toBase64(value) };
    const block = { ...this.attributes, ...data, status: this.isOver ? END : this.status };
    [this.attributes, this.status] = [{}, CONTINUE];
    return block;
  }
}

async function* piecesOf(data, kind) {
  if (data === undefined) return;
  if (typeof data === "string") yield data;
  else if (data instanceof FileData && data.blob) yield* slices(data.blob, kind === "image" ? data.blob.size : PIECE);
  else yield* data;
}

async function* slices(blob, size) {
  for (let at = 0; at < blob.size; at += size) yield new Uint8Array(await blob.slice(at, at + size).arrayBuffer());
}
