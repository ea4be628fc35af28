"""Keywords of ASF's schema dialect that look at one value, as standard JSON Schema (http-api.md 5.4).

A rule takes what the document says at a place, and gives a piece of compiled schema with the words for its failure,
which are those of ASF's gateway (http-api.md 5.5, JS v1.0.8).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import jsonschema_rs

from athena_serving.errors import UsageError
from athena_serving.wire import places
from athena_serving.wire.meta import text
from athena_serving.wire.places import Place

Words = str | Callable[[object], str]
"""What is wrong with a value, or what says so of it."""


class Compiled(dict[str, object]):
    """A piece of compiled schema: JSON Schema 2020-12, with `maxBytes` and `minBytes` (wire/dialect.py)."""

    __slots__ = ("words",)

    def __init__(self, schema: Mapping[str, object] | None = None, words: Mapping[str, Words] | None = None) -> None:
        super().__init__(schema or {})
        self.words = dict(words or {})
        """What is said when a keyword fails, for those that fail by themselves."""

    def add(self, other: "Compiled") -> None:
        """Ask for `other` as well. What is there already is asked for side by side, in `allOf`."""
        beside = other.pop("allOf", None)
        if self.keys() & other.keys():
            self._besides().append(other)
        else:
            self.update(other)
            self.words.update(other.words)
        if isinstance(beside, list) and beside:
            self._besides().extend(beside)

    def _besides(self) -> list[object]:
        nodes = self.setdefault("allOf", [])
        if not isinstance(nodes, list):
            raise TypeError("allOf is a list")
        return nodes


Rule = Callable[[object, Place, bool], Compiled]
"""From what stands at a place; the last says whether it must be exact, or may refuse more (wire/schema.py)."""


def rule(keyword: str, value: object, words: Words) -> Compiled:
    """One keyword and its words."""
    return Compiled({keyword: value}, {keyword: words})


# ── type, enum, const ─────────────────────────────────────────────────────────────────────────────

_TYPES: Final = {one: one for one in ("string", "number", "integer", "boolean", "object", "array", "null")} | {
    "bool": "boolean"
}


def type_(value: object, place: Place, _exact: bool) -> Compiled:
    """One type, several as `string|number`, or a list of them. null passes all, as ASF's own demo wants it."""
    names = [text(one) for one in value] if isinstance(value, list) else text(value).split("|")
    for one in names:
        if one not in _TYPES:
            raise places.stranger("type", one, _TYPES, place)
    standard = [*dict.fromkeys((*(_TYPES[one] for one in names), "null"))]
    if len(names) > 1:
        return rule("type", standard, f"type should be one of {'|'.join(names)}")
    if names == ["integer"]:
        return rule("type", standard, _not_integer)
    return rule("type", standard, f"type {'must' if names == ['string'] else 'should'} be {''.join(names)}")


def _not_integer(value: object) -> str:
    return "type should be integer" + (f", but float:{text(value)}" if isinstance(value, float) else "")


def enum(value: object, place: Place, is_exact: bool) -> Compiled:
    """A list of values; they match by string form, and null passes."""
    values = places.array(value, place)
    return _one_of(values, f"must be one of [{' '.join(map(text, values))}]", is_exact)


def const(value: object, _: Place, is_exact: bool) -> Compiled:
    """One value, as an enum of one."""
    return _one_of([value], f"value should always be {text(value)}", is_exact)


def _one_of(values: list[object], words: str, is_exact: bool) -> Compiled:
    # An enum of one type costs the validator a fraction of a mixed one.
    return rule("enum", [*(one for value in values for one in forms(value)), None] if is_exact else values, words)


def forms(value: object) -> Iterator[object]:
    """Every JSON scalar with the string form of `value`: 1 and "1" match each other (http-api.md 5.4)."""
    yield value
    form = text(value)
    if form != value:
        yield form
    try:
        twin = json.loads(form)
    except (ValueError, RecursionError):
        return
    if isinstance(twin, bool | int | float) and text(twin) == form:
        yield twin


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────


def length(which: str, words: str) -> Rule:
    """`minLength` or `maxLength`: bytes of a string, members of an array."""

    def compiled(value: object, place: Place, is_exact: bool) -> Compiled:
        count = places.count(value, place)
        said = f"length must be {words} than {count}"
        size = rule(f"{which}{'Bytes' if is_exact else 'Length'}", count, said)
        size.add(rule(f"{which}Items", count, said))
        return size

    return compiled


