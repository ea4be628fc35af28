"""The ASF schema document, compiled: which inputs and outputs a service has, and which requests it takes.

ASF's dialect (http-api.md, chapter 5) becomes a standard JSON Schema for `jsonschema_rs`, keyword by keyword
(`_KEYWORDS`), plus what that cannot say:

- lengths are counted in bytes of UTF-8, null passes enums, and these match by string form. Two validators are made
  of one document: `fast`, for ASCII requests, counts characters and takes an enum as it is written; what it accepts
  is right, what it refuses is asked again of `exact`, which does all this in full and finds the errors as well.
- `defaultVal` changes the request: `Schema.fill`, after the check, since ASF does not check its own defaults.
- data fields (`payload.<stream>.<image|text|...>`) are lifted out of the request before it is checked; their lengths
  are in `Schema.lengths`, for the envelope.

The words of each error are those of ASF's gateway (http-api.md 5.5, JS v1.0.8), made while compiling.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple, Protocol

import jsonschema_rs

from athena_serving.errors import Problem, UsageError
from athena_serving.wire.messages import DATA_KEYS, DataType

Node = Mapping[str, object]
"""A piece of a schema document."""

_MUTABLE = (dict, list)

MOST_PROBLEMS = 64
"""Problems named in one answer: a request of a million unknown fields must not be answered with a million lines."""


def text(value: object) -> str:
    """The string form of a JSON value, as ASF forwards it (http-api.md 6.3).

    Numbers in shortest decimal, never with an exponent; null is empty; arrays are joined by `;`. Objects become
    compact JSON, where ASF has Go's lossy `map[...]`.
    """
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format(Decimal(repr(value)), "f").removesuffix(".0")
        case list():
            return ";".join(map(text, value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def explain(problems: Iterable[Problem]) -> str:
    """Problems in ASF's form: `'$.header.app_id' field is required; `, one after the other (http-api.md 5.5)."""
    return "".join(f"'{_dotted(problem.pointer)}' {problem.message}; " for problem in problems)


class Fill(NamedTuple):
    """Members that are set where a request leaves them out; their parent must be there (`defaultVal`)."""

    parent: tuple[str, ...]
    members: dict[str, object]


class Lengths(NamedTuple):
    """Bounds of a data field, in bytes of its base64 text."""

    least: int
    most: int


