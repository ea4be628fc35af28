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
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from athena_serving.errors import SettingsError
from athena_serving.gateway.guard import DoorState, Gate
from athena_serving.gateway.http1 import GuardedHttp1
from athena_serving.settings import Limits

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application."""
CLOSE_GRACE = 0.5
"""Seconds that `close` gives the last words, WebSocket close frames, to leave and applications to end."""


SEND_TEXTS = "athena.websocket.send"
"""Type of a message of ours: `texts` are sent, each as a text message, UTF-8 already."""


def _head(size: int) -> bytes:
    """Head of a server's text message that is one frame (RFC 6455 5.2): FIN, opcode 1, no mask."""
    if size < _SHORT:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


_SHORT = 126


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket connection; uvicorn pings the peer and bounds messages, this adds the write stall."""

    gate: Gate
    write_timeout: float

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.write_timeout = cast("DoorState", server_state).limits.write_timeout

    async def send(self, message: Any) -> None:
        """As uvicorn's; and, for us, several text messages in one write, framed here: that is most of their cost."""
        if message["type"] != SEND_TEXTS:
            await super().send(message)
            if message["type"] == "websocket.http.response.body":
                self.handshake_complete = True  # refused in HTTP; uvicorn would log that nobody answered
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        self.transport.write(b"".join([part for text in message["texts"] for part in (_head(len(text)), text)]))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look at the transport through a gate."""
        self.gate = Gate(cast("asyncio.Transport", transport))
        super().connection_made(cast("asyncio.Transport", self.gate))

    def keepalive_timeout(self) -> None:
        """No pong came in time. If that is because the application has not taken a message yet, ask again later."""
        if not self.read_paused:
            super().keepalive_timeout()
            if self.gate.raw.get_write_buffer_size():
                self.gate.reset()  # a peer that answers nothing takes nothing either: what waits for it never leaves
            return
        self.pong_timer = self.pending_ping_payload = None
        self.schedule_ping()

    def check(self, now: float) -> None:
        """Abort if the peer takes nothing of what waits for it."""
        if self.gate.is_stalled(now, self.write_timeout):
            self.gate.reset()

    def retire(self) -> None:
        """A session goes on; it is its application that ends it."""

    def finish(self) -> None:
        """A session goes on until it has ended, or `cut`."""

    def cut(self) -> None:
        """Close with code 1012, service restart (the registry of RFC 6455 11.7)."""
        self.shutdown()


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