def least_base64(count: int) -> int:
    """The shortest text that ASF takes for `count` decoded bytes: it counts `length / 4 * 3`, in whole numbers."""
    return -(-count // 3) * 4


def most_base64(count: int) -> int:
    """The longest such text."""
    return count // 3 * 4 + 3


def base64_length(which: str, words: str) -> Rule:
    """`minB64DLen` or `maxB64DLen`: bytes of base64 when decoded, by ASF's rough count."""
    turned = {"min": least_base64, "max": most_base64}[which]

    def compiled(value: object, place: Place, is_exact: bool) -> Compiled:
        count = places.count(value, place)
        keyword = f"{which}{'Bytes' if is_exact else 'Length'}"
        return rule(keyword, turned(count), f"length must be {words} than {count}")

    return compiled


def size(keywords: tuple[str, ...], words: str) -> Rule:
    """A count of members, under these standard names."""

    def compiled(value: object, place: Place, _exact: bool) -> Compiled:
        count = places.count(value, place)
        return Compiled(dict.fromkeys(keywords, count), dict.fromkeys(keywords, f"{words} {count}"))

    return compiled


def unique(value: object, place: Place, _exact: bool) -> Compiled:
    """`uniqueItems`."""
    if not isinstance(value, bool):
        raise places.refusal(place, "true or false", value)
    return rule("uniqueItems", value, "items must differ from each other")


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────


def bound(keyword: str, words: str) -> Rule:
    """The least or the greatest number."""

    def compiled(value: object, place: Place, _exact: bool) -> Compiled:
        number = places.number(value, place)
        return rule(keyword, number, f"value must be {words} than {text(number)}")

    return compiled


def multiple(value: object, place: Place, _exact: bool) -> Compiled:
    """`multipleOf`."""
    step = places.number(value, place)
    if step <= 0:
        raise places.refusal(place, "a number above 0", value)

    def words(found: object) -> str:
        quotient = text(float(Decimal(text(found)) / Decimal(text(step))))
        return f"value must be multipleOf {text(step)},but:{text(found)}, divide:{quotient}"

    return rule("multipleOf", step, words)


# ── text ──────────────────────────────────────────────────────────────────────────────────────────

PATTERNS: Final = jsonschema_rs.RegexOptions()
"""The engine for patterns: like Go's, linear in time, without look-around and back-references."""

_SHOWN: Final = 64
"""Characters of a caller's own text that are said back."""

# Classes that Go knows and our engine takes for their letters.
_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


_TOKEN: Final = re.compile(r"\\.|\[:(\^?\w+):\]|\[\^?\]?|\]", re.DOTALL)


def regex(value: object, place: Place) -> str:
    """A pattern for our engine. Raises UsageError if it is none."""
    given = places.name(value, place)
    try:
        ours = _spelt_out(given)
        jsonschema_rs.Draft202012Validator({"pattern": ours}, pattern_options=PATTERNS)
    except (KeyError, ValueError):
        raise UsageError(
            f"{given!r} is no pattern",
            where=places.where(place),
            help="a regular expression as Go has them: without look-around and back-references",
        ) from None
    return ours


def _spelt_out(given: str) -> str:
    """A pattern with the letters of named classes in their place. Raises KeyError for a name that is none."""
    is_inside = False  # of brackets

    def spelt(found: re.Match[str]) -> str:
        nonlocal is_inside
        part, name = found[0], found[1]
        if name and is_inside:
            return _POSIX[name]
        if part == "]" or (part == "[]" and is_inside):
            is_inside = False
        elif part[0] == "[" and not name:
            is_inside = True
        return part

    return _TOKEN.sub(spelt, given)


def pattern(value: object, place: Place, _exact: bool) -> Compiled:
    """`pattern`: found anywhere in the text, as in Go."""
    given = places.name(value, place)
    return rule("pattern", regex(value, place), lambda found: f"{_shown(found)} ,value does not match pattern: {given}")


def _shown(value: object) -> str:
    return value[:_SHOWN] if isinstance(value, str) else text(value)


FORMATS: Final = {
    "date-time": "date-time",
    "date": "date",
    "time": "time",
    "email": "email address",
    "idn-email": "email address",
    "hostname": "host name",
    "idn-hostname": "host name",
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "uri": "URI",
    "uri-reference": "URI reference",
    "iri": "IRI",
    "iri-reference": "IRI reference",
    "uri-template": "URI template",
    "json-pointer": "JSON pointer",
    "relative-json-pointer": "relative JSON pointer",
    "regex": "regular expression",
    "phone": "phone number",
}
"""Formats, and what they are called where a text has another one."""

_PHONE: Final = r"^1[\s\S]{10}$"


def format_(value: object, place: Place, _exact: bool) -> Compiled:
    """`format`, which is always asserted."""
    given = places.name(value, place)
    if given not in FORMATS:
        raise places.stranger("format", given, FORMATS, place)
    words = f"invalid {FORMATS[given]}"
    return rule("pattern", _PHONE, words) if given == "phone" else rule("format", given, words)


# ── members ───────────────────────────────────────────────────────────────────────────────────────


def required(value: object, place: Place, _exact: bool) -> Compiled:
    """`required`; a member that is null is there."""
    names = [text(one) for one in places.array(value, place)]
    return rule("required", [*dict.fromkeys(names)], "field is required")


def dependencies(value: object, place: Place, _exact: bool) -> Compiled:
    """`dependencies`: a member's name to the names that must come with it."""
    wanted = {
        key: [*dict.fromkeys(text(one) for one in places.array(names, (*place, key)))]
        for key, names in places.node(value, place).items()
    }
    return rule("dependentRequired", wanted, "is required")


def failure(value: object, _place: Place, _exact: bool) -> Compiled:
    """`error`: nothing passes."""
    return rule("not", Compiled(), text(value))
