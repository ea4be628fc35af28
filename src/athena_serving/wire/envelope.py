"""The ASE envelope: a JSON body into a `Request`, a `Reply` into a JSON body (http-api.md, chapters 2 and 3).

The gateway's dialect: data is base64 both ways, but for outputs whose `format` is json.

Data are lifted out of a body before its JSON is decoded (wire/lifting.py). Callers send the same skeleton again and
again with other data, so what was made of a skeleton is remembered: the next body with that skeleton, to the byte, is
checked and read already, but for its data.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, cast

import msgspec
import pybase64

from athena_serving.errors import AthenaError, BadAppId, BadRequest, CallerError, OutputInvalid, Problem
from athena_serving.wire import base64, lifting
from athena_serving.wire.faults import explain
from athena_serving.wire.lifting import Body, Lifted, Strings
from athena_serving.wire.messages import DATA_KEYS, Expect, Piece, Reply, Status
from athena_serving.wire.meta import text
from athena_serving.wire.schema import Schema

LIFT_ABOVE = 8192
"""Bytes of a body above which every long string is looked for, not only the one data field there is."""
MOST_KNOWN = 512
"""Skeletons of a service that are remembered, each of at most `LONGEST_KNOWN` bytes."""
LONGEST_KNOWN = 4096

NOT_JSON = "request body must be json"

_JSON = msgspec.json.Decoder()
_JSON_SYNTAX = msgspec.json.Decoder(msgspec.Raw)
_encode = msgspec.json.encode


class Request(msgspec.Struct):
    """What a caller asks for, checked and decoded; all strings are as they travel inside."""

    app: str
    headers: dict[str, str]
    params: dict[str, str]
    pieces: list[Piece]
    expects: list[Expect]
    """Every output of the service: those asked for first, then the rest with their defaults."""


Members = dict[str, object]


class Known(NamedTuple):
    """What was made of a skeleton."""

    request: Request
    stand_ins: tuple[str, ...]
    """Per piece: the stand-in of its data; empty where the data are the skeleton's own."""


# ── in ────────────────────────────────────────────────────────────────────────────────────────────


def decode(body: Body, schema: Schema) -> Request:
    """The request in `body`: JSON, then schema, then base64, then app id (http-api.md 3.6).

    Raises BadRequest or BadAppId, with ASF's message and the places in `problems`.
    """
    try:
        if schema.is_liftable:
            request = _decode_lifted(body, schema)
            if request is not None:
                return request
        return _read(body, schema, {})
    except RecursionError:
        raise BadRequest(NOT_JSON, problems=(Problem("", "is nested too deeply"),)) from None


def _decode_lifted(body: Body, schema: Schema) -> Request | None:
    """The request, if its long strings are data and nothing is wrong with it."""
    if len(body) > LIFT_ABOVE:
        skeleton, strings = lifting.lift(body)
    elif schema.data_member:
        skeleton, strings = lifting.lift_member(body, schema.data_member)
    else:
        return None
    if not strings:
        return None
    known: Known | None = schema.known.get(skeleton)
    if known is not None:
        return _recall(known, strings, schema)
    lifted = [*strings.items()]
    try:
        request = _read(skeleton, schema, strings)
    except CallerError:
        return None  # the plain way will find the same, and say it about the body as it was sent
    if strings:
        return None
    _remember(skeleton, request, lifted, schema)
    return request


def _recall(known: Known, strings: Strings, schema: Schema) -> Request | None:
    """The request with a known skeleton and these strings; None if one is too short or too long."""
    was = known.request
    pieces = []
    for piece, stand_in in zip(was.pieces, known.stand_ins, strict=True):
        data = piece.data
        if stand_in:
            data, length = strings[stand_in]
            least, most = schema.lengths[piece.key]
            if not least <= length <= most:
                return None
        pieces.append(Piece(piece.key, piece.type, piece.status, piece.desc, data))
    return Request(was.app, was.headers, was.params.copy(), pieces, was.expects)


