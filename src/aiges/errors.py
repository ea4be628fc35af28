"""Codes of ASF's plug-in server (wrapper.md 1.9)."""

from athena_serving.sdk.constants import INIT_ERROR, OK, USER_EXEC_ERROR, USER_INIT_ERROR

__all__ = ["INIT_ERROR", "OK", "USER_EXEC_ERROR", "USER_INIT_ERROR"]
