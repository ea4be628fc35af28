"""Places in a schema document, and what must stand there: a refusal names the place and shows what it found."""

import difflib
import math
from collections.abc import Iterable

from athena_serving.errors import UsageError
from athena_serving.wire.meta import Node, text

Place = tuple[str | int, ...]
"""Path in the document: `("schemainput", "properties", "header")`."""

_LONGEST = 64


def where(place: Place) -> str:
    """A place as people read it: `schemainput.properties.header`."""
    return ".".join(map(str, place))


def refusal(place: Place, what: str, value: object) -> UsageError:
    """The error that says what must stand at `place`, and what does."""
    found = text(value)
    shown = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
    return UsageError(f"{where(place)} must be {what}", where=where(place), help=f"it is {shown!r}")


def stranger(kind: str, name: str, known: Iterable[str], place: Place) -> UsageError:
    """The error for a name that is none of those known; `kind` says what it names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    listed = f"known are {', '.join(names)}"
    return UsageError(
        f"{kind} {name!r} is unknown",
        where=where(place),
        help=f"did you mean {near[0]!r}? {listed}" if near else listed,
    )


def node(value: object, place: Place) -> Node:
    """An object. Raises UsageError if it is none, as all of these do."""
    if not isinstance(value, dict):
        raise refusal(place, "an object", value)
    return value


def array(value: object, place: Place) -> list[object]:
    """An array."""
    if not isinstance(value, list):
        raise refusal(place, "an array", value)
    return value


def name(value: object, place: Place) -> str:
    """A string."""
    if not isinstance(value, str):
        raise refusal(place, "a string", value)
    return value


def count(value: object, place: Place) -> int:
    """A whole number, not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refusal(place, "a whole number, not negative", value)
    return value


def number(value: object, place: Place) -> int | float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refusal(place, "a number", value)
    return value


def members(found: Node, keyword: str) -> Node:
    """What a node has under a keyword, empty if that is no object."""
    inner = found.get(keyword)
    return inner if isinstance(inner, dict) else {}
