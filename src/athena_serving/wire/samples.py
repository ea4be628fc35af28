"""A request as an example, and the answer to it: made of a schema, and shown only if they are right."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import pybase64

from athena_serving.errors import AthenaError
from athena_serving.wire import envelope
from athena_serving.wire.messages import DATA_KEYS, DataType, Expect, Piece, Reply
from athena_serving.wire.request_schema import Json
from athena_serving.wire.schema import Node, Schema

SID: Final = "ase00170001@dx1a2123589ae0001182"
"""A sid as an example (wire/sid.py)."""

_LONGEST: Final = 4096
"""Characters of a value that an example may have; a schema that asks for more gets none."""

# The smallest picture there is: one grey dot, PNG.
_PICTURE: Final = pybase64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_DATA: Final = {
    DataType.TEXT: b"hello",
    DataType.AUDIO: bytes(32),  # one millisecond of silence, 16 bits at 16 kHz
    DataType.IMAGE: _PICTURE,
    DataType.VIDEO: b"example",
    DataType.OTHER: b"example",
}
_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "name@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "phone": "13800138000",
}


def request(schema: Schema, asked: Node) -> Json | None:
    """A request that the service takes; `asked` is its JSON Schema (wire/request_schema.py).

    With every parameter if one can be made so, else with those that are required; None if neither is right.
    """
    for is_full in (True, False):
        try:
            sample = _request(schema, asked, is_full=is_full)
            envelope.decode(msgspec.json.encode(sample), schema)
        except (AthenaError, ValueError, OverflowError):  # no value is known that this schema takes
            continue
        return sample
    return None


def answer(schema: Schema) -> Json:
    """What the service answers to a caller without wishes, with sample data."""
    pieces = [Piece(key, kind, data=_answered(schema, key, kind)) for key, kind in schema.outputs.items()]
    expects = [Expect(key, kind, schema.defaults[key]) for key, kind in schema.outputs.items()]
    encoded = envelope.encode(SID, Reply(pieces), expects, schema)
    decoded: Json = msgspec.json.decode(encoded, type=dict[str, object])
    return decoded


def _answered(schema: Schema, key: str, kind: int) -> bytes:
    return b'{"example":true}' if schema.defaults[key].get("format") == "json" else _DATA[DataType(kind)]


def _request(schema: Schema, asked: Node, *, is_full: bool) -> Json:
    header = _members(asked).get("header")
    wanted = [name for name in ("app_id", "appid") if name in _members(header)][:1] or ["app_id"]
    sample: Json = {"header": _object(header, also=wanted) | dict.fromkeys(wanted, "123456")}
    parameter = _members(asked).get("parameter")
    blocks = {name: _object(node, also=_params(node, is_full)) for name, node in _members(parameter).items()}
    if parameter := {name: block for name, block in blocks.items() if block}:
        sample["parameter"] = parameter
    payload = _members(_members(asked).get("payload"))
    if streams := {key: _stream(schema, key, payload.get(key)) for key in schema.inputs if key in payload}:
        sample["payload"] = streams
    return sample


def _params(block: object, is_full: bool) -> list[str]:
    """The parameters; objects are wishes about outputs, and have defaults."""
    return [name for name, node in _members(block).items() if is_full and "object" not in _types(node)]


def _stream(schema: Schema, key: str, node: object) -> Json:
    kind = schema.inputs[key]
    data, least = _DATA[DataType(kind)], schema.lengths[key].least
    if least > _LONGEST:
        raise ValueError(f"{key} is never short")
    data *= -(-least // len(pybase64.b64encode(data))) or 1
    return {**_object(node), DATA_KEYS[kind]: pybase64.b64encode(data).decode()}


# ── a value of a schema ───────────────────────────────────────────────────────────────────────────


def _value(node: object) -> object:
    """A value that reads well. Raises ValueError if none is known."""
    if not isinstance(node, dict):
        return "text"
    for keyword in ("default", "const"):
        if keyword in node:
            return node[keyword]
    for keyword in ("examples", "enum"):
        values = [value for value in node.get(keyword, ()) if value is not None]
        if values:
            return values[0]
    types = _types(node)
    if "string" in types or not types:
        return _text(node)
    if types & {"integer", "number"}:
        return _number(node, is_whole="number" not in types)
    if "boolean" in types:
        return False
    if "array" in types:
        return _list(node)
    return _object(node)


def _list(node: Json) -> list[object]:
    least = _whole(node.get("minItems"))
    if least > _LONGEST:
        raise ValueError("a list is never short")
    return [_value(node.get("items"))] * least


def _object(node: object, also: Sequence[str] = ()) -> Json:
    """An object with what it must have, and these."""
    members = _members(node)
    required = node.get("required", []) if isinstance(node, dict) else []
    return {name: _value(members.get(name)) for name in dict.fromkeys([*required, *also])}


def _text(node: Json) -> str:
    sample = _FORMATS.get(str(node.get("format")), "text")
    least, most = _whole(node.get("minLength")), node.get("maxLength")
    if least > _LONGEST:
        raise ValueError("a text is never short")
    sample = sample.ljust(least, "x")
    return sample[:most] if isinstance(most, int) else sample


def _number(node: Json, *, is_whole: bool) -> int | float:
    sample: int | float = 1
    for keyword, limit in (("maximum", min), ("minimum", max)):
        bound = node.get(keyword)
        if isinstance(bound, int | float):
            sample = limit(sample, bound)
    step = node.get("multipleOf")
    if isinstance(step, int | float):
        sample = math.ceil(sample / step) * step
    return math.ceil(sample) if is_whole else sample


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _members(node: object) -> Json:
    found = node.get("properties") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def _types(node: object) -> set[str]:
    names = node.get("type") if isinstance(node, dict) else None
    return {names} if isinstance(names, str) else set(names) - {"null"} if isinstance(names, list) else set()