def _remember(skeleton: bytes, request: Request, lifted: list[tuple[str, Lifted]], schema: Schema) -> None:
    if len(skeleton) > LONGEST_KNOWN:
        return
    if len(schema.known) >= MOST_KNOWN:
        schema.known.clear()
    stand_ins = tuple(
        next((stand_in for stand_in, one in lifted if one.data is piece.data), "") for piece in request.pieces
    )
    pieces = [
        Piece(piece.key, piece.type, piece.status, piece.desc, b"" if stand_in else piece.data)
        for piece, stand_in in zip(request.pieces, stand_ins, strict=True)
    ]
    kept = Request(request.app, request.headers, request.params.copy(), pieces, request.expects)
    schema.known[skeleton] = Known(kept, stand_ins)


def _read(body: Body, schema: Schema, strings: Strings) -> Request:
    """The request in `body`; takes every stand-in that is a data field out of `strings`."""
    members = parse(body)
    is_ascii = body.isascii() and (b"\\" not in body or b"\\u" not in body)  # one byte is found much faster than two
    problems = schema.check(members, is_ascii=is_ascii) + _misfits(members, schema, strings, is_ascii=is_ascii)
    if problems:
        raise BadRequest(f"parameter schema validate error: {explain(problems)}", problems=problems)
    schema.fill(members)
    pieces = _pieces(_object(members, "payload"), schema, strings)  # which may be there only now
    headers = _texts(_object(members, "header"))
    # ASF takes `appid` before `app_id`, and hands it on under that name; the other could be anybody's.
    headers["appid"] = app = headers.get("appid") or headers.get("app_id", "")
    if "app_id" in headers:
        headers["app_id"] = app
    if not app:
        raise BadAppId("appid cannot be empty", problems=(Problem("/header/app_id", "cannot be empty"),))
    params, expects = _wishes(_object(members, "parameter"), schema)
    return Request(app, headers, params, pieces, expects)


def parse(body: Body) -> Members:
    """The JSON object in `body`, unchecked; null counts as an empty one. Raises BadRequest."""
    try:
        parsed = _JSON.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(NOT_JSON, problems=(Problem("", str(error)),)) from None
    if type(parsed) is dict:
        return parsed
    if parsed is None:  # ASF takes null for {}
        return {}
    raise BadRequest(NOT_JSON, problems=(Problem("", "must be an object"),))


def _object(members: Members, key: str) -> Members:
    """A member that is an object; whatever else it is counts as absent (http-api.md 2.2)."""
    found = members.get(key)
    return found if type(found) is dict else {}


def _texts(members: Members) -> dict[str, str]:
    """Members as strings, in place: it is our own copy of what came (http-api.md 6.3)."""
    for key, value in members.items():
        if type(value) is not str:
            members[key] = text(value)
    return cast("dict[str, str]", members)


def _misfits(members: Members, schema: Schema, strings: Strings, *, is_ascii: bool) -> tuple[Problem, ...]:
    """Data fields that are too short or too long, in bytes of what was sent."""
    payload = _object(members, "payload")
    problems: tuple[Problem, ...] = ()
    for stream, (least, most) in schema.lengths.items():
        block = payload.get(stream)
        key = DATA_KEYS[schema.inputs[stream]]
        value = block.get(key) if type(block) is dict else None
        if type(value) is not str:
            continue
        length = strings[value].length if value in strings else len(value) if is_ascii else len(value.encode())
        if not least <= length <= most:
            limit = f"larger or equal than {least}" if length < least else f"less or equal than {most}"
            problems += (Problem(f"/payload/{stream}/{key}", f"length must be {limit}"),)
    return problems


def _pieces(payload: Members, schema: Schema, strings: Strings) -> list[Piece]:
    """The inputs that are there; one without its data key is sent empty (http-api.md 2.7)."""
    pieces = []
    for stream, kind in schema.inputs.items():
        block = payload.get(stream)
        if type(block) is not dict:
            continue
        key = DATA_KEYS[kind]
        value = block.pop(key, "")
        if type(value) is not str:
            value = text(value)
        lifted = strings.pop(value, None) if strings else None
        data = lifted.data if lifted else _from_base64(value, stream, key)
        pieces.append(Piece(stream, kind, desc=_texts(block), data=data))
    return pieces


