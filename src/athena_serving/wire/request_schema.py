"""The requests that a service takes, as a JSON Schema that anybody's tools can read.

`Schema.standard` says what `Schema.check` accepts, in the words of our validator. Here it becomes plain JSON Schema
2020-12, with what the envelope asks beyond it (app id, base64, lengths of data) and with the author's own words
(`title`, `description`, `defaultVal`), so that what is published is what is accepted.

Two things JSON Schema cannot say. Lengths count bytes of UTF-8: `maxLength` and `minLength` count characters, which is
the same for ASCII only. And what a schema changes in a request, it changes after the check.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from athena_serving.wire.messages import DATA_KEYS
from athena_serving.wire.schema import Node, Schema

Json = dict[str, object]
"""A JSON object of ours."""

BASE64: Final = (
    r"^[\r\n]*(?:(?:[A-Za-z0-9+/][\r\n]*){4})*"
    r"(?:(?:[A-Za-z0-9+/][\r\n]*){2}=[\r\n]*=[\r\n]*|(?:[A-Za-z0-9+/][\r\n]*){3}=[\r\n]*)?$"
)
"""Standard alphabet, padding required, line ends anywhere (http-api.md 2.7)."""

ANSWERED: Final = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
"""Base64 as we write it."""

HEADER_WORDS: Final = {
    "app_id": "Application id. This or appid must be there, and not be empty.",
    "appid": "Application id; where both are there, this one counts.",
    "uid": "The end user's id.",
    "did": "The device's id.",
    "net_type": "Kind of network the device is in.",
    "net_isp": "The device's network provider.",
    "status": "Where the request stands in its stream: 0 begin, 1 continue, 2 end, 3 all at once.",
    "request_id": "The caller's own id for this request.",
    "res_id": "Ids of personal resources.",
    "patch_id": "Ids of patches.",
}
"""What common members of `header` mean (http-api.md 2.3), where the schema's author does not say."""

