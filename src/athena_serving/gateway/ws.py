"""The WebSocket protocol of a door: uvicorn's, with what its busy sessions need.

- Whole data messages, which nearly all are, are read and written here; everything else, control frames, fragments and
  what is wrong, is uvicorn's. It is only ever given whole frames, so both always stand between two.
- Messages are handed over as bytes, and a few may wait before reading stops: stopping and starting costs system calls.
- What a peer does not take is bounded in time, as for HTTP (guard.py).
"""

import asyncio
from typing import Any, Final, cast

from uvicorn import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from athena_serving.gateway.guard import DoorState, Gate

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which there is no wheel
    from websockets.utils import apply_mask

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


_FIN: Final = 0x80
_DATA: Final = (0x81, 0x82)
"""First byte of a text or binary message that is one frame, without extension bits."""
_MASKED: Final = 0x80
MOST_WAITING: Final = 8
"""Messages that may wait for the application before reading stops."""
MOST_BYTES: Final = 1 << 18
"""Bytes of them."""


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
        self._rest = bytearray()
        """What was read of a frame that is not whole."""
        self._is_slow = False
        """Is everything uvicorn's from here on? The peer sent what is no frame, or too large a one."""
        self._in_fragments = False
        self._waiting_bytes = 0
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

    def data_received(self, data: bytes) -> None:
        """Take whole messages out of what has come; the rest is uvicorn's."""
        if self._is_slow or not self.handshake_complete:
            super().data_received(data)
            return
        if self._rest:
            self._rest += data
            data = bytes(self._rest)
            self._rest.clear()
        at, end = 0, len(data)
        while at < end:
            size = self._frame_size(data, at)
            if size < 0:
                self._is_slow = True
                super().data_received(data[at:])
                return
            if not size or at + size > end:
                self._rest += data[at:]
                return
            if data[at] in _DATA and not self._in_fragments:
                self._deliver(_unmasked(data, at, size))
            else:
                if not data[at] & 0x08:
                    self._in_fragments = not data[at] & _FIN
                super().data_received(data[at : at + size])
            at += size

    def _frame_size(self, data: bytes, at: int) -> int:
        """Bytes of the frame that begins here; 0 if its head is not whole, -1 if it is one that cannot be."""
        have = len(data) - at
        if have < 2:
            return 0
        if not data[at + 1] & _MASKED:
            return -1
        length, head = data[at + 1] & 0x7F, 6
        if length == 126:
            if have < 4:
                return 0
            length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 8
        elif length == 127:
            if have < 10:
                return 0
            length, head = int.from_bytes(data[at + 2 : at + 10], "big"), 14
        return -1 if length > (self.config.ws_max_size or 0) else head + length

    def _deliver(self, message: bytes) -> None:
        """Hand a message over, and stop reading when enough of them wait."""
        if self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.receive", "bytes": message})
        self._waiting_bytes += len(message)
        if not self.read_paused and (self.queue.qsize() >= MOST_WAITING or self._waiting_bytes > MOST_BYTES):
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> Any:
        """The next message, once there is one."""
        message = await self.queue.get()
        if message["type"] == "websocket.receive":
            self._waiting_bytes -= len(message.get("bytes") or b"")
        if self.read_paused and self.queue.empty():
            self._waiting_bytes = 0
            self.read_paused = False
            self.transport.resume_reading()
        return message

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


def _unmasked(data: bytes, at: int, size: int) -> bytes:
    """The message in a whole masked frame (RFC 6455 5.3)."""
    length = data[at + 1] & 0x7F
    mask = at + (2 if length < 126 else 4 if length == 126 else 10)
    return apply_mask(data[mask + 4 : at + size], data[mask : mask + 4])
