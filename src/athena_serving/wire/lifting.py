"""Lifting: long strings are taken out of a body before its JSON is decoded.

Decoding JSON costs time for every byte, and most bytes of most bodies are base64 that needs no JSON decoder at all. So
strings that may be data are looked for first; each is replaced by a *stand-in* that no caller can guess, and what is
left, the *skeleton*, is small. Whoever parses it must find every stand-in where data belong, or decode the body as it
came instead: lifting may only ever make things faster.

Two ways to find them. In a long body: hop through it, find the quotes around each landing place, and try to decode what
is between them as strict base64. If that succeeds, it *was* the inside of a string: the first quote has no backslash
before it, so it opens a string or closes one; had it closed one, the region up to the next quote would hold a comma,
colon, bracket or blank, and base64 has none of these. In a short one: what follows the name of the data field.
"""

import secrets
from typing import Final, NamedTuple

import pybase64

HOP: Final = 4096
"""Bytes between two landings, and the shortest string that a long body is searched for."""

_NONCE: Final = secrets.token_hex(16)
"""Start of every stand-in of this process; never leaves it."""
_FIRST: Final = f"{_NONCE}0"
_BACKSLASH: Final = 0x5C
_MOST_NAMES: Final = 4
"""Members of one name that are looked at."""

Body = bytes | bytearray


class Lifted(NamedTuple):
    """A string that was taken out of a body."""

    data: bytes
    length: int
    """Bytes of its base64 text."""


Strings = dict[str, Lifted]
"""Stand-in to what stood there."""


def lift(body: Body) -> tuple[bytes, Strings]:
    """`body` with its long base64 strings replaced by stand-ins, and these strings."""
    view = memoryview(body)
    kept: list[bytes | memoryview] = []
    strings: Strings = {}
    done = 0  # what is before this is in `kept`
    quote = 0  # nothing before this is looked at again, which keeps the whole walk linear
    while (end := body.find(b'"', quote + HOP)) >= 0:
        start = body.rfind(b'"', quote, quote + HOP) + 1
        if end - start >= HOP and start > 1 and body[start - 2] != _BACKSLASH:
            data = _decoded(view[start:end])
            if data is not None:
                stand_in = f"{_NONCE}{len(strings):x}"
                strings[stand_in] = Lifted(data, end - start)
                kept += (view[done:start], stand_in.encode())
                done = end
        quote = end
    kept.append(view[done:])
    return b"".join(kept), strings


def lift_member(body: Body, name: bytes) -> tuple[bytes, Strings]:
    """`body` with the value of its first text member of this name (quotes included) replaced, if that may be base64."""
    at = 0
    for _ in range(_MOST_NAMES):  # an input may be called what its data are: "audio": {"audio": "..."}
        at = body.find(name, at) + len(name)
        if at < len(name):
            break
        start = body.find(b'"', at) + 1
        if body[at : start - 1].strip() != b":":
            continue
        end = body.find(b'"', start)
        data = _decoded(memoryview(body)[start:end]) if start < end else None
        if data is None:
            break
        return b"".join((body[:start], _FIRST.encode(), body[end:])), {_FIRST: Lifted(data, end - start)}
    return b"", {}


def _decoded(text: memoryview) -> bytes | None:
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        return None
