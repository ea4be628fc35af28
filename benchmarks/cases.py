"""What is asked of every server: a request in each dialect, and what a right answer is."""

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


class Dialect(Enum):
    """How a server wants the same request written."""

    ASE = "an ASE envelope (http-api.md 2.2)"
    PLAIN = "a JSON object of one member"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the judge of its answer."""

    path: str
    body: bytes
    judge: Callable[[bytes], bool]
    """Compares the body of an answer; may raise when it is not even of the right shape."""

    def is_right(self, answer: bytes) -> bool:
        """Is this body of a 200 the answer?"""
        try:
            return self.judge(answer)
        except (msgspec.MsgspecError, ValueError, KeyError):
            return False


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load."""

    name: str
    group: str
    """What `--only` selects."""
    title: str
    service: str
    """Folder in `services/`, serviceId of its wrapper, path in the peers."""
    concurrency: int
    """Connections, each with one request in flight."""
    workers: int
    """Processes that run user code."""
    exchanges: dict[Dialect, Exchange]


class _Header(msgspec.Struct):
    code: int
    message: str = ""


class _Output(msgspec.Struct):
    text: str


class _Envelope(msgspec.Struct):
    header: _Header
    payload: dict[str, _Output]


class _Echoed(msgspec.Struct):
    text: str


class _Checked(msgspec.Struct):
    crc32: int
    length: int


class _Burnt(msgspec.Struct):
    burnt_us: int


def every_case() -> tuple[Case, ...]:
    """All cases in the order of the report."""
    echo, varied, image, burn = _echo(), _echo(uid=VARYING), _image(), _burn()
    return (
        Case("echo at 1", "echo", "echo of 1 KB, one caller", "echo", 1, 1, echo),
        Case("echo at 32", "echo", "echo of 1 KB, 32 callers", "echo", 32, 1, echo),
        Case("echo at 32, new uid", "echo", "the same, another envelope in every request", "echo", 32, 1, varied),
        Case("image at 8", "image", "CRC32 of a 200 KB picture, 8 callers", "crc", 8, 1, image),
        Case("burn at 16", "burn", "2 ms of CPU, 16 callers, two workers", "burn", 16, 2, burn),
    )


def _echo(*, uid: str = "11111111") -> dict[Dialect, Exchange]:
    """Text in, the same text out; both dialects' requests have the same size, and what varies in one does in both."""
    text = _letters(TEXT_BYTES)
    envelope = _envelope("echo", kind="text", encoding="utf8", data=text.encode(), uid=uid)
    echoed = _Echoed(uid + _letters(len(envelope) - len(msgspec.json.encode(_Echoed(uid)))))
    return {
        Dialect.ASE: Exchange("/v1/private/echo", envelope, lambda answer: _result(answer) == text.encode()),
        Dialect.PLAIN: Exchange(
            "/echo",
            msgspec.json.encode(echoed),
            lambda answer: msgspec.json.decode(answer, type=_Echoed) == echoed,
        ),
    }


def _image() -> dict[Dialect, Exchange]:
    """A picture in, its checksum and length out: what a server does to a big body before user code has it."""
    picture = random.Random(2).randbytes(IMAGE_BYTES)
    expected = _Checked(crc32=zlib.crc32(picture), length=len(picture))
    return _alike(
        "crc",
        ase=_envelope("crc", kind="image", encoding="jpg", data=picture),
        plain=msgspec.json.encode({"image": base64.b64encode(picture).decode()}),
        judge=lambda answer: msgspec.json.decode(answer, type=_Checked) == expected,
    )


def _burn() -> dict[Dialect, Exchange]:
    """Next to nothing in and out, two milliseconds of work between: does every worker get its share?"""
    return _alike(
        "burn",
        ase=_envelope("burn", kind="text", encoding="utf8", data=b"burn"),
        plain=msgspec.json.encode(_Echoed("burn")),
        judge=lambda answer: msgspec.json.decode(answer, type=_Burnt).burnt_us >= BURN_US,
    )


def _alike(service: str, *, ase: bytes, plain: bytes, judge: Callable[[bytes], bool]) -> dict[Dialect, Exchange]:
    """Exchanges whose answer is the same JSON: the whole body for peers, the output `result` in an envelope."""
    return {
        Dialect.ASE: Exchange(f"/v1/private/{service}", ase, lambda answer: judge(_result(answer))),
        Dialect.PLAIN: Exchange(f"/{service}", plain, judge),
    }


def _letters(count: int) -> str:
    """Text without repetition, the same in every run; ASCII that JSON need not escape."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz 0123456789", k=count))


def _envelope(service: str, *, kind: str, encoding: str, data: bytes, uid: str = "11111111") -> bytes:
    """A once-request with one input stream, `data` (http-api.md 2.2 to 2.6)."""
    stream = {"encoding": encoding, kind: base64.b64encode(data).decode(), "status": 3}
    return msgspec.json.encode(
        {
            "header": {"app_id": "bench", "uid": uid, "status": 3},
            "parameter": {service: {}},
            "payload": {"data": stream},
        }
    )


def _result(answer: bytes) -> bytes:
    """The bytes of the output `result` (http-api.md 3.1; base64 unless the caller asked for JSON, 3.3)."""
    envelope = msgspec.json.decode(answer, type=_Envelope)
    if envelope.header.code != 0:
        return b""
    return base64.b64decode(envelope.payload["result"].text, validate=True)
