"""What the door answers besides calls: is it alive, ready, well, what has it counted; and what is not here."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AskMetrics = Callable[[], Awaitable[bytes | None]]


class Probes:
    """Answers from what the supervisor last said; asks it for the metrics."""

    def __init__(self, ask_metrics: AskMetrics) -> None:
        self._ask_metrics = ask_metrics
        self.is_ready = False
        self.is_complete = False
        """Are all services known? A path that is none's may become one's before, so 404 would be a lie."""
        self.health = b'{"ready":false,"reasons":["starting"]}'
        """The supervisor's view of everything, as JSON."""

    async def answer(self, scope: MutableMapping[str, Any], send: Send, services: list[str]) -> None:
        """Answer a request whose path is no service's."""
        path, method = scope["path"], scope["method"]
        if method not in ("GET", "HEAD"):
            await self._not_found(send, services)
        elif path == "/livez":
            await _reply(send, 200, b'{"alive":true}')
        elif path == "/readyz":
            await _reply(send, 200 if self.is_ready else 503, self.health)
        elif path == "/healthz":
            await _reply(send, 200, self.health)
        elif path == "/metrics":
            await self._metrics(send)
        else:
            await self._not_found(send, services)

    async def _metrics(self, send: Send) -> None:
        text = await self._ask_metrics()
        if text is None:
            await _reply(send, 503, b'{"message":"the supervisor did not answer"}')
        else:
            await _reply(send, 200, text, b"text/plain; version=0.0.4; charset=utf-8")

    async def _not_found(self, send: Send, services: list[str]) -> None:
        if self.is_complete:
            await _reply(send, 404, msgspec.json.encode({"message": "not found", "services": services}))
        else:
            await _reply(send, 503, b'{"message":"starting: not every service is known yet"}', is_for_now=True)


async def _reply(
    send: Send, status: int, body: bytes, kind: bytes = b"application/json", *, is_for_now: bool = False
) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    if is_for_now:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
