"""The admin port: liveness, readiness, health and metrics, answered by the supervisor itself.

HTTP is parsed by h11; requests are few, small and GET, so a connection carries one, within a time limit.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

import h11

Answer = tuple[int, bytes, str]
"""Status, body, content type."""
Route = Callable[[], Answer]

_TIME: Final = 5.0
"""Seconds that one request may take."""
_MOST: Final = 64
"""Connections at once; more are closed unanswered."""


class Admin:
    """Serves routes on a socket that is bound already."""

    def __init__(self, listener: socket.socket, routes: dict[str, Route]) -> None:
        self._listener = listener
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self) -> None:
        """Begin to accept."""
        self._server = await asyncio.start_server(self._connected, sock=self._listener)

    def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MOST:
                async with asyncio.timeout(_TIME):
                    await self._serve(reader, writer)
        except (TimeoutError, OSError, h11.RemoteProtocolError):
            pass  # a peer that is slow, gone or speaks no HTTP: nothing to tell it
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 14)
        request: h11.Request | None = None
        while request is None:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(1 << 14))
            elif isinstance(event, h11.Request):
                request = event
            else:
                return
        status, body, kind = self._answer(request)
        headers = [("content-type", kind), ("content-length", str(len(body))), ("connection", "close")]
        writer.write(connection.send(h11.Response(status_code=status, headers=headers)) or b"")
        if request.method != b"HEAD":
            writer.write(connection.send(h11.Data(data=body)) or b"")
        await writer.drain()

    def _answer(self, request: h11.Request) -> Answer:
        if request.method not in (b"GET", b"HEAD"):
            return 405, b'{"message":"only GET here"}', "application/json"
        route = self._routes.get(request.target.partition(b"?")[0].decode("latin-1"))
        if route is None:
            return 404, b'{"message":"not found: try /livez /readyz /healthz /metrics"}', "application/json"
        return route()
