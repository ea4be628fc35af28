"""Flags as programs in Go read them: `-m=0`, `-m 0` or `--m=0`; a switch is `-v`, or `-v=true`.

The first word without a dash ends the flags (pkg.go.dev/flag, "Command line flag syntax").
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from athena_serving.errors import UsageError

_SWITCH = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), "true")
_SWITCH |= dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), "")


class Flag(NamedTuple):
    """A flag that a program takes."""

    text: str
    """What it is for."""
    word: str = ""
    """What stands for its value in the usage text; a switch has none."""


class Parsed(NamedTuple):
    """What a command line says."""

    values: Mapping[str, str]
    """The flags that were given. A switch that is on is `true`, one that is off is empty."""
    rest: tuple[str, ...]
    """What comes after the flags."""


def parse(arguments: Sequence[str], flags: Mapping[str, Flag]) -> Parsed:
    """Read a command line. Raises UsageError for a flag that is not in `flags`, or has no value, or a wrong one."""
    values: dict[str, str] = {}
    words = list(arguments)
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name not in flags:
            raise _unknown(word, name, flags)
        if not flags[name].word:
            value = _switch(name, value if equals else "true")
        elif not equals:
            if not words:
                raise UsageError(f"-{name} needs a value", help=f"-{name}={flags[name].word}")
            value = words.pop(0)
        values[name] = value
    return Parsed(values, tuple(words))


def usage(flags: Mapping[str, Flag]) -> str:
    """A line for each flag."""
    shown = {f"-{name}={flag.word}" if flag.word else f"-{name}": flag.text for name, flag in flags.items()}
    width = max(map(len, shown))
    return "\n".join(f"  {left:<{width}}  {text}" for left, text in shown.items())


def _unknown(word: str, name: str, flags: Mapping[str, Flag]) -> UsageError:
    near = difflib.get_close_matches(name, flags, n=1)
    return UsageError(f"no flag {word}", help=f"did you mean -{near[0]}?" if near else "the flags are below")


def _switch(name: str, value: str) -> str:
    if value not in _SWITCH:
        raise UsageError(f"-{name} is a switch, and {value!r} is neither true nor false", help=f"-{name}")
    return _SWITCH[value]
