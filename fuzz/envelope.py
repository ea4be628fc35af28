"""Bytes into `wire.envelope.decode`: a request comes out, or one of the two errors it declares."""

from athena_serving.errors import BadAppId, BadRequest
from athena_serving.sdk import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    StringBodyField,
    StringParamField,
    document,
)
from athena_serving.wire import envelope, schema

_LIMIT = 1 << 20


class _Request:
    image = ImageBodyField("image")
    text = StringBodyField("text")
    sound = AudioBodyField("sound")
    word = StringParamField("word", maxLength=8)
    kind = StringParamField("kind", enums=["a", "b"])
    count = IntegerParamField("count")
    loud = BooleanParamField("loud")


class _Response:
    accept1 = JsonBodyField("boxes")


class _Wrapper:
    serviceId = "fuzz"
    requestCls = _Request()
    responseCls = _Response()


_CHANGES = {
    "children": {"kind": {"formatVal": "bool"}, "loud": {"constVal": "QUJD"}, "boxes": {"defaultVal": {}}},
    "setVal": {
        "word": ["$sprintf", "${word}", "${count}", "${kind}"],
        "sum": ["$add", "${count}", ["$mul", "${count}", "${word}"]],
        "parts": ["$join", ["$split", "${word}", "${kind}"], "${kind}"],
        "boxes.format": ["$replace", "${word}", "${kind}", "${word}"],
    },
}
_SCHEMAS = (
    schema.compile(document.build(_Wrapper, body_limit=_LIMIT), body_limit=_LIMIT),
    # Without `schemainput` everything passes the check: what the conversion alone makes of it.
    schema.compile(
        {"meta": {"serviceId": "fuzz", "fuzz": {"input": {"image": "image"}, "accept": {"boxes": "text"}}}},
        body_limit=_LIMIT,
    ),
    # What is changed after the check, in all the ways there are.
    schema.compile(
        {
            "meta": {"serviceId": "fuzz", "fuzz": {"input": {"image": "image"}, "accept": {"boxes": "text"}}},
            "schemainput": {
                "children": {"header": {"children": {"uid": {"formatVal": "integer", "replaceKey": "did"}}}},
                "switch": "parameter",
                "default": {"children": {"parameter": {"children": {"fuzz": _CHANGES}}}},
            },
        },
        body_limit=_LIMIT,
    ),
)

SEEDS = (
    b"""{"header":{"app_id":"1","status":3,"request_id":null},
    "parameter":{"fuzz":{"word":"w","kind":"a","count":1,"loud":true,"boxes":{"format":"json"}}},
    "payload":{"image":{"encoding":"jpg","image":"SU1H","status":3}}}""",
    b'{"header":{"appid":"1"},"payload":{"image":{"image":"' + b"SU1H" * 3000 + b'"},"text":{"text":"QQ=="}}}',
)
"""Valid requests to start from; the second is long enough to be lifted."""


def one(data: bytes) -> None:
    """Decode `data` once with each schema. Anything but BadRequest or BadAppId is a finding."""
    for compiled in _SCHEMAS:
        try:
            envelope.decode(data, compiled)
        except (BadRequest, BadAppId):
            continue
