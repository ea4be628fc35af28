"""The ASF schema document, compiled: which inputs and outputs a service has, and which requests it takes.

ASF's dialect (http-api.md, chapter 5) becomes a standard JSON Schema for `jsonschema_rs` (wire/dialect.py), plus what
that cannot say:

- lengths are counted in bytes of UTF-8, null passes enums, and these match by string form. Two validators are made
  of one document: `fast`, for ASCII requests, counts characters and takes an enum as it is written; what it accepts
  is right, what it refuses is asked again of `exact`, which does all this in full and finds the errors as well.
- `defaultVal` and its like change the request: `Schema.fill`, after the check, since ASF does not check its own
  defaults (wire/changes.py).
- data fields (`payload.<stream>.<image|text|...>`) are lifted out of the request before it is checked; their lengths
  are in `Schema.lengths`, for the envelope.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from athena_serving.errors import Problem, UsageError
from athena_serving.wire import changes, dialect, faults, functions, meta, places, rules, steps
from athena_serving.wire.changes import Plan
from athena_serving.wire.dialect import IGNORED, ROOT, Validator
from athena_serving.wire.messages import DATA_KEYS, DataType, Status
from athena_serving.wire.meta import Node as Node  # noqa: PLC0414  # part of what a schema is
from athena_serving.wire.meta import text
from athena_serving.wire.rules import Compiled

log = logging.getLogger(__name__)


class Lengths(NamedTuple):
    """Bounds of a data field, in bytes of its base64 text."""

    least: int
    most: int


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
    header: dict[str, str]
    """Members of a reply's header that are those of its request, to JSON type (`build_header`)."""
    hosts: tuple[str, ...]
    """Host names at which the routes count; none means all."""
    read_timeout: float
    """Seconds that a session may be idle; 0 where the document says nothing (http-api.md 7.6)."""
    session_timeout: float
    """Seconds that a session may last; 0 where the document says nothing."""
    takes_once: bool
    """Is a request of one step, status ONCE, in the schema?"""
    faces: tuple[str, ...]
    """What the wrapper can do: `once` calls, `stream` (sessions), `batch` (once-calls together)."""
    document: Node
    """The ASF document, as it was given."""
    standard: Compiled
    """What `check` accepts, as JSON Schema with `maxBytes` and `minBytes`; lengths of data are in `lengths`."""
    _fast: Validator
    _exact: Validator
    _plan: Plan
    known: dict[bytes, Any] = field(default_factory=dict)
    """What the envelope has made of skeletons (wire/envelope.py)."""
    openings: dict[Any, Any] = field(default_factory=dict)
    """What the envelope has made of outputs' attributes."""
    known_frames: dict[bytes, Any] = field(default_factory=dict)
    """The same for later frames of sessions."""

    def fill(self, request: dict[str, object]) -> None:
        """Change `request` in place, as the schema wants it: defaults, constants, other names, other types."""
        changes.apply(self._plan, request)

    def check(self, request: object, *, is_ascii: bool = False) -> tuple[Problem, ...]:
        """What is wrong with `request`: every problem with its place, none if it is right.

        `is_ascii` says that no string in it has characters beyond ASCII, which is cheaper to check.
        """
        if (is_ascii and self._fast.is_valid(request)) or self._exact.is_valid(request):
            return ()
        try:
            return faults.translate(self._exact.iter_errors(request), self.standard)
        except ValueError:  # its way of saying that the request is nested beyond its limit of 255
            return (Problem("", "is nested too deeply"),)


def compile(document: Node, *, body_limit: int, faces: tuple[str, ...] = ("once",)) -> Schema:  # noqa: A001  # read as schema.compile
    """`document` as a `Schema`. A data field without a `maxLength` gets `body_limit`, in bytes.

    `faces` are the wrapper's, which no document tells. Raises UsageError naming the place, where the document is not a
    schema or has a keyword that we do not know.
    """
    try:
        return _compile(document, body_limit, faces)
    except RecursionError:
        raise UsageError("the schema is nested too deeply", where="schemainput", help="nest it less") from None


def _compile(document: Node, body_limit: int, faces: tuple[str, ...]) -> Schema:
    about = meta.read(document)
    service = meta.service(about)
    names = tuple(map(text, meta.array(about.get("service", [service]), "service")))
    inputs, outputs = _streams(about, names, "input"), _streams(about, names, "accept")
    given = places.node(document.get("schemainput", {}), ROOT)
    asked, lengths = _without_data_lengths(given, inputs, body_limit)
    compiler = dialect.Compiler(asked, is_exact=True)
    fast = exact = compiler.compile(asked)
    if not compiler.has_references:  # what they mean may stand in a condition as well as outside
        fast = dialect.Compiler(asked, is_exact=False).compile(asked)
    if functions.truth(about.get("enable_client_session")):
        log.warning("%s: enable_client_session is ignored: one machine needs no token to find a session again", service)
    return Schema(
        service=service,
        version=text(about.get("version", "")),
        sub=meta.sub(about),
        routes=meta.routes(about),
        names=names,
        inputs=inputs,
        outputs=outputs,
        defaults={output: _defaults(asked, names, output, kind) for output, kind in outputs.items()},
        casts=_casts(_at(document, "schemaoutput", "properties", "payload")),
        code_map=meta.code_map(about),
        lengths=lengths,
        is_liftable=_is_liftable(asked, inputs),
        data_member=b'"%b"' % DATA_KEYS[kinds[0]].encode() if len(kinds := [*inputs.values()]) == 1 else b"",
        header=_header(document, about),
        hosts=meta.hosts(about),
        read_timeout=meta.seconds(about, "read_timeout"),
        session_timeout=meta.seconds(about, "session_timeout"),
        takes_once=_takes_once(asked),
        faces=faces,
        document=document,
        standard=exact,
        _fast=dialect.validator(fast),
        _exact=dialect.validator(exact),
        _plan=changes.compile(asked, exact),
    )