def _from_base64(value: str, stream: str, key: str) -> bytes:
    try:
        return base64.decode(value)
    except base64.Illegal as error:
        raise BadRequest(
            f"base64 decode error,input stream,field : '{stream}' must be encode to base64 string. error:{error}",
            problems=(Problem(f"/payload/{stream}/{key}", f"is not base64: illegal at byte {error.place}"),),
        ) from None


def _wishes(parameter: Members, schema: Schema) -> tuple[dict[str, str], list[Expect]]:
    """Parameters, and what is expected of every output.

    An output's name with anything but an object is dropped, as ASF does (http-api.md 2.5).
    """
    params: dict[str, str] = {}
    asked: dict[str, Expect] = {}
    outputs = schema.outputs
    for name in schema.names:
        for key, value in _object(parameter, name).items():
            if key not in outputs:
                params[key] = value if type(value) is str else text(value)
            elif type(value) is dict:
                value.pop("data_type", None)  # the schema knows it; ASF's loader wants it, and does not give it back
                asked[key] = Expect(key, outputs[key], _texts(value))
    if len(asked) < len(outputs):
        for key, kind in outputs.items():
            if key not in asked:
                asked[key] = Expect(key, kind, schema.defaults[key])
    return params, [*asked.values()]


# ── in, step by step ──────────────────────────────────────────────────────────────────────────────


class Given(msgspec.Struct):
    """One frame of a caller: a session's step (http-api.md 7.2)."""

    request: Request
    """`app` is empty in a later step without a header."""
    statuses: dict[str, int]
    """Status of each payload stream; a stream that says none has its header's, or goes on."""
    header: int | None
    """Status in the frame's own header; None if it says none."""


def open_frame(body: Body, *, is_shared: bool) -> tuple[Members, str]:
    """A frame's JSON object and the `header.cid` of a shared connection, empty where there is none (http-api.md 7.7).

    Raises BadRequest. The cid is in no schema, so it is taken out; on a connection that is not shared it stays.
    """
    try:
        members = parse(body)
    except RecursionError:
        raise BadRequest(NOT_JSON, problems=(Problem("", "is nested too deeply"),)) from None
    cid = _object(members, "header").pop("cid", "") if is_shared else ""
    return members, cid if type(cid) is str else ""


class _KnownFrame(NamedTuple):
    """What was made of a later frame's skeleton."""

    given: Given
    stand_in: str
    key: str
    """The input that the stand-in is the data of."""
    cid: str


def recall_frame(body: Body, schema: Schema) -> tuple[Given, str] | None:
    """The step and the cid of a later frame whose skeleton is known: in most streams all frames but two have one."""
    skeleton, strings = _lift_frame(body, schema)
    known: _KnownFrame | None = schema.known_frames.get(skeleton) if strings else None
    if known is None:
        return None
    data, length = strings[known.stand_in]
    least, most = schema.lengths[known.key]
    if not least <= length <= most:
        return None
    given, was = known.given, known.given.request
    pieces = [
        Piece(piece.key, piece.type, piece.status, piece.desc, data if piece.key == known.key else piece.data)
        for piece in was.pieces
    ]
    request = Request(was.app, was.headers, was.params.copy(), pieces, was.expects)
    return Given(request, given.statuses, given.header), known.cid


