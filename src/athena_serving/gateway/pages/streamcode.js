// A session as code to copy. Sound is read from a file and goes out in frames; anything else fits into one.

import { inputsOf, outputsOf } from "./api.js";
import { frameSize } from "./pcm.js";
import { isSampled, sampled } from "./requests.js";
import { FileData, curl, hasFiles, written } from "./samples.js";

const USUAL_FILE = "speech.wav"; // where none was chosen

/** The languages in which a session with this service is shown; curl only where its input is not a stream itself. */
export function streamLanguages(operation) {
  const hasSound = Object.values(inputsOf(operation)).some(({ kind }) => kind === "audio");
  const socketed = (write) => (url, request) => write(url.replace(/^http/, "ws"), plan(operation, request));
  return { ...(!hasSound && { curl: events }), Python: socketed(python), JavaScript: socketed(javascript) };
}

/** Server-sent events: one request, its pieces as they come. */
const events = (url, request) => curl(url, request, "-N", "Accept: text/event-stream");

/** What the code has to do: the first frame, the sound that follows in pieces, the output that is worth showing. */
function plan(operation, request) {
  const known = inputsOf(operation);
  const key = Object.keys(known).find((one) => known[one].kind === "audio");
  const blocks = Object.entries(request.payload ?? {}).filter(([name]) => name !== key);
  const payload = Object.fromEntries(blocks.map(([name, block]) => [name, { ...block, status: 2 }]));
  const [output] = outputsOf(operation);
  const shown = output && { ...output, isText: Object.values(request.parameter ?? {}).some((one) => one[output.key]?.format === "text") };
  if (key === undefined) return { frame: { ...request, header: { ...request.header, status: 2 }, payload }, shown };
  const { audio, ...block } = request.payload?.[key] ?? {};
  const isRaw = isSampled(block);
  const said = isRaw ? sampled(block, known[key].block) : block;
  const { app_id: id, appid = id } = request.header ?? {};
  const header = id === undefined ? { appid } : { app_id: id };
  const name = audio instanceof FileData ? audio.name : USUAL_FILE;
  const sound = { key, name: isRaw && !/\.(wav|raw|pcm)$/i.test(name) ? USUAL_FILE : name, isRaw, header, rate: said.sample_rate ?? 16000 };
  return { frame: { ...request, payload: { ...payload, [key]: said } }, sound, shown };
}

const oneLine = (header) => JSON.stringify(header).replace('":', '": ');
const about = ({ rate, isRaw }) => (isRaw ? `${rate} Hz, 16 bits, one channel` : "");

// ── Python ────────────────────────────────────────────────────────────────────────────────────────

const DATA = `

def data(path):
    return base64.b64encode(Path(path).read_bytes()).decode()
`;

function python(url, { frame, sound, shown }) {
  const file = ({ name }) => `data(${JSON.stringify(name)})`;
  const words = { null: "None", true: "True", false: "False" };
  const isWave = sound?.isRaw && /\.wav$/i.test(sound.name);
  const reads = hasFiles(frame);
  const paths = reads || (sound && !isWave);
  const imports = [
    (sound || reads || (shown && shown.kind !== "text")) && "import base64", "import json", sound && "import threading", isWave && "import wave",
    paths && "from pathlib import Path",
  ].filter(Boolean).join("\n");
  return `${imports}

from websockets.sync.client import connect
${reads ? `${DATA}\n` : ""}
request = ${written(frame, { step: "    ", end: ",", words, file })}
${sound ? pythonSend(sound, isWave) : ""}
${pythonReceive(url, sound, shown)}`;
}

function pythonSend(sound, isWave) {
  const { key, name, header } = sound;
  const path = JSON.stringify(name);
  const read = isWave
    ? `    with wave.open(${path}) as file:  # ${about(sound)}\n        sound = file.readframes(file.getnframes())`
    : `    sound = Path(${path}).read_bytes()${sound.isRaw ? `  # ${about(sound)}` : ""}`;
  const step = frameSize(sound.rate);
  return `

def send(socket):
${read}
    frame = request
    for at in range(0, len(sound), ${step}):${sound.isRaw ? "  # 40 ms each" : ""}
        status = 2 if at + ${step} >= len(sound) else min(at, 1)
        piece = base64.b64encode(sound[at : at + ${step}]).decode()
        frame["header"]["status"] = status
        frame["payload"].setdefault(${JSON.stringify(key)}, {}).update(audio=piece, status=status)
        socket.send(json.dumps(frame))
        frame = {"header": ${oneLine(header)}, "payload": {}}

`;
}

function pythonReceive(url, sound, shown) {
  const isSound = shown && shown.kind !== "text";
  const key = JSON.stringify(shown?.key);
  const first = sound ? "threading.Thread(target=send, args=[socket]).start()" : "socket.send(json.dumps(request))";
  const target = isSound ? `, open(${JSON.stringify(`${shown.key}.${shown.kind === "audio" ? "raw" : "bin"}`)}, "wb") as file` : "";
  const use = isSound
    ? `file.write(base64.b64decode(output[${JSON.stringify(shown.kind)}]))`
    : `print(output["text"]${shown?.isText ? ', end="", flush=True' : ""})`;
  const show = shown ? `
        if output := answer.get("payload", {}).get(${key}):
            ${use}` : "";
  return `with connect(${JSON.stringify(url)}) as socket${target}:
    ${first}
    for message in socket:
        answer = json.loads(message)
        if answer["header"]["code"] != 0:
            raise SystemExit(message)${show}
        if answer["header"]["status"] == 2:
            break`;
}

// ── JavaScript ────────────────────────────────────────────────────────────────────────────────────

function javascript(url, { frame, sound }) {
  const file = ({ name }) => `await data(${JSON.stringify(name)})`;
  const reads = hasFiles(frame);
  const head = [
    (sound || reads) && 'import { readFile } from "node:fs/promises";\n',
    reads && 'const data = (path) => readFile(path, "base64");',
    sound && `const sound = ${javascriptRead(sound)}`,
  ].filter(Boolean).map((line) => `${line}\n`).join("");
  return `${head}const request = ${written(frame, { step: "  ", file })};
const socket = new WebSocket(${JSON.stringify(url)});
socket.onopen = () => ${sound ? javascriptSend(sound) : "socket.send(JSON.stringify(request));"}
socket.onmessage = ({ data }) => {
  const { header, payload } = JSON.parse(data);
  if (header.code !== 0) console.error(header.code, header.message);
  else if (payload) console.log(payload);
  if (header.code !== 0 || header.status === 2) socket.close();
};`;
}

function javascriptRead(sound) {
  const read = `await readFile(${JSON.stringify(sound.name)})`;
  if (!sound.isRaw) return `${read};`;
  return /\.wav$/i.test(sound.name) ? `(${read}).subarray(44); // ${about(sound)}` : `${read}; // ${about(sound)}`;
}

function javascriptSend({ key, header, rate, isRaw }) {
  const step = frameSize(rate);
  const name = JSON.stringify(key);
  return `{
  let frame = request;
  for (let at = 0; at < sound.length; at += ${step}) {${isRaw ? " // 40 ms each" : ""}
    const status = at + ${step} >= sound.length ? 2 : Math.min(at, 1);
    const audio = sound.subarray(at, at + ${step}).toString("base64");
    frame.header.status = status;
    frame.payload[${name}] = { ...frame.payload[${name}], audio, status };
    socket.send(JSON.stringify(frame));
    frame = { header: ${oneLine(header)}, payload: {} };
  }
};`;
}