# Only what is about a type counts where that type is excluded; leaving the rest out keeps the document readable.
_ABOUT: Final = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "array": {"items", "minItems", "maxItems", "uniqueItems", "contains"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
_BYTES: Final = {"minBytes": "minLength", "maxBytes": "maxLength"}
_PLAIN: Final = {
    *("type", "enum", "const", "format", "pattern", "required", "dependentRequired", "uniqueItems"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minContains", "maxContains"),
}


def build(schema: Schema, *, at: str) -> Json:
    """The JSON Schema of one request. `at` is where it will stand, for references: `#/components/schemas/ocr`."""
    given = schema.document.get("schemainput")
    asked = given if isinstance(given, Mapping) else {}
    root = _Writer(at).write(schema.standard, asked)
    root["type"] = "object"  # null would be {}, which has no app id
    members = _members(root)
    for stream, kind in schema.inputs.items():
        block = _member(_members(_member(members, "payload")), stream)
        data = _members(block).get(DATA_KEYS[kind])
        if isinstance(data, dict):
            least, most = schema.lengths[stream]
            _as_base64(data, least=least, most=most)
    _demand_app_id(root, asked)
    return root


# ── from the validator's words into everybody's ───────────────────────────────────────────────────


class _Writer:
    """One walk through the compiled schema, with the author's document at its side."""

    def __init__(self, at: str) -> None:
        self._at = at

    def write(self, node: Node, said: Node) -> Json:
        written: Json = {}
        beyond: list[str] = []
        for keyword, value in node.items():
            if keyword in _PLAIN:
                written[keyword] = value
            elif keyword in _BYTES:
                written[_BYTES[keyword]] = value
            elif keyword in _WRITE:
                written[keyword] = _WRITE[keyword](self, value, said.get(keyword))
            else:
                beyond.append(f"{keyword} {value}" if isinstance(value, str | int | float) else keyword)
        _prune(written)
        _add_words(written, said, beyond)
        return written

    def one(self, value: object, said: object) -> object:
        """A schema, or true or false."""
        if not isinstance(value, Mapping):
            return value
        return self.write(value, said if isinstance(said, Mapping) else {})

    def each(self, value: object, said: object) -> object:
        """Schemas by name."""
        if not isinstance(value, Mapping):
            return value
        words = said if isinstance(said, Mapping) else {}
        return {key: self.one(child, words.get(key)) for key, child in value.items()}

    def listed(self, value: object, said: object) -> object:
        """A list of schemas."""
        if not isinstance(value, list):
            return value
        words = said if isinstance(said, list) and len(said) == len(value) else [None] * len(value)
        return [self.one(child, word) for child, word in zip(value, words, strict=True)]

    def refer(self, value: object, _: object) -> object:
        """A reference inside the document, which now stands deeper."""
        return self._at + value[1:] if isinstance(value, str) and value.startswith("#") else value


_Write = Callable[[_Writer, object, object], object]
_WRITE: Final[dict[str, _Write]] = {
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"), _Writer.each),
    **dict.fromkeys(("items", "additionalProperties", "not", "if", "then", "else", "contains"), _Writer.one),
    **dict.fromkeys(("anyOf", "oneOf", "allOf"), _Writer.listed),
    "$ref": _Writer.refer,
}


def _prune(written: Json) -> None:
    """Leave out what the type excludes: other types' keywords, and forms that an enum has for them."""
    types = _types(written)
    if not types:
        return
    if written.get("minLength") == 0:
        del written["minLength"]
    for name, keywords in _ABOUT.items():
        if name not in types and not (name == "number" and "integer" in types):
            for keyword in keywords & written.keys():
                del written[keyword]
    values = written.get("enum")
    if isinstance(values, list):
        fit = [value for value in values if not types.isdisjoint(_types_of(value))]
        written["enum"] = [value for place, value in enumerate(fit) if not _is_among(value, fit[:place])]


def _types(node: Node) -> set[str]:
    names = node.get("type", ())
    return {names} if isinstance(names, str) else {*names} if isinstance(names, list) else set()


def _types_of(value: object) -> set[str]:
    """Types of JSON Schema that a value has."""
    match value:
        case None:
            return {"null"}
        case bool():
            return {"boolean"}
        case str():
            return {"string"}
        case int() | float():
            return {"number", "integer"} if value == int(value) else {"number"}
    return {"array" if isinstance(value, list) else "object"}


def _is_among(value: object, others: list[object]) -> bool:
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in others)


def _add_words(written: Json, said: Node, beyond: list[str]) -> None:
    words = {key: text for key in ("title", "description") if isinstance(text := said.get(key), str) and text}
    if beyond:
        words["description"] = " ".join([words.get("description", ""), "Also checked:", ", ".join(beyond)]).strip()
    written.update(words)
    for keyword in ("default", "defaultVal"):
        if keyword in said and not (keyword == "default" and isinstance(said[keyword], Mapping)):
            written["default"] = said[keyword]
    examples = said.get("examples")
    if isinstance(examples, list):
        written["examples"] = examples


# ── what the envelope asks beyond the schema ──────────────────────────────────────────────────────


def _as_base64(data: Json, *, least: int, most: int) -> None:
    """Make a data field say what the envelope decodes; null counts as no data."""
    data.setdefault("type", ["string", "null"])
    if "pattern" in data:
        others = data.get("allOf")
        data["allOf"] = [*(others if isinstance(others, list) else []), {"pattern": BASE64}]
    else:
        data["pattern"] = BASE64
    data |= {"contentEncoding": "base64", **({"minLength": least} if least else {}), "maxLength": most}


# Keywords of ASF's that may set an app id after the check, in ways that no schema can tell.
_MOVERS: Final = {"setVal", "replaceKey", "constVal", "formatVal", "delete"}


def _demand_app_id(root: Json, asked: Node) -> None:
    """The header must be there with an app id that is not empty: else code 10313 (http-api.md 3.6)."""
    if _MOVERS & asked.keys():
        return
    root["required"] = [*dict.fromkeys((*_texts(root.get("required")), "header"))]
    if "header" not in _members(root) and root.get("additionalProperties") is not False:
        root["properties"] = {**_members(root), "header": {}}
    header = _member(_members(root), "header")
    header["type"] = "object"
    members = _members(header)
    for name, words in HEADER_WORDS.items():
        node = members.get(name)
        if isinstance(node, dict):
            node.setdefault("description", words)
    if _moves_app_id(_member(_members(asked), "header")):
        return
    is_closed = header.get("additionalProperties") is False
    ways = [_way(name, members.get(name)) for name in ("app_id", "appid") if name in members or not is_closed]
    given = header.get("anyOf")
    if isinstance(given, list) and given != [{"required": way.get("required")} for way in ways]:
        others = header.get("allOf")
        header["allOf"] = [*(others if isinstance(others, list) else []), {"anyOf": given}]
    header["anyOf"] = ways or [False]  # a header that can have no app id is always refused


def _way(name: str, node: object) -> Json:
    """A way to have an app id: this member is there, or has a default, and is not empty."""
    known = node if isinstance(node, dict) else {}
    types = (_types(known) or {"string", "number", "boolean", "array", "object"}) - {"null"}
    full: Json = {"type": "string", "minLength": 1} if types == {"string"} else _not_empty(types)
    way: Json = {"properties": {name: full}}
    return way if known.get("default") else {**way, "required": [name]}


def _not_empty(types: set[str]) -> Json:
    """Null, "" and [] are written as nothing (`schema.text`)."""
    return {"type": sorted(types), "minLength": 1, "minItems": 1}


def _moves_app_id(header: Node) -> bool:
    members = _members(header)
    nodes = [header, *(_member(members, name) for name in ("app_id", "appid"))]
    return any(_MOVERS & node.keys() for node in nodes)


def _members(node: Node) -> Json:
    found = node.get("properties")
    return found if isinstance(found, dict) else {}


def _member(members: Node, key: str) -> Json:
    found = members.get(key)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> Iterable[str]:
    return (one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def component(name: str) -> str:
    """A service's name as a key of `components`, which OpenAPI restricts to letters, digits, `.`, `_` and `-`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
