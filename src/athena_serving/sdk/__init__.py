"""What a wrapper author imports. Light on purpose: the standard library and nothing else.

    from athena_serving.sdk import WrapperBase, Response, ResponseData, ImageBodyField, JsonBodyField

Classes say what a service takes and gives; `document` turns them into a schema document; `worker/` calls the wrapper.
"""

from athena_serving.sdk.base import WrapperBase
from athena_serving.sdk.constants import (
    AUDIO,
    IMAGE,
    PROCESS_MODE,
    STRING,
    THREAD_MODE,
    VIDEO,
    DataAudio,
    DataBegin,
    DataContinue,
    DataEnd,
    DataImage,
    DataOnce,
    DataText,
    DataVideo,
    Once,
    Status,
    Types,
)
from athena_serving.sdk.context import Context, current
from athena_serving.sdk.data import DataListCls, DataListNode, Response, ResponseData, SessionCreateResponse
from athena_serving.sdk.fields import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    NumberParamField,
    StringBodyField,
    StringParamField,
)

__all__ = [
    "AUDIO",
    "IMAGE",
    "PROCESS_MODE",
    "STRING",
    "THREAD_MODE",
    "VIDEO",
    "AudioBodyField",
    "BooleanParamField",
    "Context",
    "DataAudio",
    "DataBegin",
    "DataContinue",
    "DataEnd",
    "DataImage",
    "DataListCls",
    "DataListNode",
    "DataOnce",
    "DataText",
    "DataVideo",
    "ImageBodyField",
    "IntegerParamField",
    "JsonBodyField",
    "NumberParamField",
    "Once",
    "Response",
    "ResponseData",
    "SessionCreateResponse",
    "Status",
    "StringBodyField",
    "StringParamField",
    "Types",
    "WrapperBase",
    "current",
]
