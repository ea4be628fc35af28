// One session over a WebSocket: frames go out as fast as the socket takes them, answers come in. No elements.

const HIGH = 1 << 18; // bytes that may wait in the socket: six seconds of sound
const LOOK = 20; // milliseconds until a full socket is looked at again; no event says that it has room
const PATIENCE = 2000; // milliseconds for the server to close after an error, as it should
const END = 2; // header.status of the last answer; 3 where it is the only one
const NORMAL = 1000; // RFC 6455 7.4.1

/**
 * Run a session to its end: `{ kind }`, which is `done`, `stopped` (by `signal`), `refused` with the server's `header`
 * and the close's `reason`, or `closed` with `code` and `reason` of a close that came too early.
 *
 * `frames` is an async iterable; `onStep` hears each answer, one after the other. Throws what `frames` throws.
 */
export async function run(url, frames, { signal, onOpen, onSent, onStep }) {
  const socket = new WebSocket(url.replace(/^http/, "ws"));
  const over = ending(socket, { signal, onStep });
  try {
    await Promise.race([happens(socket, "open").then(onOpen), over]);
    return await Promise.race([push(socket, frames, onSent).then(() => over), over]);
  } finally {
    socket.close(NORMAL);
  }
}

const happens = (target, event) => new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function push(socket, frames, onSent) {
  for await (const frame of frames) {
    while (socket.readyState === WebSocket.OPEN && socket.bufferedAmount > HIGH) await pause(LOOK);
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(JSON.stringify(frame));
    onSent(frame);
  }
}

function ending(socket, { signal, onStep }) {
  return new Promise((resolve, reject) => {
    let steps = Promise.resolve();
    let refusal = null;
    const finish = (end) => steps.then(() => resolve(end), reject);
    if (signal.aborted) resolve({ kind: "stopped" });
    signal.addEventListener("abort", () => resolve({ kind: "stopped" }));
    socket.addEventListener("close", ({ code, reason }) => finish(refusal ? { ...refusal, reason } : { kind: "closed", code, reason }));
    socket.addEventListener("message", ({ data }) => {
      const answer = parsed(data);
      if (refusal) return;
      if (answer.header.code !== 0) {
        refusal = { kind: "refused", header: answer.header };
        setTimeout(finish, PATIENCE, { ...refusal, reason: "" });
        return;
      }
      steps = steps.then(() => onStep(answer));
      if (answer.header.status >= END) finish({ kind: "done" });
    });
  });
}

function parsed(data) {
  try {
    const answer = JSON.parse(data);
    if (typeof answer.header?.code === "number") return answer;
  } catch {
    // not JSON: said below
  }
  return { header: { message: String(data) } }; // somebody between the server and us has answered
}
