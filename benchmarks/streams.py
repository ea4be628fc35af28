"""Requests whose answers are streams: chunks of text, over events and over a WebSocket, and paced sound."""

import base64
import random
from collections.abc import Callable

import msgspec

from benchmarks.exchanges import EVENTS, Dialect, Exchange, Stream, Text, envelope

PIECES = [f"piece {number:010d}" for number in range(100)]
"""Chunks of sixteen bytes; the services' and the peers' are the same."""
MARK = b"piece "
FRAME_BYTES = 1280
"""Forty milliseconds of sound at 16 kHz and 16 bit, as ASF's own client sends them (http-api.md 8.5)."""
FRAME_SECONDS = 0.040
END = b'"status":2'
"""In the header of the envelope that ends a session (http-api.md 7)."""


class _Header(msgspec.Struct):
    code: int
    status: int = 0


class _Output(msgspec.Struct):
    text: str = ""
    audio: str = ""


class _Step(msgspec.Struct):
    """One answer of a session."""

    header: _Header
    payload: dict[str, _Output] = {}


def events() -> dict[Dialect, Exchange]:
    """One text in, a hundred pieces out, each in an event of its own, all in the order in which they were yielded."""
    stream = Stream(MARK, len(PIECES))
    asked = envelope("chunks", kind="text", encoding="utf8", data=b"go", wanted="text")
    return {
        Dialect.ASE: Exchange(
            "/v1/private/chunks", asked, lambda answer: _texts(_data(answer)) == PIECES, accept=EVENTS, stream=stream
        ),
        Dialect.PLAIN: Exchange(
            "/chunks",
            msgspec.json.encode(Text("go")),
            lambda answer: [line.decode() for line in _data(answer)] == PIECES,
            accept=EVENTS,
            stream=stream,
        ),
    }


def frames() -> dict[Dialect, Exchange]:
    """The same over a WebSocket: one frame in, a hundred out, then the end; each session has its own connection."""
    asked = envelope("chunks", kind="text", encoding="utf8", data=b"go", wanted="text", status=2)
    return {
        Dialect.ASE: Exchange(
            "/v1/private/chunks",
            asked,
            lambda answer: _texts(answer.splitlines()) == PIECES,
            accept=EVENTS,
            stream=Stream(MARK, len(PIECES), end=END),
        ),
        Dialect.PLAIN: Exchange(
            "/chunks",
            msgspec.json.encode(Text("go")),
            lambda answer: answer.decode().splitlines() == PIECES,
            accept=EVENTS,
            stream=Stream(MARK, len(PIECES)),
        ),
    }


def audio(service: str) -> dict[Dialect, Exchange]:
    """A session of sound: every frame comes back. Only in the dialect that has sessions."""
    sound = random.Random(3).randbytes(FRAME_BYTES)
    first = envelope(service, kind="audio", encoding="raw", data=sound, status=0)
    following, last = (_later(sound, status) for status in (1, 2))
    # Six bits a letter: 48 letters of base64 are 36 bytes of sound that nothing else in an envelope looks like.
    mark = base64.b64encode(sound)[:48]
    stream = Stream(mark, pieces=0, end=END, following=following, last=last)
    return {
        Dialect.ASE: Exchange(
            f"/v1/private/{service}", first, lambda answer: _sounds(answer) == [sound] * 3, stream=stream
        )
    }


def _later(sound: bytes, status: int) -> bytes:
    """A session's frame after its first: without parameters (http-api.md 7)."""
    stream = {"audio": base64.b64encode(sound).decode(), "status": status}
    return msgspec.json.encode({"header": {"app_id": "bench", "status": status}, "payload": {"data": stream}})


def _data(events: bytes) -> list[bytes]:
    """The data of each event of a body; comments and other fields are no data (HTML standard, 9.2.6)."""
    return [line.removeprefix(b"data:").strip() for line in events.splitlines() if line.startswith(b"data:")]


def _steps(lines: list[bytes]) -> list[_Step]:
    """A whole session. Raises `ValueError` if a step is an error or the last is not the end."""
    steps = [msgspec.json.decode(line, type=_Step) for line in lines]
    if not steps or any(step.header.code for step in steps) or steps[-1].header.status != 2:
        raise ValueError("no whole session")
    return steps


def _outputs(lines: list[bytes], read: Callable[[_Output], str]) -> list[str]:
    """What each step carries in its output `result`; steps that only acknowledge or end carry nothing."""
    found = (read(step.payload["result"]) for step in _steps(lines) if "result" in step.payload)
    return [one for one in found if one]


def _texts(lines: list[bytes]) -> list[str]:
    return _outputs(lines, lambda output: output.text)


def _sounds(answer: bytes) -> list[bytes]:
    outputs = _outputs(answer.splitlines(), lambda output: output.audio)
    return [base64.b64decode(one, validate=True) for one in outputs]
