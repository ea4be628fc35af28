"""Intake: reads a request's body, bounded, and says no as early as can be."""

from athena_serving.crew.admission import Budget
from athena_serving.errors import BadRequest, BodyTooLarge, CallCancelled
from athena_serving.gateway.exchange import Exchange, Message


class NotJson(BadRequest):
    """The Content-Type is not JSON; ASF answers it without a header object (http-api.md 2.1)."""


class Intake:
    """Knows the bounds: the largest body, and the budget of all bodies together."""

    def __init__(self, limit: int, budget: Budget) -> None:
        self._limit = limit
        self._budget = budget

    def check_type(self, value: bytes | None) -> None:
        """Raises `NotJson` unless a Content-Type is JSON, parameters aside."""
        if value == b"application/json":
            return
        if value is None or value.partition(b";")[0].strip().lower() != b"application/json":
            raise NotJson("content-type must be application/json")

    async def read(self, exchange: Exchange) -> bytes | bytearray:
        """The whole body; its size is held in the budget until `release`.

        Raises `BodyTooLarge`, as soon as it is known, `QueueFull` when too many bytes are in flight, `CallCancelled`
        when the caller left.
        """
        length = exchange.headers.get(b"content-length")
        if length is not None:
            self._hold(exchange, int(length))  # the HTTP engine has seen that it is a number
        message = await exchange.receive()
        body: bytes | bytearray = _content(message)
        if message.get("more_body"):
            body = await self._read_on(exchange, body)
        elif length is None:
            self._hold(exchange, len(body))
        exchange.bytes_in = len(body)
        exchange.body_is_read()
        return body

    def release(self, exchange: Exchange) -> None:
        """The exchange is over: its bytes are free."""
        if exchange.held:
            self._budget.give(exchange.held)
            exchange.held = 0

    async def _read_on(self, exchange: Exchange, start: bytes | bytearray) -> bytearray:
        parts = bytearray(start)
        self._hold(exchange, len(parts))
        more = True
        while more:
            message = await exchange.receive()
            parts += _content(message)
            self._hold(exchange, len(parts))
            more = message.get("more_body", False)
        return parts

    def _hold(self, exchange: Exchange, size: int) -> None:
        if size > self._limit:
            raise BodyTooLarge(
                f"the body has {size} bytes or more; the limit is {self._limit} (setting server.limits.body)"
            )
        if size > exchange.held:
            self._budget.take(size - exchange.held)
            exchange.held = size


def _content(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise CallCancelled("the caller left before its request was whole")
    content: bytes = message.get("body", b"")
    return content
