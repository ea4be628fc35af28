"""Kinds of values: what a setting takes, how a word on the command line becomes one, how it is written in TOML.

A kind stands in the annotation of a field (`port: Annotated[int, whole(low=0)]`), so that name, type, bounds and
unit of a setting are in one place. Both functions of a kind raise ValueError without words: whoever asked knows the
setting and its origin, and says `wanted`.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated


def _show(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What values a setting takes."""

    wanted: str
    """Ends the sentence "server.port must be ...": `a whole number from 0 to 65535`."""
    check: Callable[[object], object]
    """From a TOML value to the setting's value. Raises ValueError."""
    parse: Callable[[str], object] = str
    """From a word (environment, command line) to what TOML would have held. Raises ValueError."""
    show: Callable[[object], str] = _show
    """The value as TOML writes it."""
    unit: str = ""
    """`s`, `ms`, `bytes`, or nothing."""


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────


def whole(*, low: int, high: int | None = None) -> Kind:
    """Whole numbers from `low` to `high`, or without an end."""

    def check(value: object) -> object:
        # A bool is an int to Python, not to the person who wrote `port = true`.
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            raise ValueError
        return value

    wanted = f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more"
    return Kind(wanted=wanted, check=check, parse=int)


YEAR = 31_536_000.0
"""Seconds; the longest time that a setting takes: the system's own timers overflow at some larger number."""


def seconds(*, zero: bool = False) -> Kind:
    """Seconds, whole or not, above 0; with `zero` also 0 itself."""

    def check(value: object) -> object:
        match value:
            case bool():
                raise ValueError
            case int() | float() if 0 < value <= YEAR or (zero and value == 0):  # neither holds for nan
                return float(value)
            case _:
                raise ValueError

    wanted = f"a number of seconds, {'0 or more' if zero else 'more than 0'} and at most a year"
    return Kind(wanted=wanted, check=check, parse=float, unit="s")


def milliseconds() -> Kind:
    """Milliseconds, whole or not, from 0 to a minute."""
    wanted = "a number of milliseconds, 0 or more and at most a minute"
    return Kind(wanted=wanted, check=_number(most=60_000.0), parse=float, unit="ms")


def amount() -> Kind:
    """Any number that is not negative."""
    return Kind(wanted="a number, 0 or more", check=_number(most=1e300), parse=float)


def _number(*, most: float) -> Callable[[object], object]:
    def check(value: object) -> object:
        match value:
            case bool():
                raise ValueError
            case int() | float() if 0 <= value <= most:
                return float(value)
            case _:
                raise ValueError

    return check


_SIZE = re.compile(r"(\d{1,15}) ?(?:([kmgt])(i?))?(b?)", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Bytes, from `64MiB` (powers of 1024), `512kB` (powers of 1000) or `1000`. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    # "64M" leaves open which of the two is meant.
    if match is None or (match[2] and not match[4]):
        raise ValueError
    power = " kmgt".index(match[2].lower()) if match[2] else 0
    factor: int = (1024 if match[3] else 1000) ** power
    return int(match[1]) * factor


def show_size(count: int) -> str:
    """The shortest exact way to say a number of bytes: `64MiB`. `parse_size` reads it."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return str(count)


def size(*, low: int) -> Kind:
    """Bytes, as a whole number or as text with a unit; at least `low`."""

    def check(value: object) -> object:
        count = parse_size(value) if isinstance(value, str) else value
        if not isinstance(count, int) or isinstance(count, bool) or count < low:
            raise ValueError
        return count

    def show(value: object) -> str:
        text = show_size(value) if isinstance(value, int) else str(value)
        return text if text.isdigit() else json.dumps(text)

    wanted = f'a number of bytes or a size such as "64MiB", {show_size(low)} or more'
    return Kind(wanted=wanted, check=check, show=show, unit="bytes")


# ── words ─────────────────────────────────────────────────────────────────────────────────────────


def choice(*words: str) -> Kind:
    """One of a few words."""

    def check(value: object) -> object:
        if value not in words:
            raise ValueError
        return value

    return Kind(wanted=" or ".join(json.dumps(word) for word in words), check=check)


def text(pattern: str, *, wanted: str) -> Kind:
    """A string that the whole of `pattern` matches."""
    compiled = re.compile(pattern)

    def check(value: object) -> object:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError
        return value

    return Kind(wanted=wanted, check=check)


_SWITCH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _check_switch(value: object) -> object:
    match value:
        case bool():
            return value
        case _:
            raise ValueError


def _parse_switch(word: str) -> object:
    try:
        return _SWITCH[word.lower()]
    except KeyError:
        raise ValueError from None


def _check_list(value: object) -> object:
    match value:
        case list() | tuple():
            return tuple(stringify(item) for item in value)
        case _:
            raise ValueError


def _parse_list(word: str) -> object:
    # A device of several cards holds commas itself: "0,1;2,3" is two devices.
    return [item.strip() for item in word.split(";" if ";" in word else ",") if item.strip()]


# ── tables of strings ─────────────────────────────────────────────────────────────────────────────


def stringify(value: object) -> str:
    """One TOML value as the string that a wrapper gets (wrapper.md 4.4).

    Strings as they are, integers decimal, `true` / `false`, floats shortest and without an exponent (Go's 'f', -1).
    Raises ValueError for arrays, tables and dates.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value - value == 0:  # finite
            return format(Decimal(repr(value)), "f").removesuffix(".0")
        case float():
            return {"inf": "+Inf", "-inf": "-Inf"}.get(repr(value), "NaN")
        case _:
            raise ValueError


TEXT = text(r"[^\x00-\x1f]*", wanted="a string of printable characters")
Count = Annotated[int, whole(low=1)]
Seconds = Annotated[float, seconds()]
Pause = Annotated[float, seconds(zero=True)]
"""Seconds, where 0 means: do not wait."""
Switch = Annotated[bool, Kind(wanted="true or false", check=_check_switch, parse=_parse_switch)]
Port = Annotated[int, whole(low=0, high=65535)]
Host = Annotated[str, text(r"[\w.:%-]+", wanted="a host name or an address")]
Segment = Annotated[str, text(r"[^\s/?#%]*", wanted='a string without spaces, "/", "?", "#" or "%"')]
"""A piece of a URL's path."""
Names = Annotated[tuple[str, ...], Kind(wanted='a list such as ["0", "1"]', check=_check_list, parse=_parse_list)]
ENTRY = Kind(wanted="a string, a number, true or false (arrays and dates have no text)", check=stringify)
"""One value of a table of strings."""
