"""Bytes into `wire.schema.compile`: a schema comes out that can be asked, or a UsageError that says where."""

import copy
import json

from athena_serving.errors import BadAppId, BadRequest, UsageError
from athena_serving.wire import envelope, schema

_LIMIT = 1 << 20

_DOCUMENTS = (
    {
        "meta": {
            "serviceId": "s",
            "route": ["/a"],
            "hosts": "h",
            "codeMap": {"10907": 430},
            "build_header": 1,
            "s": {"input": {"i": {"dataType": "image"}}, "accept": {"o": "text"}},
        },
        "schemainput": {
            "type": "object",
            "properties": {
                "header": {"properties": {"app_id": {"type": "string", "maxLength": 9}}, "required": ["app_id"]},
                "parameter": {"properties": {"s": {"children": {"n": {"type": "integer|string", "enum": [1, "a"]}}}}},
                "payload": {"properties": {"i": {"properties": {"image": {"minLength": 1, "maxB64DLen": 99}}}}},
            },
        },
        "schemaoutput": {"properties": {"payload": {"properties": {"o": {"properties": {"n": {"type": "number"}}}}}}},
    },
    {
        "meta": {"serviceId": "s"},
        "schemainput": {
            "switch": "a",
            "case": {"1": {"delete": ["b"]}},
            "default": {"keyMatch": {"a": 1}},
            "anyOf": [{"if": {"$ref": "#/$defs/x"}, "then": {"error": "x"}, "else": {"not": {"const": 1}}}],
            "children": {"a": {"replaceKey": "b", "formatVal": "string", "defaultVal": 1, "constVal": 2}},
            "setVal": {"c.d": ["$append", "${a}", "x"], "e": ["$sprintf", "%03d", "${a}"]},
            "patternProperties": {"^a[[:alpha:]]": {"format": "ipv4", "pattern": "a"}},
            "$defs": {
                "x": {"items": {"multipleOf": 2, "minimum": 1}, "uniqueItems": True, "dependencies": {"a": ["b"]}}
            },
        },
    },
)

SEEDS = tuple(json.dumps(one, separators=(",", ":")).encode() for one in _DOCUMENTS)
"""Documents with every kind of keyword."""

_REQUESTS = (
    b'{"header":{"app_id":"1"},"parameter":{"s":{"n":1}},"payload":{"i":{"image":"SU1H"}}}',
    b'{"header":{"appid":"1","a":[1,{"a":null}]},"a":1,"b":"x","c":{"d":2.5},"e":[2,2],"ab":"127.0.0.1"}',
)


def one(data: bytes) -> None:
    """Compile `data` and ask the schema twice. Anything but a UsageError with its place is a finding."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    given = copy.deepcopy(document)
    try:
        compiled = schema.compile(document, body_limit=_LIMIT)
    except UsageError as error:
        if not (error.where and error.help):
            raise ValueError("refused without a place or without help") from error
        return
    if document != given:
        raise ValueError("the document was changed")
    for request in _REQUESTS:
        try:
            envelope.decode(request, compiled)
        except (BadRequest, BadAppId):
            continue
