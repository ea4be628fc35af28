"""Errors become answers here, and nowhere else."""

from collections.abc import Mapping

from athena_serving import errors
from athena_serving.errors import AthenaError, WrapperError
from athena_serving.gateway.exchange import Reason
from athena_serving.wire.messages import Reply


def from_reply(reply: Reply) -> AthenaError:
    """The error that a worker's reply stands for."""
    kind = errors.BY_CODE.get(reply.code)
    if kind is not None:
        return kind(reply.message)
    unknown = WrapperError(reply.message)
    unknown.code = reply.code
    return unknown


def from_reason(reason: Reason | None, timeout: float) -> AthenaError:
    """The error that an early end stands for."""
    if reason is Reason.DEADLINE:
        return errors.DeadlineExceeded(f"no answer within {timeout:g} seconds (setting server.limits.call_timeout)")
    if reason is Reason.SHUTDOWN:
        return errors.Unavailable("the service is shutting down; the call was not finished")
    return errors.CallCancelled("the caller left")


def http_status(error: AthenaError, code_map: Mapping[int, int]) -> int:
    """The HTTP status of an error; a service may have its own for a code (`meta.codeMap`, http-api.md 3.6)."""
    return code_map.get(error.code, error.http)
