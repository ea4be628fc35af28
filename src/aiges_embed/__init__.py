"""What ASF's bridge offered to the wrappers it embedded: the same objects as in `aiges.dto` (wrapper.md 1.1, RULE)."""

from athena_serving.sdk.callback import callback, callback_metric, callback_trace
from athena_serving.sdk.data import DataListCls, DataListNode, Response, ResponseData, SessionCreateResponse

__all__ = [
    "DataListCls",
    "DataListNode",
    "Response",
    "ResponseData",
    "SessionCreateResponse",
    "callback",
    "callback_metric",
    "callback_trace",
]
