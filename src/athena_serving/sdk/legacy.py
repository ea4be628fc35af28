"""The schema document as the first of ASF's generators had it (wrapper.md 9.2), for ASF's own gateway and tools.

Not what our doors check against: it has one encoding of ASF's telephone sound, and says nothing of lengths or outputs.
"""

import copy
import json
from collections.abc import Mapping

from athena_serving.sdk import document
from athena_serving.sdk.constants import AUDIO, IMAGE, STRING
from athena_serving.sdk.document import Fields, Node
from athena_serving.sdk.fields import BodyField, BooleanParamField, NumberParamField, ParamField, StringParamField


def _short_text() -> Node:
    return {"type": "string", "maxLength": 50}


def _choice(kind: str, *values: object) -> Node:
    return {"type": kind, "enum": [*values]}


_HEADER = ("appid", "uid", "device_id")
_HEADER_DOTTED = ("device.imei", "device.imsi", "device.mac", "device.other", "net.type", "net.isp", "app.ver")

_BLOCKS: Mapping[int, Node] = {
    STRING: {
        "encoding": _choice("string", "utf8", "gb2312"),
        "compress": _choice("string", "gzip"),
        "status": _choice("integer", 0, 1, 2, 3),
        "seq": {"type": "integer"},
        "text": {"type": "string"},
    },
    AUDIO: {
        "encoding": _choice("string", "opus", "speex"),
        "sample_rate": _choice("integer", 8000, 16000),
        "bit_depth": _choice("integer", 8, 16),
        "channels": _choice("integer", 1, 2),
        "status": _choice("integer", 0, 1, 2, 3),
        "seq": {"type": "integer"},
        "audio": {"type": "string"},
    },
    IMAGE: {
        "encoding": _choice("string", "jpg", "png", "bmp", "jpeg"),
        "image": {"type": "string", "minLength": 1, "maxLength": 10_485_760},
        "status": _choice("integer", 3),
    },
}
"""Data type to the members of a block, the same for inputs and outputs."""


def text(wrapper: type) -> str:
    """The document as JSON, indented as ASF's."""
    return json.dumps(build(wrapper), ensure_ascii=False, indent=4)


def build(wrapper: type) -> Node:
    """The document of `wrapper`. Without requestCls or responseCls, where ASF raised, its objects are empty."""
    service = document.service_name(wrapper)
    declared = document.fields(wrapper)
    header = {name: _short_text() for name in (*_HEADER, *_HEADER_DOTTED)}
    return {
        "meta": _meta(wrapper, service, declared),
        "schemainput": _object(
            header={**_object(**header), "required": ["appid"]},
            parameter=_object(**{service: _parameters(declared)}),
            payload=_object(**{field.key: _block(field) for field in declared.inputs}),
        ),
        "schemaoutput": _object(payload=_object(**{field.key: _block(field) for field in declared.outputs})),
    }


def _meta(wrapper: type, service: str, declared: Fields) -> Node:
    version = document.said_version(wrapper)
    return {
        "serviceId": service,
        "version": version,
        "route": document.said(wrapper, "route", f"/{version}/private/{service}"),
        "sub": document.said(wrapper, "sub", "ase"),
        "call": document.said(wrapper, "call", "atmos"),
        "call_type": document.said(wrapper, "call_type", 0),
        "hosts": document.said(wrapper, "hosts", "api.xf-yun.com"),
        "service": [service],
        "routeKey": [],
        service: document.streams(declared),
    }


def _object(**properties: object) -> Node:
    return {"type": "object", "properties": properties}


def _parameters(declared: Fields) -> Node:
    block = _object(**{field.key: _parameter(field) for field in declared.params})
    return {**block, "required": [field.key for field in declared.params if field.required]}


def _parameter(field: ParamField) -> Node:
    """Choices or the upper bound; ASF left the lower one out."""
    shown: Node = {"type": field.data_type}
    if isinstance(field, BooleanParamField):
        return {**shown, "default": field.default}
    if field.enums:
        return {**shown, "enum": [*field.enums]}
    if isinstance(field, StringParamField):
        return {**shown, "maxLength": field.maxLength}
    return {**shown, "maximum": field.maximum} if isinstance(field, NumberParamField) else shown


def _block(field: BodyField) -> Node:
    return _object(**copy.deepcopy(_BLOCKS.get(field.data_type, {})))
