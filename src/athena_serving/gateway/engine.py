"""The HTTP engine of a door: uvicorn's protocols on sockets that the supervisor bound, in a process that is ours.

The engine has no say of its own: no signals, no lifespan, no logging set-up, no main loop. The door tells it what
to do, in this order when it stops: `retire`, `stop_listening`, `drain`, `close` (docs/http-engine.md).
"""

import asyncio
import importlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any, cast

from uvicorn import Config, Server

from athena_serving.errors import SettingsError
from athena_serving.gateway.guard import DoorState
from athena_serving.gateway.http1 import GuardedHttp1
from athena_serving.gateway.ws import GuardedWebSocket
from athena_serving.settings import Limits

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application."""
CLOSE_GRACE = 0.5
"""Seconds that `close` gives the last words, WebSocket close frames, to leave and applications to end."""


class Engine:
    """Serves `app` on `sockets` until told to stop.

    `sockets` are bound, and listen when `start` returns. `ws_ping` is seconds between pings to a WebSocket peer and
    as many to wait for its pong. `tls` turns every socket into a TLS one.
    """

    def __init__(
        self,
        app: App,
        *,
        sockets: Sequence[socket.socket],
        limits: Limits,
        http2: bool,
        ws_ping: float = 20.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._sockets = list(sockets)
        self._state = DoorState(limits)
        shortest = min(limits.header_timeout, limits.body_timeout, limits.write_timeout, limits.idle_timeout)
        self._tick = min(max(shortest / 4, 0.02), 1.0)
        self._sweeper: asyncio.TimerHandle | None = None
        if tls is not None:
            tls.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
        config = Config(
            app,
            interface="asgi3",
            http=_protocol(http2=http2),
            ws=GuardedWebSocket,
            ws_max_size=limits.body,
            ws_per_message_deflate=False,  # as ASF's; and it costs more than all the rest
            ws_ping_interval=ws_ping,
            ws_ping_timeout=ws_ping,
            lifespan="off",
            log_config=None,
            log_level="error",  # a warning per malformed request would let strangers write our log
            access_log=False,
            proxy_headers=False,
            server_header=False,
            workers=1,
            timeout_keep_alive=limits.idle_timeout,  # type: ignore[arg-type]  # it is only handed to call_later
            ssl_context_factory=(lambda _config, _default: tls) if tls else None,
        )
        self._server = Server(config)
        self._server.server_state = self._state
        self._server.servers = []

    async def start(self) -> None:
        """Listen; connections are accepted when this returns."""
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        self._sweep()
        await self._server.startup(sockets=self._sockets)

    @property
    def open_requests(self) -> int:
        """Requests and WebSocket sessions whose application runs, here."""
        return len(self._state.tasks)

    @property
    def open_connections(self) -> int:
        """Connections accepted and not yet gone."""
        return len(self._state.guarded)

    def retire(self) -> None:
        """Serve everything, but keep no connection: each answer says `Connection: close`."""
        self._state.retiring = True
        for connection in tuple(self._state.guarded):
            connection.retire()

    def stop_listening(self) -> None:
        """Accept no more here. Another process that holds the sockets may go on listening; open connections go on."""
        for server in self._server.servers:
            server.close()
        for listener in self._sockets:
            listener.close()

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109  # the answer says whether it was enough
        """Close idle connections now, busy ones after their answers; False if `timeout` seconds were not enough."""
        self.retire()
        await asyncio.sleep(0)  # requests that have arrived are read before their connection counts as idle
        for connection in tuple(self._state.guarded):
            connection.finish()
        return await self._is_empty(timeout)

    async def close(self) -> None:
        """Stop: abort what is left, tell WebSocket peers 1012, cancel applications that do not end by themselves."""
        self.stop_listening()
        for connection in tuple(self._state.guarded):
            connection.cut()
        if not await self._is_empty(CLOSE_GRACE):
            for connection in tuple(self._state.guarded):
                connection.gate.raw.abort()
            tasks = tuple(self._state.tasks)
            for task in tasks:
                task.cancel("the door closes")
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _is_empty(self, within: float) -> bool:
        """Wait until the last connection and the last application have gone; False if `within` seconds are too few."""
        state = self._state
        try:
            async with asyncio.timeout(within):
                while state.guarded or state.tasks:
                    state.guarded.emptied.clear()
                    if state.guarded:
                        await state.guarded.emptied.wait()
                    elif state.tasks:
                        await asyncio.wait(tuple(state.tasks))
                        await asyncio.sleep(0)  # a task that was done already leaves the set in the next round
        except TimeoutError:
            return False
        return True

    def _sweep(self) -> None:
        """Once a tick: refresh the Date header, and let every connection look at the clock."""
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self._tick, self._sweep)
        date = formatdate(time.time(), usegmt=True).encode()
        self._state.default_headers = [(b"date", date)]
        self._state.default_lines = [b"date: %b\r\n" % date]
        now = loop.time()
        for connection in tuple(self._state.guarded):
            connection.check(now)


def _protocol(*, http2: bool) -> type[asyncio.Protocol]:
    """The class of a new connection. Raises SettingsError if HTTP/2 is wanted and its library is missing."""
    if not http2:
        return GuardedHttp1
    try:
        # Deferred: zttp is an extra, and nobody pays for it who does not speak HTTP/2.
        module = importlib.import_module("athena_serving.gateway.http2")
    except ModuleNotFoundError as missing:
        raise SettingsError(
            f"HTTP/2 needs the package {missing.name}", where="server.http2", help="pip install 'athena-serving[http2]'"
        ) from missing
    return cast("type[asyncio.Protocol]", module.SniffedConnection)
