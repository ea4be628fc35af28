"""Stream a .wav or .raw file to a running service by WebSocket, and print the text as it changes.

    .venv/bin/athena serve examples/03-iat                       # in one terminal
    .venv/bin/python examples/03-iat/client.py recording.wav     # in another; without a file: sample.wav

A frame of 40 ms goes out every 40 ms, as from a microphone; with --fast at once. The exit code is 0 once the text is
final.
"""

import argparse
import base64
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

FRAME = 1_280
"""Bytes in 40 ms of 16-bit mono PCM of 16,000 samples a second."""

PACE = 0.04
"""Seconds from one frame to the next."""

BEGIN, CONTINUE, END = 0, 1, 2
"""Where a frame stands in its session (http-api.md 2.4)."""


class RefusedError(Exception):
    """The server answered with an error; the message is its."""


def frames(sound: bytes) -> Iterator[str]:
    """A session's frames, as JSON: the first with status 0, the last with 2, a lone one with 2 (http-api.md 7.2)."""
    cuts = range(0, len(sound), FRAME) or (0,)  # no sound is a session too: the server says what is wrong with it
    for start in cuts:
        status = END if start + FRAME >= len(sound) else CONTINUE if start else BEGIN
        data = base64.b64encode(sound[start : start + FRAME]).decode()
        audio = {"audio": data, "encoding": "raw", "status": status}
        yield json.dumps({"header": {"app_id": "123456", "status": status}, "payload": {"audio": audio}})


def send(connection: ClientConnection, sound: bytes, *, pace: float) -> None:
    """Send all frames, one every `pace` seconds; stops early if the server has had enough."""
    began = time.monotonic()
    with suppress(ConnectionClosed):  # whoever reads learns why
        for number, frame in enumerate(frames(sound)):
            time.sleep(max(0.0, began + number * pace - time.monotonic()))
            connection.send(frame)


def results(connection: ClientConnection) -> Iterator[dict[str, Any]]:
    """The service's results, as they come, until its last step. Raises RefusedError with the server's words."""
    for message in connection:
        answer = json.loads(message)
        header = answer["header"]
        if header["code"] != 0:
            raise RefusedError(f"{header['code']}: {header['message']}")
        result = answer.get("payload", {}).get("result", {}).get("text")
        if isinstance(result, dict):  # the first answer and the last one may have no data
            yield result
        if header.get("status") == END:
            return
    raise RefusedError("the server closed the connection before the text was final")


def show(text: str, *, final: bool) -> None:
    """On a terminal one line that changes; elsewhere a line for each change."""
    if not sys.stdout.isatty():
        print(f"{'final' if final else '  ...'}  {text}", flush=True)
        return
    width = shutil.get_terminal_size().columns - 1
    shown = text if final else text[-width:]
    print(f"\r\033[K{shown}", end="\n" if final else "", flush=True)


def recognise(url: str, sound: bytes, *, pace: float) -> None:
    """One session: send the sound, show the text. Raises RefusedError, or OSError if nobody is there."""
    with connect(url, proxy=None) as connection:
        sender = threading.Thread(target=send, args=(connection, sound), kwargs={"pace": pace}, daemon=True)
        sender.start()
        for result in results(connection):
            show(result["text"], final=result["final"])


def main(arguments: list[str]) -> int:
    """Run the client; the exit code is 0 only if the text became final."""
    parser = argparse.ArgumentParser(description="Stream a sound file to a speech service and print the text.")
    parser.add_argument("file", nargs="?", type=Path, default=Path(__file__).with_name("sample.wav"))
    parser.add_argument("--url", default="ws://127.0.0.1:1888/v1/private/iat")
    parser.add_argument("--fast", action="store_true", help="as fast as the server takes it, not in real time")
    chosen = parser.parse_args(arguments)
    try:
        recognise(chosen.url, chosen.file.read_bytes(), pace=0.0 if chosen.fast else PACE)
    except (RefusedError, OSError, ConnectionClosed, InvalidHandshake, InvalidURI) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
