"""What a wrapper extends and declares, and what ASF's module had imported: some take it all by `*` (wrapper.md 1.1)."""

import json
import os
import queue
import sys

from aiges import stream
from aiges.core import types
from aiges.core.types import *  # noqa: F403  # ASF's module has all of these too
from aiges.stream import *  # noqa: F403
from athena_serving.sdk.base import WrapperBase
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
    "AudioBodyField",
    "BooleanParamField",
    "DataListCls",
    "DataListNode",
    "ImageBodyField",
    "IntegerParamField",
    "JsonBodyField",
    "NumberParamField",
    "Response",
    "ResponseData",
    "SessionCreateResponse",
    "StringBodyField",
    "StringParamField",
    "WrapperBase",
    "json",
    "os",
    "queue",
    "sys",
]
__all__ += types.__all__
__all__ += [name for name in stream.__all__ if name not in types.__all__]