class Validator(Protocol):
    """What we use of a `jsonschema_rs` validator."""

    def is_valid(self, instance: object) -> bool:
        """Is it right? Stops at the first error."""

    def iter_errors(self, instance: object) -> Iterator[jsonschema_rs.ValidationError]:
        """All errors. Raises ValueError for what is nested too deeply."""


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A service as its callers see it. Compared and hashed by identity, so that caches may use it as a key."""

    service: str
    version: str
    sub: str
    """Business type: the first letters of a sid."""
    routes: tuple[str, ...]
    names: tuple[str, ...]
    """Keys under `parameter` that belong to this service."""
    inputs: dict[str, int]
    """Stream name to `DataType`, in the order of the document."""
    outputs: dict[str, int]
    """Output name to `DataType`, in the order of the document."""
    defaults: dict[str, dict[str, str]]
    """Output name to the attributes it has where the caller did not ask for it."""
    casts: dict[str, dict[str, str]]
    """Output name to attribute name to JSON type; attributes that are missing are strings (http-api.md 3.1)."""
    code_map: dict[int, int]
    """Error code to HTTP status."""
    lengths: dict[str, Lengths]
    """Stream name to the bounds of its data field."""
    is_liftable: bool
    """Does no keyword look into the data fields, so that a stand-in may be checked in their place?"""
    data_member: bytes
    """Name of the data field with its quotes, where the service has one input; empty where it has more, or none."""
    fills: tuple[Fill, ...]
    _fast: Validator
    _exact: Validator
    _words: "Mapping[Place, Words]"
    known: dict[bytes, Any] = field(default_factory=dict)
    """What the envelope has made of skeletons (wire/envelope.py)."""

    def fill(self, request: dict[str, object]) -> None:
        """Set what `request` leaves out and the schema has a default for, in place; null counts as said."""
        for parent, members in self.fills:
            holder: object = request
            for step in parent:
                holder = holder.get(step) if type(holder) is dict else None
            if type(holder) is dict:
                for key, value in members.items():
                    if key not in holder:
                        holder[key] = copy.deepcopy(value) if type(value) in _MUTABLE else value

    def check(self, request: object, *, is_ascii: bool = False) -> tuple[Problem, ...]:
        """What is wrong with `request`: every problem with its place, none if it is right.

        `is_ascii` says that no string in it has characters beyond ASCII, which is cheaper to check.
        """
        if (is_ascii and self._fast.is_valid(request)) or self._exact.is_valid(request):
            return ()
        try:
            errors = [*islice(self._exact.iter_errors(request), MOST_PROBLEMS)]
        except ValueError:  # its way of saying that the request is nested beyond its limit of 255
            return (Problem("", "is nested too deeply"),)
        found = (problem for error in errors for problem in _translate(error, self._words))
        return tuple(islice(dict.fromkeys(found), MOST_PROBLEMS))


def compile(document: Node, *, body_limit: int) -> Schema:  # noqa: A001  # read as schema.compile
    """`document` as a `Schema`. A data field without a `maxLength` gets `body_limit`, in bytes.

    Raises UsageError naming the place, where the document is not a schema or has a keyword that we do not know.
    """
    meta = _node(document.get("meta"), ("meta",))
    service = meta.get("serviceId")
    if not isinstance(service, str) or not service:
        raise UsageError("the schema has no service id", where="meta.serviceId", help='"serviceId": "ocr"')
    names = tuple(map(str, _list(meta.get("service", [service]), ("meta", "service"))))
    inputs, outputs = _streams(meta, names, "input"), _streams(meta, names, "accept")
    asked = _node(document.get("schemainput", {}), ("schemainput",))
    asked, lengths = _without_data_lengths(asked, inputs, body_limit)
    words: dict[Place, Words] = {}
    exact = _Compiler(words, is_exact=True).compile(asked, ())
    fast = _Compiler({}, is_exact=False).compile(asked, ())
    fills = tuple(_fills(asked, ()))
    return Schema(
        service=service,
        version=str(meta.get("version", "")),
        sub=str(meta.get("sub", "ase")),
        routes=tuple(map(str, _one_or_many(meta.get("route", [])))),
        names=names,
        inputs=inputs,
        outputs=outputs,
        defaults={output: _defaults(asked, names, output, kind) for output, kind in outputs.items()},
        casts=_casts(_at(document, "schemaoutput", "properties", "payload")),
        code_map=_code_map(_node(meta.get("codeMap", {}), ("meta", "codeMap"))),
        lengths=lengths,
        is_liftable=_is_liftable(asked, inputs),
        data_member=b'"%b"' % DATA_KEYS[kinds[0]].encode() if len(kinds := [*inputs.values()]) == 1 else b"",
        fills=fills,
        _fast=_validator(fast),
        _exact=_validator(exact),
        _words=words,
    )


# ── meta ──────────────────────────────────────────────────────────────────────────────────────────


def _node(value: object, place: "Place") -> Node:
    if not isinstance(value, Mapping):
        raise UsageError(f"{_where(place)} must be an object", where=_where(place), help=f"it is {text(value)!r}")
    return value


def _list(value: object, place: "Place") -> list[object]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{_where(place)} must be an array", where=_where(place), help=f"it is {text(value)!r}")
    return list(value)


def _one_or_many(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _at(node: object, *path: str) -> Node:
    """The object at `path`, empty where there is none."""
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _streams(meta: Node, names: tuple[str, ...], side: str) -> dict[str, int]:
    """Inputs or outputs of all `names`: `{"image": {"dataType": "image"}}`, or the bare type (http-api.md 5.2)."""
    found: dict[str, int] = {}
    for name in names:
        for key, value in _at(meta, name, side).items():
            kind = value.get("dataType") if isinstance(value, Mapping) else value
            if not isinstance(kind, str):
                place = ("meta", name, side, key)
                raise UsageError("a data type must be a name", where=_where(place), help=", ".join(DATA_KEYS))
            # ASF takes a type that it does not know for audio (http-api.md 2.6).
            found[key] = DATA_KEYS.index(kind) if kind in DATA_KEYS else DataType.AUDIO
    return found


def _code_map(node: Node) -> dict[int, int]:
    """Codes and statuses may be numbers or numeric strings; what is outside 101 to 599 is ignored (http-api.md 3.6)."""
    pairs = ((str(code), text(status)) for code, status in node.items())
    numbers = {int(code): int(status) for code, status in pairs if code.isdecimal() and status.isdecimal()}
    return {code: status for code, status in numbers.items() if 100 < status < 600}


def _casts(payload: Node) -> dict[str, dict[str, str]]:
    return {
        output: {name: text(_at(node, "properties", name).get("type")) for name in _at(node, "properties")}
        for output, node in _at(payload, "properties").items()
    }


def _defaults(asked: Node, names: tuple[str, ...], output: str, kind: int) -> dict[str, str]:
    """The attributes of `output` by its accept block: the members' defaults, then the block's own."""
    found: dict[str, object] = {}
    for name in names:
        block = _at(asked, "properties", "parameter", "properties", name, "properties", output)
        members = _at(block, "properties")
        found |= {key: _at(members, key)["defaultVal"] for key in members if "defaultVal" in _at(members, key)}
        found |= _at(block, "defaultVal")
    # These three say what a reply is, not what a caller wants; ASF's generated schemas have them among the defaults.
    not_wishes = {DATA_KEYS[kind], "status", "seq", "data_type"}
    return {key: text(value) for key, value in found.items() if key not in not_wishes}


# ── data fields ───────────────────────────────────────────────────────────────────────────────────

# Keywords that do not look at the value of a string.
_BLIND = {"type", "properties", "required", "minLength", "maxLength", "defaultVal"}


def _without_data_lengths(asked: Node, inputs: dict[str, int], body_limit: int) -> tuple[Node, dict[str, Lengths]]:
    """`asked` with the lengths of its data fields taken out, and these."""
    lengths: dict[str, Lengths] = {}
    streams: dict[str, object] = dict(_at(asked, "properties", "payload", "properties"))
    for stream, kind in inputs.items():
        lengths[stream] = Lengths(0, body_limit)
        members = dict(_at(streams, stream, "properties"))
        data = _at(members, DATA_KEYS[kind])
        if not data:
            continue
        place = ("properties", "payload", "properties", stream, "properties", DATA_KEYS[kind])
        least, most = data.get("minLength", 0), data.get("maxLength", body_limit)
        lengths[stream] = Lengths(_count(least, (*place, "minLength")), _count(most, (*place, "maxLength")))
        members[DATA_KEYS[kind]] = {key: value for key, value in data.items() if key not in ("minLength", "maxLength")}
        streams[stream] = {**_at(streams, stream), "properties": members}
    if not streams:
        return asked, lengths
    payload = {**_at(asked, "properties", "payload"), "properties": streams}
    return {**asked, "properties": {**_at(asked, "properties"), "payload": payload}}, lengths


def _is_liftable(asked: Node, inputs: dict[str, int]) -> bool:
    payload = _at(asked, "properties", "payload")
    nodes = [asked, payload]
    for stream, kind in inputs.items():
        block = _at(payload, "properties", stream)
        nodes += [block, _at(block, "properties", DATA_KEYS[kind])]
    return all(_BLIND.issuperset(node.keys() - _IGNORED) for node in nodes)


def _fills(node: Node, parent: tuple[str, ...]) -> Iterator[Fill]:
    """`defaultVal` of every member, outermost parent first."""
    members = _at(node, "properties")
    values = {key: _at(members, key)["defaultVal"] for key in members if "defaultVal" in _at(members, key)}
    if values:
        yield Fill(parent, values)
    for key in members:
        yield from _fills(_at(members, key), (*parent, key))


# ── the dialect, keyword by keyword ───────────────────────────────────────────────────────────────

Place = tuple[str | int, ...]
"""Path of a keyword in the compiled schema; the same as in the document, but for keywords that changed their name."""

Words = Callable[[object], str]
"""What is wrong with this value."""

_IGNORED = {"title", "comment", "description", "$schema", "$comment", "examples"}


class _Compiler:
    """One walk through a document; notes in `words` what to say when a keyword fails."""

    def __init__(self, words: dict[Place, Words], *, is_exact: bool) -> None:
        self.words = words
        self.is_exact = is_exact

    def compile(self, value: object, place: Place) -> dict[str, object]:
        compiled: dict[str, object] = {}
        for keyword, given in _node(value, place).items():
            if keyword in _IGNORED:
                continue
            if keyword not in _KEYWORDS:
                raise UsageError(
                    f"keyword {keyword!r} is unknown",
                    where=_where((*place, keyword)),
                    help=f"known are {', '.join(sorted(_KEYWORDS))}",
                )
            new = _KEYWORDS[keyword](self, given, place)
            if compiled.keys() & new.keys():
                raise UsageError(f"keyword {keyword!r} is there under two names", where=_where(place), help="keep one")
            compiled |= new
        if "properties" in compiled:
            compiled.setdefault("additionalProperties", False)
        return compiled

    def rule(self, keyword: str, value: object, place: Place, words: str | Words) -> dict[str, object]:
        """One compiled keyword, and what to say when it fails."""
        self.words[*place, keyword] = words if callable(words) else lambda _: words
        return {keyword: value}


def _type(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
    names = [text(name) for name in value] if isinstance(value, list) else text(value).split("|")
    for name in names:
        if name not in _TYPES:
            raise UsageError(f"no type {name!r}", where=_where((*place, "type")), help=f"one of {', '.join(_TYPES)}")
    # null passes every type check: ASF's own demo sends one (http-api.md 5.4).
    standard = [*dict.fromkeys(_TYPES[name] for name in names), "null"]
    if names == ["integer"]:
        return compiler.rule("type", standard, place, _not_integer)
    words = f"one of {'|'.join(names)}" if len(names) > 1 else names[0]
    return compiler.rule("type", standard, place, f"type {'must' if names == ['string'] else 'should'} be {words}")


def _not_integer(value: object) -> str:
    return "type should be integer" + (f", but float:{text(value)}" if isinstance(value, float) else "")


def _properties(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
    members = _node(value, (*place, "properties")).items()
    return {"properties": {key: compiler.compile(node, (*place, "properties", key)) for key, node in members}}


def _additional(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
    is_open = isinstance(value, bool)
    return {"additionalProperties": value if is_open else compiler.compile(value, (*place, "additionalProperties"))}


def _required(_: _Compiler, value: object, place: Place) -> dict[str, object]:
    return {"required": [text(name) for name in _list(value, (*place, "required"))]}


def _items(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
    return {"items": compiler.compile(value, (*place, "items"))}


def _enum(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
    values = _list(value, (*place, "enum"))
    # An enum of one type costs the validator a fraction of a mixed one.
    accepted = [*(form for one in values for form in _forms(one)), None] if compiler.is_exact else values
    return compiler.rule("enum", accepted, place, f"must be one of [{' '.join(map(text, values))}]")


def _forms(value: object) -> Iterator[object]:
    """Every JSON scalar with the string form of `value`: 1 and "1" match each other (http-api.md 5.4)."""
    yield value
    form = text(value)
    if form != value:
        yield form
    try:
        twin = json.loads(form)
    except ValueError:
        return
    if isinstance(twin, bool | int | float) and text(twin) == form:
        yield twin


def _length(which: str, words: str) -> "Translate":
    def translate(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
        count = _count(value, (*place, f"{which}Length"))
        unit = "Bytes" if compiler.is_exact else "Length"
        said = f"length must be {words} than {count}"
        return compiler.rule(f"{which}{unit}", count, place, said) | compiler.rule(f"{which}Items", count, place, said)

    return translate


def _bound(keyword: str, words: str) -> "Translate":
    def translate(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(
                f"{keyword} must be a number", where=_where((*place, keyword)), help=f"it is {text(value)!r}"
            )
        return compiler.rule(keyword, value, place, f"value must be {words} than {text(value)}")

    return translate


def _branches(keyword: str) -> "Translate":
    def translate(compiler: _Compiler, value: object, place: Place) -> dict[str, object]:
        nodes = _list(value, (*place, keyword))
        return {keyword: [compiler.compile(node, (*place, keyword, index)) for index, node in enumerate(nodes)]}

    return translate


def _count(value: object, place: Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(
            "a length must be a whole number, not negative", where=_where(place), help=f"not {text(value)!r}"
        )
    return value


Translate = Callable[[_Compiler, object, Place], dict[str, object]]

_TYPES = {name: name for name in ("string", "number", "integer", "boolean", "object", "array")} | {"bool": "boolean"}

_KEYWORDS: dict[str, Translate] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "enum": _enum,
    "enums": _enum,
    "minLength": _length("min", "larger or equal"),
    "maxLength": _length("max", "less or equal"),
    "minimum": _bound("minimum", "larger or equal"),
    "maximum": _bound("maximum", "less or equal"),
    # Both mean "at least one" in ASF's library.
    "anyOf": _branches("anyOf"),
    "oneOf": _branches("anyOf"),
    "allOf": _branches("allOf"),
    "defaultVal": lambda *_: {},  # Schema.fill
}


class _MaxBytes:
    """Custom keyword: a string of at most `limit` bytes in UTF-8."""

    def __init__(self, _parent: object, limit: int, _path: object) -> None:
        self.limit = limit

    def validate(self, value: object) -> None:
        if isinstance(value, str) and len(value.encode()) > self.limit:
            raise ValueError("too long")


class _MinBytes(_MaxBytes):
    """Custom keyword: a string of at least `limit` bytes in UTF-8."""

    def validate(self, value: object) -> None:
        if isinstance(value, str) and len(value.encode()) < self.limit:
            raise ValueError("too short")


def _validator(compiled: dict[str, object]) -> Validator:
    try:
        return jsonschema_rs.Draft202012Validator(compiled, keywords={"maxBytes": _MaxBytes, "minBytes": _MinBytes})
    except jsonschema_rs.ValidationError as error:
        place = tuple(error.instance_path)
        raise UsageError(error.message, where=_where(place), help="mend this keyword") from None


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


def _translate(error: jsonschema_rs.ValidationError, words: Mapping[Place, Words]) -> Iterator[Problem]:
    kind, path = error.kind, error.instance_path
    match kind:
        case jsonschema_rs.ValidationErrorKind.Required():
            yield Problem(_pointer([*path, kind.property]), "field is required")
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties():
            yield from (Problem(_pointer([*path, name]), "unknown field") for name in kind.unexpected[:MOST_PROBLEMS])
        case jsonschema_rs.ValidationErrorKind.AnyOf():
            for branch in kind.context:
                for inner in branch:
                    yield from _translate(inner, words)
        case _:
            say = words.get(tuple(error.schema_path))
            yield Problem(_pointer(path), say(error.instance) if say else f"is against {kind.name!r} of the schema")


def _pointer(path: Iterable[str | int]) -> str:
    """RFC 6901. A caller's own name may be of any length: only its first 64 characters are said back."""
    steps = (str(step)[:64].replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps)


def _dotted(pointer: str) -> str:
    """`/header/ids/0` as ASF writes it: `$.header.ids[*]`."""
    steps = pointer.split("/")[1:]
    return "$" + "".join(
        "[*]" if step.isdecimal() else "." + step.replace("~1", "/").replace("~0", "~") for step in steps
    )


def _where(place: Place) -> str:
    root = () if place[:1] in (("meta",), ("schemainput",)) else ("schemainput",)
    return ".".join(map(str, (*root, *place)))
