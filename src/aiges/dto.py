"""What goes into a wrapper and what comes out, and the numbers in it (wrapper.md 1.3)."""

from aiges.core import types
from aiges.core.types import *  # noqa: F403  # ASF's module has them too
from athena_serving.sdk.callback import callback
from athena_serving.sdk.data import DataListCls, DataListNode, Response, ResponseData, SessionCreateResponse

__all__ = ["DataListCls", "DataListNode", "Response", "ResponseData", "SessionCreateResponse", "callback"]
__all__ += types.__all__
