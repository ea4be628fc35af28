"""Threads for sessions, and the numbers that they name (wrapper.md 1.8)."""

from aiges.core import types
from aiges.core.types import *  # noqa: F403  # ASF's module has them too
from athena_serving.sdk.stream import (
    Context,
    ModelProcess,
    ProcessThreadPool,
    ReqHandleThread,
    RequestPool,
    SessionManager,
    StreamHandleThread,
    ThreadPool,
    WorkerProcess,
    WorkerThread,
)

__all__ = [
    "Context",
    "ModelProcess",
    "ProcessThreadPool",
    "ReqHandleThread",
    "RequestPool",
    "SessionManager",
    "StreamHandleThread",
    "ThreadPool",
    "WorkerProcess",
    "WorkerThread",
]
__all__ += types.__all__
