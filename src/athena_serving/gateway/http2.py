"""HTTP/2 as uvicorn's zttp protocol speaks it, plus the guards of `http1`, here per stream.

What the first bytes of a connection are, or what ALPN agreed on, decides between `GuardedHttp1` and `GuardedHttp2`.
Where a guard differs from HTTP/1.1's, docs/http-engine.md says how.
"""

import asyncio
from collections.abc import Generator
from typing import Final, cast

import zttp
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.zttp_h2_impl import RequestResponseCycle, ZttpH2Protocol

from athena_serving.errors import AthenaError, RequestTimeout, Unavailable
from athena_serving.gateway.guard import LEAST, DoorState, Gate, HeaderTooLarge, Progress, describe, refusing
from athena_serving.gateway.http1 import GuardedHttp1
from athena_serving.settings import Limits

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
CANCEL: Final = 8
"""Error codes of RFC 9113 7."""


class SniffedConnection(AutoZttpProtocol):
    """A connection of which it is not known yet what it speaks."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        self.gate = Gate(transport)
        self.made_at = self.loop.time()
        super().connection_made(transport)

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:
        protocol_class = GuardedHttp2 if http2 else GuardedHttp1
        protocol = protocol_class(self.config, self.server_state, self.app_state, self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.head_since = self.made_at  # the peer's time runs since it connected
        if initial_data:
            protocol.data_received(initial_data)

    def check(self, now: float) -> None:
        """Close a peer that does not say within `header_timeout` what it speaks."""
        state = cast("DoorState", self.server_state)
        if now - self.made_at > state.limits.header_timeout:
            self.transport.close()

    def retire(self) -> None:
        """Nothing to say yet."""

    def finish(self) -> None:
        """Close: no request has begun."""
        self.transport.close()

    def cut(self) -> None:
        """Abort."""
        self.transport.abort()


class StreamFlow:
    """What a stream's application waits for when it sends: the connection's buffer, and the window the peer grants.

    uvicorn waits for the first only; zttp would then hold a whole answer for a peer that grants no window.
    """

    def __init__(self, connection: FlowControl, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self._granted = asyncio.Event()
        self.received = 0
        self.granted = 0
        self.reading = Progress()
        self.writing = Progress()

    @property
    def waiting(self) -> int:
        """Bytes of the answer for which the peer has granted no window."""
        return self._cycle.stream.pending_bytes or 0

    @property
    def write_paused(self) -> bool:
        """True if the application must wait before it sends more."""
        return self._connection.write_paused or self.waiting > HIGH_WATER_LIMIT

    async def drain(self) -> None:
        """Wait until the application may send, or nobody listens."""
        while self.write_paused and not self._cycle.disconnected:
            self._granted.clear()
            if self._connection.write_paused:
                await self._connection.drain()
            else:
                await self._granted.wait()

    def wake(self) -> None:
        """Look again: the window may have grown, or the stream may have gone."""
        self._granted.set()

    def is_upload_stalled(self, now: float, timeout: float) -> bool:
        """True if it is the peer who lets the body of its request wait."""
        cycle = self._cycle
        if not cycle.more_body or cycle.response_complete or cycle.body or self._connection.read_paused:
            self.reading.reset()
            return False
        return self.reading.is_stalled(now, self.received, timeout)

    def is_download_stalled(self, now: float, timeout: float) -> bool:
        """True if it is the peer who lets the answer wait."""
        if not self.waiting:
            self.writing.reset()
            return False
        return self.writing.is_stalled(now, self.granted, timeout)


class GuardedHttp2(ZttpH2Protocol):
    """One HTTP/2 connection; its streams are the requests."""

    gate: Gate
    head_since: float
    """When the connection was made; a first request is due `header_timeout` later."""
    quiet_since: float | None = None
    """When a stream was last seen; None before the first."""
    granted = 0
    """Bytes of window that the peer has granted, in all."""
    discarded = 0
    """Bytes of bodies that came after their answer."""
    is_draining = False
    is_closing_due = False
    is_surplus = False

    @property
    def state(self) -> DoorState:
        """What all connections share."""
        return cast("DoorState", self.server_state)

    @property
    def limits(self) -> Limits:
        """The bounds and clocks."""
        return self.state.limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first request."""
        self.gate = Gate(transport)
        self.gate.close = self.leave
        self.head_since = self.loop.time()
        self.rest = Progress()
        super().connection_made(cast("asyncio.Transport", self.gate))
        self.is_surplus = len(self.connections) > self.limits.connections

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits to send."""
        super().connection_lost(exc)
        self._wake()
        del self.gate.close  # a circle that only the collector could undo

    def data_received(self, data: bytes) -> None:
        """Let uvicorn parse, and wake those whose window has grown."""
        if self.gate.is_leaving:
            return
        before = self.granted
        super().data_received(data)
        if self.granted != before:
            self._wake()
        if self.is_closing_due and not self.cycles:
            self._close_connection()

    def _wake(self) -> None:
        for cycle in self.cycles.values():
            _flow(cycle).wake()

    def events(self) -> Generator[zttp.Event]:
        """Count what goes by, on its way to uvicorn."""
        for event in super().events():
            if isinstance(event, zttp.Data):
                self._count_body(event)
            elif isinstance(event, zttp.WindowUpdate):
                self._count_window(event)
            yield event

    def _count_body(self, event: zttp.Data) -> None:
        cycle = self.cycles.get(event.stream_id)
        if cycle is not None:
            _flow(cycle).received += len(event.data)
            return
        self.discarded += len(event.data)
        if self.discarded > self.limits.body:
            self.discarded = 0
            self.conn.stream(event.stream_id).reset(NO_ERROR)  # RFC 9113 8.1: the answer is complete, stop sending

    def _count_window(self, event: zttp.WindowUpdate) -> None:
        self.granted += event.increment
        cycles = self.cycles.values() if event.stream_id == 0 else [self.cycles.get(event.stream_id)]
        for cycle in cycles:
            if cycle is not None:
                _flow(cycle).granted += event.increment

    def handle_request(self, event: zttp.Request) -> None:
        """Start the application, or refuse."""
        self.quiet_since = self.loop.time()
        if not event.target.isascii():  # uvicorn would raise, and all streams would go down with this one
            self.conn.stream(event.stream_id).reset(PROTOCOL_ERROR)
            return
        served, error = self.app, self._refusal(event)
        if error is not None:
            self.app = refusing(error)
        try:
            super().handle_request(event)
        finally:
            self.app = served
        cycle = self.cycles[event.stream_id]
        cycle.flow = cast("FlowControl", StreamFlow(self.flow, cycle))
        if event.end_stream:  # zttp says so here and nowhere else; uvicorn 0.54 would wait for a body
            cycle.more_body = False
            cycle.message_event.set()

    def _refusal(self, event: zttp.Request) -> AthenaError | None:
        size = len(event.target) + sum(len(name) + len(value) + 4 for name, value in event.headers)
        if size > self.limits.header:
            return HeaderTooLarge(f"the headers are over {self.limits.header} bytes")
        if self.is_draining:
            return Unavailable("this server is stopping")
        return self.state.refusal(is_surplus=self.is_surplus)

    def handle_rst_stream(self, event: zttp.RstStream) -> None:
        """Wake whoever waits to send on the stream."""
        cycle = self.cycles.get(event.stream_id)
        super().handle_rst_stream(event)
        if cycle is not None:
            _flow(cycle).wake()

    def on_stream_closed(self) -> None:
        """Close a connection that is not kept."""
        super().on_stream_closed()
        if self.state.retiring and not self.cycles:
            self._close_connection()

    def _close_connection(self) -> None:
        """GOAWAY and close, once the peer has taken the end of every answer."""
        self.is_closing_due = self.conn.has_pending_send()
        if not self.is_closing_due:
            super()._close_connection()

    def leave(self) -> None:
        """Close so that the peer can read what was written: its window updates may be under way."""
        if self.gate.is_closing():
            return
        self._unset_keepalive_if_required()
        for cycle in self.cycles.values():  # some are left after an error of the peer
            _disconnect(cycle)
        self.gate.leave(self.loop.time())

    # ── what the engine asks ──────────────────────────────────────────────────────────────────────

    def check(self, now: float) -> None:
        """Cut the peer, or one of its streams, if it is too slow."""
        if self.gate.is_stalled(now, self.limits.write_timeout):
            self.gate.reset()
        elif self.gate.is_leaving:
            if now > self.gate.patience:
                self.gate.raw.close()
        elif self.cycles:
            self.quiet_since = now
            for cycle in tuple(self.cycles.values()):
                self._check_stream(cycle, now)
        elif self.conn.has_pending_send():
            if self.rest.is_stalled(now, self.granted, self.limits.write_timeout):
                self.gate.reset()
        elif self._is_overdue(now):
            self._close_connection()

    def _is_overdue(self, now: float) -> bool:
        """True if there has been no stream for too long; PINGs do not count."""
        self.rest.reset()
        if self.quiet_since is None:
            return now - self.head_since > self.limits.header_timeout
        return now - self.quiet_since > self.limits.idle_timeout

    def _check_stream(self, cycle: RequestResponseCycle, now: float) -> None:
        flow, timeout = _flow(cycle), self.limits.body_timeout
        if flow.is_download_stalled(now, self.limits.write_timeout):
            cycle.abort_stream()
            _disconnect(cycle)
        elif flow.is_upload_stalled(now, timeout):
            if not cycle.response_started:
                error = RequestTimeout(f"fewer than {LEAST} bytes of the body came in {timeout:g} s")
                self._answer(cycle, error)
            cycle.stream.reset(CANCEL if cycle.response_started else NO_ERROR)
            self.flush()
            _disconnect(cycle)

    def _answer(self, cycle: RequestResponseCycle, error: AthenaError) -> None:
        headers, body = describe(error)
        cycle.stream.send_response(error.http, [*self.server_state.default_headers, *headers])
        cycle.stream.send_data(body)
        cycle.stream.end_message()

    def retire(self) -> None:
        """GOAWAY and close when no stream is left; sooner, some clients would drop the answers that they wait for."""
        if not self.cycles and self.quiet_since is not None:
            self._close_connection()

    def finish(self) -> None:
        """Refuse new streams, and close when no old one is left."""
        self.is_draining = True
        if not self.cycles:
            self._close_connection()

    def cut(self) -> None:
        """Abort."""
        self.gate.raw.abort()


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the application that nobody listens any more."""
    cycle.disconnected = True
    cycle.message_event.set()
    _flow(cycle).wake()


def _flow(cycle: RequestResponseCycle) -> StreamFlow:
    return cast("StreamFlow", cycle.flow)
