"""Classes into a schema document, as plain values (http-api.md, chapter 5 and appendix A).

The shape is that of ASF's shipped reference schema, not of what its SDK generates (degenerate or over-strict,
http-api.md 5.7). `wire.schema.compile` reads it.
"""

import json
import logging
import os.path
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from athena_serving.errors import UsageError
from athena_serving.sdk.base import WrapperBase
from athena_serving.sdk.constants import AUDIO, IMAGE, STRING, VIDEO
from athena_serving.sdk.fields import BodyField, Field, JsonBodyField, ParamField

_log = logging.getLogger("athena_serving.sdk")

Node = dict[str, object]
"""A piece of a schema document."""

BODY_LIMIT = 64 << 20
"""Bytes of a request where nobody has read the settings: the default of [server.limits] body."""

TYPE_NAMES = {STRING: "text", AUDIO: "audio", IMAGE: "image", VIDEO: "video"}
"""Name of a data type in the document, and JSON key of its data (http-api.md 2.6)."""


def _text(longest: int) -> Node:
    return {"type": "string", "minLength": 0, "maxLength": longest}


def _choice(*values: str | int) -> Node:
    return {"type": "integer" if isinstance(values[0], int) else "string", "enum": [*values]}


def _whole(least: int, most: int) -> Node:
    return {"type": "integer", "minimum": least, "maximum": most}


# http-api.md 2.3. Without `cid`: multiplexed WebSockets take it out before validation.
HEADER: Node = {
    **dict.fromkeys(("app_id", "appid", "uid", "did", "imei", "imsi", "mac"), _text(50)),
    "net_type": _choice("wifi", "2G", "3G", "4G", "5G"),
    "net_isp": _choice("CMCC", "CUCC", "CTCC", "other"),
    "status": {**_choice(3), "defaultVal": 3},  # of a service with sessions: any (`_header`)
    **dict.fromkeys(("request_id", "sid", "ath_id"), _text(64)),
    **dict.fromkeys(("res_id", "directEngIp", "session"), _text(1024)),
    "data_cleaner_ttl": _text(13),
    "patch_id": {"type": "array", "items": _text(1024)},
    "scene": _text(32),
    "live_push_url": _text(200),
    **dict.fromkeys(("device_id", "device.imei", "device.imsi", "device.mac", "device.other"), _text(50)),
    **dict.fromkeys(("net.type", "net.isp", "app.ver"), _text(50)),
}

# Every block may say these; `seq` is bounded as in ASF's schemas.
_EVERY: Node = {
    "status": _choice(0, 1, 2, 3),
    "seq": _whole(0, 9_999_999),
    "data_type": _choice("text", "audio", "image", "video", "other"),
}
_TEXT: Node = {
    "encoding": _choice("utf8", "gb2312", "gbk"),
    "compress": _choice("raw", "gzip"),
    "format": _choice("plain", "json", "xml"),
}
# http-api.md 2.6; rates, channels and depths are wider than its telephone sound, since models are.
_ATTRIBUTES: dict[int, Node] = {
    STRING: {**_TEXT, **_EVERY},
    AUDIO: {
        **_TEXT,
        "encoding": _choice("raw", "pcm", "wav", "mp3", "lame", "speex", "speex-wb", "opus", "opus-wb", "ico"),
        "sample_rate": _whole(1, 768_000),
        "channels": _whole(1, 64),
        "bit_depth": _choice(8, 16, 24, 32),
        "frame_size": _whole(0, 1024),
        "audio_url": _text(1024),
        **_EVERY,
    },
    IMAGE: {"encoding": _choice("jpg", "png", "bmp", "jpeg", "webp", "tiff"), **_EVERY},
    VIDEO: {
        "encoding": _text(50),
        "frame_rate": _whole(1, 1000),
        "width": _whole(1, 65_535),
        "height": _whole(1, 65_535),
        **_EVERY,
    },
}


class Fields(NamedTuple):
    """What a wrapper class declares."""

    inputs: list[BodyField]
    params: list[ParamField]
    outputs: list[BodyField]


def fields(wrapper: type) -> Fields:
    """The fields that `wrapper` declares in `requestCls` and `responseCls`, own and inherited ones."""
    asked = [field for _, field in _members(getattr(wrapper, "requestCls", None))]
    answered = [field for _, field in _members(getattr(wrapper, "responseCls", None))]
    return Fields(
        inputs=[field for field in asked if isinstance(field, BodyField)],
        params=[field for field in asked if isinstance(field, ParamField)],
        outputs=[field for field in answered if isinstance(field, BodyField)],
    )


def _members(holder: object) -> Iterator[tuple[str, Field]]:
    if holder is None:
        return
    kind = holder if isinstance(holder, type) else type(holder)
    found: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        found.update(vars(base))
    if not isinstance(holder, type):
        found.update(getattr(holder, "__dict__", {}))
    yield from ((name, value) for name, value in found.items() if isinstance(value, Field))


