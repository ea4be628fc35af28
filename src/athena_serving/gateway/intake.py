"""Intake: reads a request's body, bounded, and says no as early as can be."""

from typing import Any

from athena_serving.crew.admission import Budget
from athena_serving.errors import BodyTooLarge, CallCancelled
from athena_serving.gateway.exchange import Receive


def declared_length(value: bytes | None) -> int | None:
    """The Content-Length of a request; None if it has none. The HTTP engine has seen that it is a number."""
    return int(value) if value is not None else None


class Held:
    """What one request holds of the budget; give it back by `close`."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold so many bytes in all. Raises `QueueFull`."""
        if size > self.size:
            self._budget.take(size - self.size)
            self.size = size

    def close(self) -> None:
        """Hold nothing."""
        self._budget.give(self.size)
        self.size = 0


async def read(receive: Receive, held: Held, *, length: int | None, limit: int) -> bytes | bytearray:
    """The whole body. `held` has grown to its size.

    Raises `BodyTooLarge`, as soon as it is known, `QueueFull` when too many bytes are in flight, `CallCancelled` when
    the caller left.
    """
    if length is not None:
        check(length, limit)
        held.grow(length)
    message = await receive()
    body = _content(message)
    if not message.get("more_body"):
        check(len(body), limit)
        held.grow(len(body))
        return body
    parts = bytearray(body)
    while message.get("more_body"):
        message = await receive()
        parts += _content(message)
        check(len(parts), limit)
        held.grow(len(parts))
    return parts


def check(size: int, limit: int) -> None:
    """Raises `BodyTooLarge`, with what to do about it."""
    if size > limit:
        raise BodyTooLarge(f"the body has {size} bytes or more; the limit is {limit} (setting server.limits.body)")


def _content(message: Any) -> bytes:  # an ASGI message
    if message["type"] == "http.disconnect":
        raise CallCancelled("the caller left before its request was whole")
    content: bytes = message.get("body", b"")
    return content
