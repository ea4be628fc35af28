"""Loggers (wrapper.md 1.7)."""

from athena_serving.sdk.logs import getFileLogger, getLogger, log

__all__ = ["getFileLogger", "getLogger", "log"]
