"""Values that `setVal` sets: constants, references to other members, and functions of these (http-api.md 5.4).

    "a text"                        itself
    "${format.name}"                the member at this path of the object that `setVal` stands in; nothing if none is
    ["$append", "x-", "${name}"]    what the function makes of its arguments; nothing if it can make nothing of them

Where there is nothing, nothing is set. Numbers are as JSON has them; a text that is a number counts as one.
"""

import copy
import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from athena_serving.errors import UsageError
from athena_serving.wire import places
from athena_serving.wire.meta import text
from athena_serving.wire.places import Place

Members = dict[str, object]
Value = Callable[[Members], object]
"""From the members of an object to a value; None is nothing."""

Number = int | float
Path = tuple[str | int, ...]

LONGEST: Final = 1 << 20
"""Characters that a function may make of shorter ones: a caller's text must not multiply itself."""

_REFERENCE: Final = re.compile(r"\$\{(.+)\}", re.DOTALL)
_STEP: Final = re.compile(r"\.?([^.\[\]'\"]+)|\[(\d{1,9})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_NUMBER: Final = re.compile(r"-?\d{1,400}(\.\d{1,400})?([eE][-+]?\d{1,3})?")
_EXACT: Final = 1 << 63


def value(given: object, place: Place) -> Value:
    """What a document has at `place`, as a value. Raises UsageError for a function that there is not."""
    if isinstance(given, str) and (found := _REFERENCE.fullmatch(given)):
        return _reference(path(found[1], place))
    if isinstance(given, list) and given and isinstance(given[0], str) and given[0].startswith("$"):
        return _call(given[0][1:], given[1:], place)
    return lambda _: copy.deepcopy(given)


def path(given: str, place: Place) -> Path:
    """`payload.items[0]['a.b']` as its steps. Raises UsageError if it is none."""
    steps: list[str | int] = []
    at = 2 if given.startswith("$.") else 0
    while at < len(given):
        found = _STEP.match(given, at)
        if found is None:
            raise UsageError(
                f"{given!r} is no path", where=places.where(place), help="names and numbers: payload.items[0]['a.b']"
            )
        plain, index, *quoted = found.groups()
        steps.append(int(index) if index else plain or next(one for one in quoted if one is not None))
        at = found.end()
    if not steps:
        raise places.refusal(place, "a path", given)
    return tuple(steps)


def at(members: object, steps: Path) -> object:
    """What stands at a path; None if nothing does."""
    found = members
    for step in steps:
        if isinstance(step, str):
            found = found.get(step) if isinstance(found, dict) else None
        else:
            found = found[step] if isinstance(found, list) and step < len(found) else None
    return found


def _reference(steps: Path) -> Value:
    # A copy: else an object could be made a member of its own.
    return lambda members: copy.deepcopy(at(members, steps))


def _call(name: str, given: Sequence[object], place: Place) -> Value:
    if name not in FUNCTIONS and name != "delete":
        raise places.stranger("function", f"${name}", (f"${one}" for one in (*FUNCTIONS, "delete")), place)
    arguments = [value(one, (*place, index)) for index, one in enumerate(given, start=1)]
    if name == "delete":
        return lambda members: _delete(members, [text(one(members)) for one in arguments])
    function = FUNCTIONS[name]

    def call(members: Members) -> object:
        values = [one(members) for one in arguments]
        try:
            return function(values)
        except (TypeError, ValueError, ArithmeticError, IndexError):  # too few arguments, or not of its kind
            return None

    return call


# ── conversions ───────────────────────────────────────────────────────────────────────────────────


def truth(found: object) -> bool:
    """ASF's idea of what is true: the text `true`, a number from 1 on, and whatever else is not null or false."""
    match found:
        case None:
            return False
        case str():
            return found == "true"
        case int() | float():
            return int(found) > 0 if math.isfinite(found) else found > 0
    return True


def number(found: object) -> Number | None:
    """A number, or a text that is one; None for all else."""
    if isinstance(found, bool):
        return int(found)
    if isinstance(found, str) and _NUMBER.fullmatch(found):
        return _plain(int(found) if found.lstrip("-").isdecimal() else float(found))
    return found if isinstance(found, int | float) else None


def integer(found: object) -> int | None:
    """A number without its fraction."""
    exact = number(found)
    return None if exact is None else int(exact)


CONVERSIONS: Final[dict[str, Callable[[object], object]]] = {
    "string": text,
    "bool": truth,
    "boolean": truth,
    "number": number,
    "integer": integer,
}
"""`formatVal`."""


def _plain(exact: Number) -> Number | None:
    """A result as JSON can say it: beyond 64 bits whole numbers are rounded, as all are in ASF."""
    if isinstance(exact, int) and -_EXACT <= exact < _EXACT:
        return exact
    try:
        rounded = float(exact)
    except OverflowError:
        return None
    return rounded if math.isfinite(rounded) else None


# ── functions ─────────────────────────────────────────────────────────────────────────────────────

Function = Callable[[list[object]], object]


def _operands(values: list[object]) -> list[Number]:
    found = [number(one) for one in values]
    if len(found) < 2 or None in found:
        raise TypeError("not all are numbers")
    return [one for one in found if one is not None]


def _arithmetic(operate: Callable[[Number, Number], Number]) -> Function:
    def function(values: list[object]) -> object:
        first, *others = _operands(values)
        for other in others:
            first = operate(first, other)
        return _plain(first)

    return function


def _texts(values: list[object]) -> list[str]:
    if None in values:
        raise TypeError("one is not there")
    return [text(one) for one in values]


def _append(values: list[object]) -> object:
    return "".join(text(one) for one in values)


def _split(values: list[object]) -> object:
    source, mark, *most = _texts(values)
    parts = int(most[0]) if most else -1
    return source.split(mark, parts - 1 if parts > 0 else -1)


def _join(values: list[object]) -> object:
    parts, mark = values
    return text(mark).join(map(text, parts)) if isinstance(parts, list) else None


def _cut(method: Callable[..., str]) -> Function:
    return lambda values: method(*_texts(values))


def _replace(values: list[object]) -> object:
    source, old, new, *most = _texts(values)
    times = int(most[0]) if most else -1
    if source.count(old) * len(new) > LONGEST:
        return None
    return source.replace(old, new, times)


_LONGEST_PATTERN: Final = 4096  # each verb in it may be 999 characters wide
_VERB: Final = re.compile(r"%(?:%|([-+ #0]*\d{0,3}(?:\.\d{1,3})?)([vsdfgexXtq]))")


def _sprintf(values: list[object]) -> object:
    pattern, *others = values
    if len(text(pattern)) > _LONGEST_PATTERN:
        return None
    arguments = iter(others)

    def verb(found: re.Match[str]) -> str:
        flags, kind = found[1], found[2]
        if kind is None:
            return "%"
        one = next(arguments, None)
        if kind in "dxX":
            return f"%{flags}{kind}" % (integer(one) or 0)
        if kind in "fge":
            return f"%{flags}{kind}" % float(number(one) or 0)
        return f"%{flags}s" % (f'"{text(one)}"' if kind == "q" else text(one))

    return _VERB.sub(verb, text(pattern))


def _or(values: list[object]) -> object:
    return next((one for one in values if one is not None and one != ""), None)


def _delete(members: Members, names: list[str]) -> None:
    for name in names:
        members.pop(name, None)


FUNCTIONS: Final[dict[str, Function]] = {
    "append": _append,
    "add": _arithmetic(lambda one, other: one + other),
    "sub": _arithmetic(lambda one, other: one - other),
    "mul": _arithmetic(lambda one, other: one * other),
    "div": _arithmetic(lambda one, other: one / other),
    "mod": _arithmetic(math.fmod),
    "split": _split,
    "join": _join,
    "trim": _cut(lambda source, characters=" \t\r\n": source.strip(characters)),
    "trimPrefix": _cut(lambda source, start: source.removeprefix(start)),
    "trimSuffix": _cut(lambda source, end: source.removesuffix(end)),
    "replace": _replace,
    "sprintf": _sprintf,
    "or": _or,
}
"""Functions by name, without `$`; `delete` is one more, which needs the object."""
