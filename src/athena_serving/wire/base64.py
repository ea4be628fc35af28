"""Base64 as Go's decoder has it (http-api.md 2.7): which text it takes, and where it says that it stopped.

Standard alphabet, padding required, line ends anywhere; bits that are left over in the last digit are ignored.
"""

import re
from typing import Final

import pybase64

_DIGITS: Final = re.compile(r"[A-Za-z0-9+/\r\n]*")
_LINE_ENDS: Final = re.compile(r"[\r\n]*")


class Illegal(ValueError):
    """Text that is no base64; the message is Go's."""

    def __init__(self, place: int) -> None:
        super().__init__(f"illegal base64 data at input byte {place}")
        self.place = place
        """Byte at which Go would stop, as it counts."""


def decode(value: str) -> bytes:
    """The bytes of a text. Raises `Illegal`."""
    try:
        return pybase64.b64decode(value, validate=True)
    except ValueError:
        place = _fault(value)
    if place >= 0:
        raise Illegal(place)
    return pybase64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)


def _fault(value: str) -> int:
    """Where Go's decoder would stop; -1 if it would not."""
    stop = _skip(_DIGITS, value, 0)
    over = (stop - value.count("\r", 0, stop) - value.count("\n", 0, stop)) % 4
    if stop == len(value):
        return stop - over if over else -1
    if value[stop] != "=" or over < 2:
        return stop
    end = _skip(_LINE_ENDS, value, stop + 1)
    if over == 2:  # two digits left over want two signs of padding
        if value[end : end + 1] != "=":
            return end if end == len(value) else end - 1
        end = _skip(_LINE_ENDS, value, end + 1)
    return -1 if end == len(value) else end


def _skip(pattern: re.Pattern[str], value: str, start: int) -> int:
    found = pattern.match(value, start)
    return found.end() if found else start
