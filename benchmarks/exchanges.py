"""What one request says, in each server's dialect, and who judges the answer: shared parts, and those of once-calls."""

import base64
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import msgspec

TEXT_BYTES = 700
"""Text of the echo case; as base64 in an envelope it makes a request of about 1 KB."""
IMAGE_BYTES = 200 * 1024
"""Picture of the image case; random bytes, since nobody decodes it. As base64 it is 267 KiB."""
VARYING = "@@@@@@@@"
"""What `post.lua` replaces by another number in every request."""
BURN_US = 2000
"""CPU that one call of the burn case takes at least, in microseconds; the servers' `burn` has the same number."""
JSON = "application/json"
EVENTS = "text/event-stream"


class Dialect(Enum):
    """How a server wants the same request written."""

    ASE = "an ASE envelope (http-api.md 2.2)"
    PLAIN = "a JSON object of one member"
    LISTED = "a JSON object of one member, a list"


class Stream(msgspec.Struct, frozen=True):
    """How a caller reads a stream, without parsing more than it must."""

    mark: bytes
    """Stands in every piece once, and nowhere else in an answer."""
    pieces: int
    """Pieces of one answer; of a paced session, 0: as many as were sent."""
    end: bytes = b""
    """Stands in the last frame of a WebSocket session, before its payload. Empty: the server closes after its last."""
    following: bytes = b""
    """The frame that a paced session sends again and again after its first."""
    last: bytes = b""
    """The frame that ends a paced session."""

    def is_end(self, text: bytes) -> bool:
        """Does the header of this message say that the session is over? Without an `end` no message does."""
        return bool(self.end) and self.end in text and self.end in text.partition(b'"payload"')[0]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the judge of its answer."""

    path: str
    body: bytes
    """Body of the POST; over a WebSocket the first frame."""
    judge: Callable[[bytes], bool]
    """Compares the body of an answer, or a session's frames, one a line; may raise when the shape is wrong."""
    accept: str = JSON
    """The Accept header of a POST."""
    stream: Stream | None = None
    """Of cases whose answers are streams."""

    def is_right(self, answer: bytes) -> bool:
        """Is this body of a 200 the answer?"""
        try:
            return self.judge(answer)
        except (msgspec.MsgspecError, ValueError, KeyError):
            return False


class _Header(msgspec.Struct):
    code: int
    message: str = ""


class _Output(msgspec.Struct):
    text: str


class _Envelope(msgspec.Struct):
    header: _Header
    payload: dict[str, _Output]


class Text(msgspec.Struct):
    """The peers' request, and their answer where it is text."""

    text: str


class _Checked(msgspec.Struct):
    crc32: int
    length: int


class _Burnt(msgspec.Struct):
    burnt_us: int


def echo(*, uid: str = "11111111") -> dict[Dialect, Exchange]:
    """Text in, the same text out; both dialects' requests have the same size, and what varies in one does in both."""
    return _same("echo", text=_letters(TEXT_BYTES), uid=uid)


def image() -> dict[Dialect, Exchange]:
    """A picture in, its checksum and length out: what a server does to a big body before user code has it."""
    picture = random.Random(2).randbytes(IMAGE_BYTES)
    expected = _Checked(crc32=zlib.crc32(picture), length=len(picture))
    return _alike(
        "crc",
        ase=envelope("crc", kind="image", encoding="jpg", data=picture),
        plain=msgspec.json.encode({"image": base64.b64encode(picture).decode()}),
        judge=lambda answer: msgspec.json.decode(answer, type=_Checked) == expected,
    )


def burn() -> dict[Dialect, Exchange]:
    """Next to nothing in and out, two milliseconds of work between: does every worker get its share?"""
    return _alike(
        "burn",
        ase=envelope("burn", kind="text", encoding="utf8", data=b"burn"),
        plain=msgspec.json.encode(Text("burn")),
        judge=lambda answer: msgspec.json.decode(answer, type=_Burnt).burnt_us >= BURN_US,
    )


def batch() -> dict[Dialect, Exchange]:
    """A short text in and out, one item of a batch."""
    text = "item of a batch"
    listed = Exchange(
        "/batch", msgspec.json.encode({"text": [text]}), lambda answer: msgspec.json.decode(answer) == [text]
    )
    return {**_same("batch", text=text, uid="11111111"), Dialect.LISTED: listed}


def envelope(
    service: str, *, kind: str, encoding: str, data: bytes, uid: str = "11111111", status: int = 3, wanted: str = ""
) -> bytes:
    """A request of one input stream, `data` (http-api.md 2.2 to 2.6), or the first frame of a session.

    `wanted` is the format in which the output `result` is asked for; empty: base64.
    """
    return msgspec.json.encode(
        {
            "header": {"app_id": "bench", "uid": uid, "status": status},
            "parameter": {service: {"result": {"format": wanted}} if wanted else {}},
            "payload": {"data": {"encoding": encoding, kind: base64.b64encode(data).decode(), "status": status}},
        }
    )


def _same(service: str, *, text: str, uid: str) -> dict[Dialect, Exchange]:
    """Exchanges whose answer is the text of the request."""
    asked = envelope(service, kind="text", encoding="utf8", data=text.encode(), uid=uid)
    plain = Text(uid + _letters(len(asked) - len(msgspec.json.encode(Text(uid)))))
    return {
        Dialect.ASE: Exchange(f"/v1/private/{service}", asked, lambda answer: _result(answer) == text.encode()),
        Dialect.PLAIN: Exchange(
            f"/{service}",
            msgspec.json.encode(plain),
            lambda answer: msgspec.json.decode(answer, type=Text) == plain,
        ),
    }


def _alike(service: str, *, ase: bytes, plain: bytes, judge: Callable[[bytes], bool]) -> dict[Dialect, Exchange]:
    """Exchanges whose answer is the same JSON: the whole body for peers, the output `result` in an envelope."""
    return {
        Dialect.ASE: Exchange(f"/v1/private/{service}", ase, lambda answer: judge(_result(answer))),
        Dialect.PLAIN: Exchange(f"/{service}", plain, judge),
    }


def _letters(count: int) -> str:
    """Text without repetition, the same in every run; ASCII that JSON need not escape."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz 0123456789", k=count))


def _result(answer: bytes) -> bytes:
    """The bytes of the output `result` (http-api.md 3.1; base64 unless the caller asked for JSON, 3.3)."""
    found = msgspec.json.decode(answer, type=_Envelope)
    if found.header.code != 0:
        return b""
    return base64.b64decode(found.payload["result"].text, validate=True)
