"""What goes into a wrapper and what comes out (wrapper.md 1.3)."""

from athena_serving.sdk.callback import callback
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
from athena_serving.sdk.data import DataListCls, DataListNode, Response, ResponseData, SessionCreateResponse

__all__ = [
    "AUDIO",
    "IMAGE",
    "PROCESS_MODE",
    "STRING",
    "THREAD_MODE",
    "VIDEO",
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
    "Once",
    "Response",
    "ResponseData",
    "SessionCreateResponse",
    "Status",
    "Types",
    "callback",
]
