"""The admin port: liveness, readiness, health, metrics and sessions, answered by the supervisor itself.

HTTP is parsed by h11; requests are few, small and without a body, so a connection carries one, within a time limit.
What changes something is a DELETE, which no page of another origin can make a browser send.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote

import h11

Answer = tuple[int, bytes, str]
"""Status, body, content type."""
Route = Callable[[], Answer | Awaitable[Answer]]
SESSIONS: Final = "/sessions/"
"""A DELETE of what stands below it ends a session."""

_TIME: Final = 5.0
"""Seconds that one request may take."""
_MOST: Final = 64
"""Connections at once; more are closed unanswered."""


class Admin:
    """Serves routes on a socket that is bound already."""

    def __init__(
        self, listener: socket.socket, routes: dict[str, Route], end_session: Callable[[str], Awaitable[Answer]]
    ) -> None:
        self._listener = listener
        self._routes = routes
        self._end_session = end_session
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
        status, body, kind = await self._answer(request)
        headers = [("content-type", kind), ("content-length", str(len(body))), ("connection", "close")]
        writer.write(connection.send(h11.Response(status_code=status, headers=headers)) or b"")
        if request.method != b"HEAD":
            writer.write(connection.send(h11.Data(data=body)) or b"")
        await writer.drain()

    async def _answer(self, request: h11.Request) -> Answer:
        path = request.target.partition(b"?")[0].decode("latin-1")
        if request.method == b"DELETE" and path.startswith(SESSIONS):
            return await self._end_session(unquote(path.removeprefix(SESSIONS)))
        if request.method not in (b"GET", b"HEAD"):
            return 405, b'{"message":"only GET here, and DELETE of a session"}', "application/json"
        route = self._routes.get(path)
        if route is None:
            return 404, b'{"message":"not found: try /livez /readyz /healthz /metrics /sessions"}', "application/json"
        answer = route()
        return answer if isinstance(answer, tuple) else await answer