def build(wrapper: type, *, name: str = "", version: str = "", body_limit: int) -> Node:
    """The schema document of `wrapper`.

    `name` and `version` win over the class's; `body_limit` (bytes) bounds every data field.
    Raises UsageError if the service has no usable name, or a field has a rule that no schema can hold.
    """
    service = _usable(name or said_name(wrapper), wrapper)
    version = version or said_version(wrapper)
    declared = fields(wrapper)
    _warn_of_twins([*declared.inputs], wrapper)
    # Parameters and what is wanted of outputs share one object in a request.
    _warn_of_twins([*declared.params, *declared.outputs], wrapper)
    _refuse_misfits(declared.params, wrapper)
    return {
        "meta": _meta(wrapper, service, version, declared),
        "schemainput": _object(
            header=_header(wrapper),
            parameter=_object(**{service: _parameters(declared)}),
            payload=_object(
                **{field.key: _payload(field, body_limit, may_end=has_sessions(wrapper)) for field in declared.inputs}
            ),
        ),
        "schemaoutput": _object(payload=_object(**{field.key: _output(field) for field in declared.outputs})),
    }


SESSION_METHODS = ("wrapperStream", "wrapperCreate", "wrapperWrite")


def has_sessions(wrapper: type) -> bool:
    """Has the class a method of its own for sessions?"""
    return any(getattr(wrapper, name, None) not in (None, getattr(WrapperBase, name)) for name in SESSION_METHODS)


def text(wrapper: type) -> str:
    """The document as JSON, for people and programs that have no settings. Raises as `build` does."""
    built = build(wrapper, name=service_name(wrapper), body_limit=BODY_LIMIT)
    return json.dumps(built, ensure_ascii=False, indent=2, allow_nan=False)


def said_name(wrapper: type) -> str:
    """`serviceId`; empty if the class has none."""
    return str(getattr(wrapper, "serviceId", "") or "")


def said_version(wrapper: type) -> str:
    """`version`; v1 if the class has none."""
    return str(getattr(wrapper, "version", "") or "v1")


def service_name(wrapper: type) -> str:
    """`serviceId`, else the name of the folder that the wrapper's file is in; empty if it has no file."""
    folder = folder_of(wrapper)
    return said_name(wrapper) or os.path.basename(os.path.abspath(folder) if folder is not None else "")  # noqa: PTH100, PTH119  # as below


def folder_of(wrapper: type) -> str | None:
    """The folder that the wrapper's file is in, empty for the working directory; None if it has no file."""
    file = getattr(sys.modules.get(wrapper.__module__), "__file__", None)
    return None if file is None else os.path.dirname(file)  # noqa: PTH120  # no pathlib in this room: see fields


def said(wrapper: type, name: str, default: object) -> object:
    """What the class says of its service by an attribute: `route`, `hosts`, `sub`, `call`, `call_type`.

    ASF looked into the class's own attributes only; here inherited ones count (wrapper.md 1.6, RULE). A method of this
    name says nothing.
    """
    value = getattr(wrapper, name, None)
    if isinstance(value, list | tuple):
        value = [*map(str, value)]
    return value if isinstance(value, str | int | list) and value not in ("", []) else default


def _usable(name: str, wrapper: type) -> str:
    where = f"class {wrapper.__qualname__}"
    if not name:
        raise UsageError("the service has no name", where=where, help='serviceId = "ocr" in the class')
    if not re.fullmatch(r"[\w.-]+", name):
        raise UsageError(
            f"{name!r} cannot be a service's name: it is part of its path",
            where=where,
            help="letters, digits, _, - and . only",
        )
    return name


def _warn_of_twins(declared: list[Field], wrapper: type) -> None:
    """Two fields of one key: the last counts, as in ASF, whose wrappers may have them without knowing."""
    seen: set[str] = set()
    for field in declared:
        if field.key in seen:
            _log.warning("class %s: two fields have the key %r: the last counts", wrapper.__qualname__, field.key)
        seen.add(field.key)


def _refuse_misfits(declared: list[ParamField], wrapper: type) -> None:
    """Rules that no schema can hold: here they are said with the field's name, and before anybody is served."""
    for field in declared:
        for rule, value in field.rules().items():
            wanted = _wanted(rule, value)
            if wanted:
                raise UsageError(
                    f"{rule} of field {field.key!r} must be {wanted}",
                    where=f"class {wrapper.__qualname__}",
                    help=f"it is {value!r}",
                )


def _wanted(rule: str, value: object) -> str:
    """What a rule's value must be; empty if it is."""
    if rule in ("minimum", "maximum"):
        return "" if _is_number(value) else "a finite number"
    if rule in ("minLength", "maxLength"):
        return "" if _is_number(value) and isinstance(value, int) and value >= 0 else "a whole number, not negative"
    if rule == "enum" and isinstance(value, list):
        return "" if all(isinstance(one, str) or _is_number(one) or one in (True, False) for one in value) else _SCALARS
    return ""