# ── meta ──────────────────────────────────────────────────────────────────────────────────────────


def _at(node: object, *path: str) -> Node:
    """The object at `path`, empty where there is none."""
    for step in path:
        node = node.get(step) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _streams(about: Node, names: tuple[str, ...], side: str) -> dict[str, int]:
    """Inputs or outputs of all `names`: `{"image": {"dataType": "image"}}`, or the bare type (http-api.md 5.2)."""
    found: dict[str, int] = {}
    for name in names:
        for key, value in _at(about, name, side).items():
            kind = value.get("dataType") if isinstance(value, Mapping) else value
            if not isinstance(kind, str):
                where = places.where(("meta", name, side, key))
                raise UsageError("a data type must be a name", where=where, help=", ".join(DATA_KEYS))
            # ASF takes a type that it does not know for audio (http-api.md 2.6).
            found[key] = DATA_KEYS.index(kind) if kind in DATA_KEYS else DataType.AUDIO
    return found


def _casts(payload: Node) -> dict[str, dict[str, str]]:
    return {output: _types(node) for output, node in _at(payload, "properties").items()}


def _types(node: object) -> dict[str, str]:
    members = _at(node, "properties")
    return {name: text(_at(members, name).get("type")) for name in members}


_OWN: Final = ("code", "message", "sid")


def _header(document: Node, about: Node) -> dict[str, str]:
    """Members that the answer's header has besides its own (`build_header`, http-api.md 3.4).

    ASF takes them from what the back-end's answer says of its route, which is what the request's header said, unless
    the back-end had it otherwise; our workers cannot, so it is the request's.
    """
    if not functions.truth(about.get("build_header")):
        return {}
    types = _types(_at(document, "schemaoutput", "properties", "header"))
    return {name: kind for name, kind in types.items() if kind and name not in _OWN}


def _defaults(asked: Node, names: tuple[str, ...], output: str, kind: int) -> dict[str, str]:
    """The attributes of `output` by its accept block: the members' defaults, then the block's own."""
    found: dict[str, object] = {}
    for name in names:
        block = _at(asked, "properties", "parameter", "properties", name, "properties", output)
        found |= steps.defaults(asked, block)
        found |= _at(block, "defaultVal")
    # These three say what a reply is, not what a caller wants; ASF's generated schemas have them among the defaults.
    not_wishes = {DATA_KEYS[kind], "status", "seq", "data_type"}
    return {key: text(value) for key, value in found.items() if key not in not_wishes}


def _takes_once(asked: Node) -> bool:
    """A list of statuses without ONCE says that the service is for sessions only (http-api.md 2.4)."""
    enum = _at(asked, "properties", "header", "properties", "status").get("enum")
    return not isinstance(enum, list) or any(text(value) == str(int(Status.ONCE)) for value in enum)


# ── data fields ───────────────────────────────────────────────────────────────────────────────────

# Keywords that do not look at the value of a string.
_BLIND = {"type", "properties", "required", "minLength", "maxLength", "defaultVal"} | IGNORED
_LENGTHS: Final = ("minLength", "maxLength", "minB64DLen", "maxB64DLen")


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
        place = (*ROOT, "properties", "payload", "properties", stream, "properties", DATA_KEYS[kind])
        lengths[stream] = _lengths(data, place, body_limit)
        members[DATA_KEYS[kind]] = {key: value for key, value in data.items() if key not in _LENGTHS}
        streams[stream] = {**_at(streams, stream), "properties": members}
    if not streams:
        return asked, lengths
    payload = {**_at(asked, "properties", "payload"), "properties": streams}
    return {**asked, "properties": {**_at(asked, "properties"), "payload": payload}}, lengths


def _lengths(data: Node, place: places.Place, body_limit: int) -> Lengths:
    said = {keyword: places.count(data[keyword], (*place, keyword)) for keyword in _LENGTHS if keyword in data}
    least, most = said.get("minLength", 0), said.get("maxLength", body_limit)
    if "minB64DLen" in said:
        least = max(least, rules.least_base64(said["minB64DLen"]))
    if "maxB64DLen" in said:
        most = min(most, rules.most_base64(said["maxB64DLen"]))
    return Lengths(least, most)


def _is_liftable(asked: Node, inputs: dict[str, int]) -> bool:
    payload = _at(asked, "properties", "payload")
    nodes = [asked, payload]
    for stream, kind in inputs.items():
        block = _at(payload, "properties", stream)
        nodes += [block, _at(block, "properties", DATA_KEYS[kind])]
    return all(node.keys() <= _BLIND or _is_blind(node) for node in nodes)


def _is_blind(node: Node) -> bool:
    """`additionalProperties` may be true or false: members that are not named are no data."""
    return isinstance(node.get("additionalProperties"), bool) and node.keys() - {"additionalProperties"} <= _BLIND
