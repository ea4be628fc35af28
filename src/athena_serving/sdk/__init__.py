"""What a wrapper author imports. Light on purpose: the standard library and nothing else.

    from athena_serving.sdk import WrapperBase, Response, ResponseData, ImageBodyField, JsonBodyField

Classes say what a service takes and gives; `document` turns them into a schema document; `worker/` calls the wrapper.
Loggers are in `sdk.logs`, since importing that sets one up. `callback` here is the function; the engine's side of it is
had by `from athena_serving.sdk.callback import sessions`.
"""

from athena_serving.sdk.base import WrapperBase
from athena_serving.sdk.batch import BatchItem
from athena_serving.sdk.callback import callback, callback_metric, callback_trace
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
from athena_serving.sdk.inference import FixedPool, InferClass, Worker
from athena_serving.sdk.stream import SessionManager, StreamHandleThread, ThreadPool, WorkerThread

__all__ = [
    "AUDIO",
    "IMAGE",
    "PROCESS_MODE",
    "STRING",
    "THREAD_MODE",
    "VIDEO",
    "AudioBodyField",
    "BatchItem",
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
    "FixedPool",
    "ImageBodyField",
    "InferClass",
    "IntegerParamField",
    "JsonBodyField",
    "NumberParamField",
    "Once",
    "Response",
    "ResponseData",
    "SessionCreateResponse",
    "SessionManager",
    "Status",
    "StreamHandleThread",
    "StringBodyField",
    "StringParamField",
    "ThreadPool",
    "Types",
    "Worker",
    "WorkerThread",
    "WrapperBase",
    "callback",
    "callback_metric",
    "callback_trace",
    "current",
]