def remember_frame(body: Body, schema: Schema, *, is_shared: bool) -> None:
    """A later frame was right: remember its skeleton, if it is seen a second time."""
    skeleton, strings = _lift_frame(body, schema)
    if len(strings) != 1 or len(skeleton) > LONGEST_KNOWN:
        return
    known = schema.known_frames
    if skeleton not in known:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[skeleton] = None  # frames that carry a number of their own never come again
        return
    ((stand_in, lifted),) = strings.items()
    members, cid = open_frame(skeleton, is_shared=is_shared)
    given = read_frame(members, schema, is_first=False, strings=strings)
    keys = [piece.key for piece in given.request.pieces if piece.data is lifted.data]
    if not strings and len(keys) == 1:
        known[skeleton] = _KnownFrame(given, stand_in, keys[0], cid)


def _lift_frame(body: Body, schema: Schema) -> tuple[bytes, Strings]:
    if not schema.is_liftable:
        return b"", {}
    if len(body) > LIFT_ABOVE:
        return lifting.lift(body)
    return lifting.lift_member(body, schema.data_member) if schema.data_member else (b"", {})


def read_frame(members: Members, schema: Schema, *, is_first: bool, strings: Strings | None = None) -> Given:
    """A frame's step: base64, then the app id of the first, then the schema (http-api.md 7.4).

    Defaults of the schema count for the first frame's header and parameters; the payload is handed on as it came.
    Raises BadRequest or BadAppId, with ASF's words for WebSockets.
    """
    header = _object(members, "header")
    said = header.get("status")
    status = said if type(said) is int and Status.BEGIN <= said <= Status.ONCE else None
    payload: Members = {key: dict(block) for key, block in _object(members, "payload").items() if type(block) is dict}
    try:
        checked = _misfits(members, schema, strings or {}, is_ascii=False)
        pieces = _pieces(payload, schema, strings if strings is not None else {})
    except BadRequest as error:
        raise BadRequest(f"resolve request error:{error.message}", problems=error.problems) from None
    app = header.get("appid") or header.get("app_id") or ""
    if is_first and not app:
        raise BadAppId("app_id cannot be empty", problems=(Problem("/header/app_id", "cannot be empty"),))
    problems = schema.check(members) + checked
    if problems:
        raise BadRequest(explain(problems), problems=problems)
    if is_first:
        members.pop("payload", None)
        schema.fill(members)
        header = _object(members, "header")
    headers = _texts(header)
    if app:
        headers["appid"] = text(app)
        if "app_id" in headers:
            headers["app_id"] = text(app)
    statuses = {piece.key: _place(piece, status) for piece in pieces}
    for piece in pieces:
        piece.status = statuses[piece.key]
    params, expects = _wishes(_object(members, "parameter"), schema)
    return Given(Request(text(app), headers, params, pieces, expects), statuses, status)


def _place(piece: Piece, header: int | None) -> int:
    """Where a stream stands: by its own block, else by the frame's header."""
    said = piece.desc.get("status", "")
    if said in _PLACES:
        return int(said)
    return Status.CONTINUE if header is None else header


_PLACES = frozenset("0123")


# ── out ───────────────────────────────────────────────────────────────────────────────────────────

Attributes = tuple[tuple[str, str], ...]


class Opening(NamedTuple):
    """One output in JSON around its number, up to its data."""

    head: bytes
    """Up to the value of `seq`."""
    seq: bytes
    """How `seq` is written around its digits: a quote where the schema has it as text."""
    tail: bytes
    """From there to the data."""
    json: bytes
    """All of it, with number 0."""
    form: str
    """What the caller wants the data as: `json` embeds what is JSON, `text` what is UTF-8, as a string."""


SMALL = 1024
"""Bytes of an opening that is kept for the next answer."""
MOST_OPENINGS = 1024