_SCALARS = "a list of strings, numbers, true or false"


def _is_number(value: object) -> bool:
    most = sys.float_info.max  # of JSON's numbers; a Python int may be beyond it
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


def _meta(wrapper: type, service: str, version: str, declared: Fields) -> Node:
    # The demo of ASF posts to /v1 whatever the version says.
    routes = [*dict.fromkeys((f"/v1/private/{service}", f"/{version}/private/{service}"))]
    return {
        "serviceId": service,
        "version": version,
        "service": [service],
        "sub": said(wrapper, "sub", "ase"),
        "call": said(wrapper, "call", "atmos"),
        "call_type": str(said(wrapper, "call_type", 0)),
        "webgate_type": 0,
        "hosts": said(wrapper, "hosts", ""),
        "route": said(wrapper, "route", routes[0] if len(routes) == 1 else routes),
        "routeKey": [],
        service: streams(declared),
    }


def streams(declared: Fields) -> Node:
    """Inputs and outputs with their data types, as `meta` has them under the service's id."""
    return {
        "input": {field.key: {"dataType": TYPE_NAMES[field.data_type]} for field in declared.inputs},
        "accept": {field.key: {"dataType": TYPE_NAMES[field.data_type]} for field in declared.outputs},
    }


def _object(**properties: object) -> Node:
    return {"type": "object", "properties": properties}


def _header(wrapper: type) -> Node:
    """The header; steps of a session say where they stand."""
    status = {**_choice(0, 1, 2, 3), "defaultVal": 3} if has_sessions(wrapper) else HEADER["status"]
    return {**_object(**{**HEADER, "status": status}), "anyOf": [{"required": ["app_id"]}, {"required": ["appid"]}]}


def _parameters(declared: Fields) -> Node:
    params = {field.key: field for field in declared.params}
    outputs = {field.key: _object(**_attributes(field, wanted=True)) for field in declared.outputs}
    block = _object(**{key: _parameter(field) for key, field in params.items()} | outputs)
    required = [key for key, field in params.items() if field.required and key not in outputs]
    return {**block, "required": required} if required else block


def _parameter(field: ParamField) -> Node:
    words = {"title": field.title, "description": field.description}
    return {"type": field.data_type, **field.rules(), **{key: text for key, text in words.items() if text}}


def _attributes(field: BodyField, *, wanted: bool) -> Node:
    """The attributes that a block about `field` may have; in a `wanted` output the field's own are the defaults."""
    known = _ATTRIBUTES[field.data_type]
    if wanted and field.data_type == STRING:
        known = {**known, "format": _choice("plain", "json", "xml", "text")}  # text: as a JSON string
    return known | {name: _own(known.get(name), value, wanted) for name, value in field.attributes.items()}


def _own(node: object, value: str, wanted: bool) -> Node:
    known = dict(node) if isinstance(node, dict) else _text(50)
    own: str | int = int(value) if known.get("type") == "integer" and value.isdecimal() else value
    values = known.get("enum")
    if isinstance(values, list) and own not in values:
        known["enum"] = [*values, own]
    # Only for outputs: what an input is, only its sender knows.
    return {**known, "defaultVal": own} if wanted else known


def _payload(field: BodyField, body_limit: int, *, may_end: bool) -> Node:
    # An empty text is a text; an empty picture or sound is a mistake, unless it is the last step of a session.
    least = 0 if field.data_type == STRING or may_end else 1
    data = {"type": "string", "minLength": least, "maxLength": body_limit}
    return _object(**{**_attributes(field, wanted=False), TYPE_NAMES[field.data_type]: data})


def _output(field: BodyField) -> Node:
    data: Node = {} if isinstance(field, JsonBodyField) else {"type": "string"}
    return _object(**{**_attributes(field, wanted=False), TYPE_NAMES[field.data_type]: data})


TestValues = tuple[dict[str, str], list[tuple[str, int, bytes]]]
"""Parameters, and inputs as (key, data type, bytes)."""


def test_values(wrapper: type) -> TestValues | None:
    """Parameters and inputs for a warm-up call, from the fields' test values.

    None if there is nothing to send, or an input has no usable test value (a picture that is not there, say).
    Relative paths are tried in the working directory, then beside the wrapper's file.
    """
    declared = fields(wrapper)
    folder = folder_of(wrapper) or ""
    pieces: list[tuple[str, int, bytes]] = []
    for field in declared.inputs:
        data = field.sample(folder)
        if data is None:
            return None
        pieces.append((field.key, field.data_type, data))
    return (test_params(declared), pieces) if pieces else None


test_values.__test__ = False  # type: ignore[attr-defined]  # pytest collects what is called test_*


def test_params(declared: Fields) -> dict[str, str]:
    """The test values of parameters, as the strings that wrappers get."""
    return {field.key: _as_param(field.test_value) for field in declared.params}


test_params.__test__ = False  # type: ignore[attr-defined]  # as above


def _as_param(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
