"""What the door answers besides calls: is it alive, ready, well, what has it counted, how is it called.

Two dialects: the server's own routes, and those of ASF's gateway under `/monitor/` (http-api.md 1.4).
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from athena_serving import __version__
from athena_serving.gateway.documents import Documents
from athena_serving.gateway.services import Services

Headers = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AskMetrics = Callable[[], Awaitable[bytes | None]]

MONITOR: Final = "/monitor/"
"""Paths that begin so are ASF's monitoring, whatever services there are."""

_OPTIONS: Final = {"opts": ["info", "health", "gc", "conn"]}
_JSON: Final = b"application/json"
_ASF_JSON: Final = b"application/json; charset=utf-8"


class Probes:
    """Answers from what the supervisor last said; asks it for the metrics."""

    def __init__(self, ask_metrics: AskMetrics, *, body_limit: int = 0) -> None:
        self._ask_metrics = ask_metrics
        self._documents = Documents(body_limit=body_limit)
        self.is_ready = False
        self.is_complete = False
        """Are all services known? A path that is none's may become one's before, so 404 would be a lie."""
        self.health = b'{"ready":false,"reasons":["starting"]}'
        """The supervisor's view of everything, as JSON."""

    async def answer(self, scope: Scope, send: Send, services: Services) -> None:
        """Answer a request whose path is no service's."""
        path, method = scope["path"], scope["method"]
        if method not in ("GET", "HEAD"):
            await self._nothing_here(send, services)
        elif path == "/livez":
            await _reply(send, 200, b'{"alive":true}')
        elif path == "/readyz":
            await _reply(send, 200 if self.is_ready else 503, self.health)
        elif path == "/healthz":
            await _reply(send, 200, self.health)
        elif path == "/metrics":
            await self._metrics(send)
        elif path.startswith(MONITOR) and "/" not in path[len(MONITOR) :]:
            await _reply(send, 200, msgspec.json.encode(_monitor(path[len(MONITOR) :])))
        elif (found := self._documents.find(path, scope["headers"], services)) is not None:
            await _send(send, *found)
        else:
            await self._nothing_here(send, services)

    @staticmethod
    def not_found(services: Services) -> bytes:
        """The body for a path that is no service's (http-api.md 1.3)."""
        return msgspec.json.encode({"message": "not found", "services": services.names()})

    async def _metrics(self, send: Send) -> None:
        text = await self._ask_metrics()
        if text is None:
            await _reply(send, 503, b'{"message":"the supervisor did not answer"}')
        else:
            await _reply(send, 200, text, b"text/plain; version=0.0.4; charset=utf-8")

    async def _nothing_here(self, send: Send, services: Services) -> None:
        if self.is_complete:
            await _reply(send, 404, self.not_found(services), _ASF_JSON)
        else:
            await _reply(send, 503, b'{"message":"starting: not every service is known yet"}', is_for_now=True)


def _monitor(option: str) -> object:
    """An answer of ASF's monitoring.

    Its keys, with what is true here: no count of WebSocket clients, no goroutines, no cgo. `gc` and whatever else it
    does not know is told the options, as there; a caller cannot make this server collect its garbage.
    """
    match option:
        case "health":
            return None
        case "version":
            return {"version": __version__}
        case "info":
            clients: dict[str, object] = {"total": 0, "detail": {}}
            counts = {"go_routine_num": 0, "num_cpu": len(os.sched_getaffinity(0)), "num_cgo_call": 0}
            return {"message": "ok", "data": {"clients": clients, "app_ids": {}, **counts}}
    return _OPTIONS


async def _reply(send: Send, status: int, body: bytes, kind: bytes = _JSON, *, is_for_now: bool = False) -> None:
    headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
    if is_for_now:
        headers.append((b"retry-after", b"1"))
    await _send(send, status, headers, body)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    if status != 304:  # which has no body, and whose length would be that of the body it stands for
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