def encode(
    sid: str, reply: Reply, expects: list[Expect], schema: Schema, *, headers: Mapping[str, str] | None = None
) -> bytes:
    """The body of a success: every output with its attributes and its data.

    `headers` are the request's, for the members that the schema wants in the answer's (`build_header`).

    Attributes are the wrapper's own, overlaid with those that the caller asked for (`expects`), `seq` and `status`.
    Of two outputs with one name the last counts (http-api.md 3.1).
    Raises OutputInvalid if an output has a key or a type that the schema does not know.
    """
    wanted = {expect.key: expect.desc for expect in expects}
    parts: list[bytes | bytearray | memoryview] = [
        b'{"header":{"code":0,"message":"success","sid":',
        _encode(sid),
    ]
    if schema.header and headers:
        parts.append(_said_again(headers, schema))
    parts.append(b'},"payload":{')
    pieces = reply.pieces
    for piece in pieces if len(pieces) < 2 else {piece.key: piece for piece in pieces}.values():
        if schema.outputs.get(piece.key) != piece.type:
            raise _undeclared(piece, schema)
        desc = wanted.get(piece.key, {})
        if piece.desc:
            desc = piece.desc | desc
        opening = _open(schema, piece.key, piece.status, tuple(desc.items()))
        parts.append(opening.json)
        _put(parts, piece.data, opening.form)
    if pieces:
        parts[-1] = parts[-1][:-1]  # the last comma
    parts.append(b"}}")
    return b"".join(parts)


class Steps:
    """Writes the steps of one session's answer: WebSocket frames, events, lines (http-api.md 3.2)."""

    def __init__(self, sid: str, schema: Schema, *, cid: str | None = None) -> None:
        """`cid` names the session on a connection that it shares; the caller chose it."""
        self._schema = schema
        start = b'{"header":{"code":0,"message":"success","sid":' + _encode(sid)
        if cid is not None:
            start += b',"cid":' + _encode(cid)
        self._start = start + b',"status":'
        self._sid, self._cid = sid, cid
        self._seqs: dict[str, int] = {}
        self._openings: dict[tuple[str, int, int], Opening] = {}
        """Of outputs without attributes of their own, by key, type and status."""
        self.wanted: dict[str, dict[str, str]] = {}
        """Output to attributes that the caller asked for."""
        self.headers: Mapping[str, str] = {}
        """The first step's, for the members that the schema wants in the answer's."""

    def begin(self, expects: list[Expect], headers: Mapping[str, str]) -> None:
        """The first step said what its caller wants."""
        self.wanted = {expect.key: expect.desc for expect in expects}
        self.headers = headers
        self._openings.clear()

    def acknowledge(self) -> bytes:
        """The session has begun: status 0 and no payload."""
        return self._start + b"0}}"

    def encode(self, reply: Reply, status: int) -> bytes:
        """One step. Each output is numbered for itself, from 1. Raises OutputInvalid as `encode` does."""
        schema = self._schema
        parts: list[bytes | bytearray | memoryview] = [self._start, b"%d" % status]
        if schema.header and self.headers:
            parts.append(_said_again(self.headers, schema))
        parts.append(b'},"payload":{')
        pieces = reply.pieces
        for piece in pieces if len(pieces) < 2 else {piece.key: piece for piece in pieces}.values():
            place = (piece.key, piece.type, piece.status)
            opening = None if piece.desc else self._openings.get(place)
            if opening is None:
                opening = self._open(piece)
                if not piece.desc:
                    self._openings[place] = opening
            self._seqs[piece.key] = seq = self._seqs.get(piece.key, 0) + 1
            parts += (opening.head, opening.seq, b"%d" % seq, opening.seq, opening.tail)
            _put(parts, piece.data, opening.form)
        if reply.pieces:
            parts[-1] = parts[-1][:-1]  # the last comma
        parts.append(b"}}")
        return b"".join(parts)

    def _open(self, piece: Piece) -> Opening:
        if self._schema.outputs.get(piece.key) != piece.type:
            raise _undeclared(piece, self._schema)
        desc = piece.desc | self.wanted.get(piece.key, {})
        return _open(self._schema, piece.key, piece.status, tuple(desc.items()))

    def encode_error(self, error: AthenaError) -> bytes:
        """A failure (http-api.md 7.5)."""
        return encode_error(error, self._sid, cid=self._cid, status=Status.BEGIN)


