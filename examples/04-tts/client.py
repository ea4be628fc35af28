"""Let the service of this folder speak: by WebSocket, into a .wav file that grows as the sound arrives.

python examples/04-tts/client.py "The owl looked at the lantern." -o owl.wav
python examples/04-tts/client.py -o - < story.txt | aplay -q -t raw -f S16_LE -r 22050    # line by line, played at once
"""

import argparse
import base64
import contextlib
import json
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

URL = "ws://127.0.0.1:1888/v1/private/tts"
FIRST, NEXT, LAST = 0, 1, 2  # a frame's status; a text of one frame is LAST at once

Write = Callable[[bytes, int], None]
"""Takes samples (16 bits, one channel) and their rate in hertz."""


class ServiceError(Exception):
    """The service said no, or left; the message has its words."""


def frames(texts: Iterable[bytes], parameter: dict[str, object]) -> Iterator[str]:
    """The frames of a session, one for each text; parameters go with the first."""
    status = FIRST
    for text in texts:
        yield frame(text, status, parameter)
        status, parameter = NEXT, {}
    yield frame(b"", LAST, parameter)


def frame(text: bytes, status: int, parameter: dict[str, object]) -> str:
    """One frame: JSON with the text in base64."""
    payload = {"text": {"text": base64.b64encode(text).decode(), "status": status}}
    message = {"header": {"app_id": "123456", "status": status}, "payload": payload}
    return json.dumps(message | ({"parameter": {"tts": parameter}} if parameter else {}))


def send(socket: ClientConnection, messages: Iterable[str]) -> None:
    """Send all frames; a session that has ended meanwhile needs no more of them."""
    with contextlib.suppress(ConnectionClosed):
        for message in messages:
            socket.send(message)


def results(socket: ClientConnection) -> Iterator[Any]:
    """What the service answers, up to its last frame. Raises ServiceError."""
    for message in socket:
        answer = json.loads(message)
        header = answer["header"]
        if header["code"] != 0:
            raise ServiceError(f"{header['message']} (code {header['code']})")
        yield answer
        if header.get("status") == LAST:
            return
    raise ServiceError("the service left before its last frame")


def speak(socket: ClientConnection, messages: Iterable[str], write: Write) -> None:
    """Send the text and write the sound as it comes; stderr hears when the first came, and how long all of it is."""
    samples, rate, began = 0, 1, time.monotonic()
    # Sound comes while text still goes out: sending has a thread of its own, which may end with the process.
    threading.Thread(target=send, args=(socket, messages), name="text out", daemon=True).start()
    for answer in results(socket):
        audio = answer.get("payload", {}).get("audio", {})
        data = base64.b64decode(audio.get("audio", ""))
        if not data:
            continue
        if not samples:
            print(f"first sound after {1000 * (time.monotonic() - began):.0f} ms", file=sys.stderr)
        rate = audio["sample_rate"]
        samples += len(data) // 2
        write(data, rate)
    print(f"{samples / rate:.1f} s of sound in {time.monotonic() - began:.2f} s", file=sys.stderr)


@contextlib.contextmanager
def writer(path: str) -> Iterator[Write]:
    """Writes to a .wav file, whose header is right after every piece; to stdout, as raw samples, for `-`."""
    if path == "-":
        yield write_raw
        return
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)  # of a file without any sound

        def write(data: bytes, rate: int) -> None:
            if not file.tell():
                file.setframerate(rate)
            file.writeframes(data)

        yield write


def write_raw(data: bytes, _: int) -> None:
    """Samples to stdout, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main() -> int:
    """Run the client; 1 if the service cannot be reached, or says no."""
    parser = argparse.ArgumentParser(description="Let the text-to-speech service speak.")
    parser.add_argument("text", nargs="?", help="without it: the lines of stdin, each spoken as soon as it is there")
    parser.add_argument("-o", "--output", default="out.wav", help=".wav file; - is raw samples to stdout (%(default)s)")
    parser.add_argument("--url", default=URL, help="(%(default)s)")
    parser.add_argument("--voice", help="language: en, zh, de, ...")
    parser.add_argument("--speed", type=int, help="words a minute, 80 to 450")
    parser.add_argument("--pitch", type=int, help="0 low to 99 high")
    chosen = parser.parse_args()
    said = {"voice": chosen.voice, "speed": chosen.speed, "pitch": chosen.pitch}
    parameter: dict[str, object] = {name: value for name, value in said.items() if value is not None}
    if chosen.text is None:
        # Without a buffer: Python would end badly while the thread that sends still waits in one for a line.
        messages = frames(open(sys.stdin.fileno(), "rb", buffering=0, closefd=False), parameter)  # noqa: SIM115
    else:
        messages = iter([frame(chosen.text.encode(errors="surrogateescape"), LAST, parameter)])
    try:
        with connect(chosen.url, proxy=None) as socket, writer(chosen.output) as write:
            speak(socket, messages, write)
    except (ServiceError, WebSocketException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}\nwhere: {chosen.url}\nhelp: athena serve examples/04-tts", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