def _put(parts: list[bytes | bytearray | memoryview], data: Body | memoryview, form: str) -> None:
    """Data as the caller wants them, and the end of their output."""
    if form == "json" and _is_json(data):
        parts += (data, b"},")
    elif form == "text" and (text := _as_text(data)) is not None:
        parts += (text, b"},")
    else:
        parts += (b'"', pybase64.b64encode(data), b'"},')


def _as_text(data: Body | memoryview) -> bytes | None:
    """UTF-8 as a JSON string; None if it is none."""
    try:
        return _encode(str(data, "utf-8"))
    except UnicodeDecodeError:
        return None


def _said_again(headers: Mapping[str, str], schema: Schema) -> bytes:
    """Members of the answer's header beyond its own (http-api.md 3.4)."""
    return b"".join(
        b"," + _encode(name) + b":" + _cast(headers[name], kind)
        for name, kind in schema.header.items()
        if name in headers
    )


def _open(schema: Schema, key: str, status: int, attributes: Attributes) -> Opening:
    openings: dict[tuple[str, int, Attributes], Opening] = schema.openings
    place = (key, status, attributes)
    opening = openings.get(place)
    if opening is None:
        opening = _opening(schema, key, status, attributes)
        if len(opening.json) <= SMALL:  # callers choose the attributes: only what is small may stay, and not for ever
            if len(openings) >= MOST_OPENINGS:
                openings.clear()
            openings[place] = opening
    return opening


def _opening(schema: Schema, key: str, status: int, attributes: Attributes) -> Opening:
    casts = schema.casts.get(key, {})
    data_key = DATA_KEYS[schema.outputs[key]]
    said = {**dict(attributes), "status": str(int(status))}
    for name in (data_key, "seq"):
        said.pop(name, None)  # in ASF such an attribute replaced the data
    members = b"".join(_encode(name) + b":" + _cast(value, casts.get(name)) + b"," for name, value in said.items())
    head = _encode(key) + b":{" + members + b'"seq":'
    quote = _cast("0", casts.get("seq")).replace(b"0", b"", 1)[:1]
    tail = b"," + _encode(data_key) + b":"
    return Opening(head, quote, tail, head + quote + b"0" + quote + tail, said.get("format", ""))


_NUMBERS = {
    "integer": re.compile(r"-?(0|[1-9][0-9]*)"),
    "number": re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?"),
}


def _cast(value: str, kind: str | None) -> bytes:
    """An attribute as the schema types it; a number that is none stays a string, where ASF makes it 0."""
    if kind in ("bool", "boolean"):
        return b"true" if value == "true" else b"false"
    pattern = _NUMBERS.get(kind or "")
    return value.encode() if pattern and pattern.fullmatch(value) else _encode(value)


def _is_json(data: Body | memoryview) -> bool:
    try:
        _JSON_SYNTAX.decode(data)
        str(data, "utf-8")  # the line above does not look into strings
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _undeclared(piece: Piece, schema: Schema) -> OutputInvalid:
    declared = ", ".join(f"{key} ({_type_name(kind)})" for key, kind in schema.outputs.items())
    return OutputInvalid(
        f"wrapper output data invalid(key or type): {piece.key!r} ({_type_name(piece.type)}) is not among the declared "
        f"outputs: {declared or 'none'}"
    )


def _type_name(kind: int) -> str:
    return DATA_KEYS[kind] if 0 <= kind < len(DATA_KEYS) else str(kind)


def encode_error(error: AthenaError, sid: str, *, cid: str | None = None, status: int | None = None) -> bytes:
    """The body of a failure (http-api.md 3.6); `errors` has the places for programs, where there are any."""
    header: dict[str, object] = {"code": error.code, "message": error.message, "sid": sid}
    if status is not None:
        header["status"] = int(status)
    if cid is not None:
        header["cid"] = cid
    if error.problems:
        header["errors"] = [problem._asdict() for problem in error.problems]
    try:
        return _encode({"header": header})
    except UnicodeEncodeError:  # user code's own text may hold half a surrogate pair
        header["message"] = error.message.encode(errors="replace").decode()
        return _encode({"header": header})
