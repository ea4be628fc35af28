"""HTTP/1.1 as uvicorn speaks it, plus what it lacks: clocks, bounds, and answers that the peer can still read.

A guard costs a request a few attributes and no timer: one sweeper per process (`engine.Engine`) asks every open
connection `check(now)`, and there slow peers are cut. What uvicorn calls a transport is a `Gate` here, so that "close"
can mean: say everything, listen until the peer has read it, then close. Where a request stands decides what is watched:

    its head comes in             header_timeout, header    408, 431
    its body comes in             body_timeout              408, or closed if an answer has begun
    its answer goes out           write_timeout             the connection is aborted
    answered, body still coming   body_timeout, body        dropped for LINGER seconds, then closed
    none                          idle_timeout              closed
"""

import asyncio
import sys
from typing import Final, cast
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, ASGIVersions, HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from athena_serving.errors import AthenaError, BadRequest, InternalError, RequestTimeout
from athena_serving.gateway.cycle import GATHER, Cycle
from athena_serving.gateway.guard import LEAST, LINGER, DoorState, Gate, HeaderTooLarge, Progress, describe, refusing

NO_BOUND: Final = sys.maxsize
_ASGI: Final[ASGIVersions] = {"version": "3.0", "spec_version": "2.3"}


class GuardedHttp1(HttpToolsProtocol):
    """One HTTP/1.1 connection.

    `fed` counts the bytes of the connection, `mark` is its value where the peer last did something useful: began a
    head, ended one, sent a piece of a body. What lies between is a head, trailers, chunk extensions or noise, and may
    be `limits.header` long. httptools has no such bound of its own.
    """

    # Slots, since uvicorn's own attributes fill the thirty that CPython keeps fast in a dict; 0.6 us a request.
    __slots__ = (
        "allowance",
        "body_open",
        "chunk",
        "ended_at",
        "fault",
        "fed",
        "gate",
        "head_from",
        "head_since",
        "idle_after",
        "idle_since",
        "is_deaf",
        "is_marked",
        "is_surplus",
        "mark",
        "most_header",
        "most_requests",
        "reading",
        "received",
        "running",
        "state",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.state = cast("DoorState", server_state)
        self.most_header = self.state.limits.header
        self.most_requests = self.state.limits.requests
        # The request whose answer is due; `cycle` is the last one begun, which may wait in the pipeline.
        self.running: Cycle | None = None
        # To be answered when everything before it has been.
        self.fault: AthenaError | None = None
        self.gate: Gate
        self.fed = self.mark = self.head_from = self.chunk = self.received = 0
        self.ended_at = self.idle_after = -1
        self.idle_since: float | None = None
        self.head_since: float | None = None
        self.body_open = False
        self.reading = Progress()
        self.allowance = NO_BOUND
        # Deaf: what the peer sends is dropped without a look. Marked: `running` is not kept alive, as the door retires.
        self.is_deaf = self.is_surplus = self.is_marked = False

    # ── the connection ────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head."""
        self.gate = Gate(transport)
        self.gate.close = self.leave
        super().connection_made(cast("asyncio.Transport", self.gate))
        self.head_since = self.loop.time()
        self.is_surplus = len(self.connections) > self.state.limits.connections

    def connection_lost(self, exc: Exception | None) -> None:
        """End what still runs."""
        self._disconnect()
        self.pipeline.clear()
        self.connections.discard(self)
        self.flow.resume_writing()
        if exc is None:
            self.gate.raw.close()
        self.parser = None  # type: ignore[assignment]  # circles that only the collector could undo
        del self.gate.close

    def data_received(self, data: bytes) -> None:
        """Count and parse; what the parser says goes to the callbacks below."""
        if self.is_deaf:
            self._drop(len(data))
            return
        self.chunk = len(data)
        self.fed += self.chunk
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserCallbackError as error:
            self.fail(self._blame(error.__context__))
        except httptools.HttpParserError as error:
            self.fail(BadRequest(f"malformed request: {error}"))
        if self.fed - self.mark > self.most_header:
            self.fail(HeaderTooLarge(f"the headers are over {self.most_header} bytes"))

    def _drop(self, size: int) -> None:
        self.received += size
        if self.received > self.allowance:
            self.gate.raw.close()

    def _is_busy(self) -> bool:
        return self.running is not None and not self.running.response_complete

    def _disconnect(self) -> None:
        """Tell the application that nobody listens any more."""
        if self.running is not None:
            self.running.disconnect()

    def leave(self) -> None:
        """Close the connection, in a way that the peer can read what was written if more of it may come."""
        if self.gate.is_closing():
            return
        if not (self.is_deaf or self.body_open or self.pipeline or self.flow.read_paused):
            self.gate.raw.close()
            return
        self.is_deaf = True
        self.reading.reset()
        self.allowance = self.received + self.state.limits.body
        self.gate.leave(self.loop.time())
        self.flow.resume_reading()

    # ── the parser's events ───────────────────────────────────────────────────────────────────────
    # These stand in for uvicorn's, which make more objects than a request needs; every call passes through them.

    def on_message_begin(self) -> None:
        """Start the clock of a head, if it is not the first."""
        self.head_from = self.fed - self.chunk
        # Behind another message in the same chunk: where in it is not known, so count from its end.
        self.mark = self.fed if self.ended_at == self.fed else self.head_from
        if self.head_since is None:
            self.head_since = self.loop.time()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Stop the clock of the head, and start the application."""
        if self.fed - self.head_from > self.most_header and self._head_size() > self.most_header:
            raise HeaderTooLarge(f"the headers are over {self.most_header} bytes")
        self.head_since = None
        self.mark = self.fed
        self.reading.reset()
        parser = self.parser
        self.scope = scope = self._scope()
        self.body_open = True
        is_upgrade = parser.should_upgrade()
        if is_upgrade and self._should_upgrade():
            return
        cycle = Cycle(
            scope,
            self.gate,
            self.flow,
            self.state.default_lines,
            self.tasks,
            self.on_response_complete,
            keep_alive=scope["http_version"] != "1.0" and parser.should_keep_alive(),
            waiting_for_100_continue=self.expect_100_continue,
        )
        before, self.cycle = self.cycle, cycle  # type: ignore[assignment]  # ours instead of uvicorn's
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]
        if is_upgrade:
            return
        self.headers = []  # trailers go there, instead of among the headers of a request that runs
        if self.expect_100_continue:
            # Answered early, a client may keep the body back, and its next bytes would be taken for it.
            self.expect_100_continue, cycle.keep_alive = cycle.keep_alive, False
        if self.pipeline and self.is_marked and self.running is not None and not self.running.response_started:
            self.is_marked, self.running.keep_alive = False, True  # it is not the last one after all

    def _scope(self) -> HTTPScope:
        """ASGI's description of the request whose head is complete."""
        url, parser = self.url, self.parser
        if not url.startswith(b"/") or b"#" in url:  # the forms that proxies use: let the parser tell
            parsed = httptools.parse_url(url)
            if not parsed.path:
                raise BadRequest("malformed request: its URL has no path")
            raw_path, query = parsed.path, parsed.query or b""
        else:
            raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": parser.get_http_version(),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
        }

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Count, and gather what the application will take; once its answer is complete it takes nothing more."""
        self.mark = self.fed
        self.received += len(body)
        if self.received > self.allowance:
            self.gate.raw.close()
        if self.expect_100_continue:
            self._body_came()
        cycle = cast("Cycle", self.cycle)
        if cycle.response_complete:
            return
        cycle.gather(body)
        if cycle.gathered > GATHER:  # until then, or until the body is whole, the application sleeps
            self.flow.pause_reading()
            cycle.wake()

    def on_message_complete(self) -> None:
        """Stop the clock of the body."""
        self.body_open = False
        self.ended_at = self.mark = self.fed
        self.allowance = NO_BOUND
        if self.expect_100_continue:
            self._body_came()
        cycle = cast("Cycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            cycle.more_body = False
            cycle.wake()

    def _body_came(self) -> None:
        self.expect_100_continue = False
        if not self.cycle.response_started and not self.state.retiring:
            self.cycle.keep_alive = True

    def _start_asgi_task(self, cycle: Cycle, app: ASGI3Application) -> None:  # type: ignore[override]
        if self.is_surplus or len(self.tasks) >= self.most_requests:
            error = self.state.refusal(is_surplus=self.is_surplus)
            app = refusing(error, is_last=self.is_surplus) if error else app
        self.running = cycle
        if self.state.retiring:
            self.retire()
        cycle.start(app, self.loop)

    def on_response_complete(self) -> None:
        """Go on with what waits: the next of the pipeline, a fault whose turn has come, the rest of a body.

        uvicorn would set a timer here for every answer; the sweeper sees idle connections without.
        """
        self.server_state.total_requests += 1
        if self.gate.is_leaving or self.gate.raw.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*cast("tuple[Cycle, ASGI3Application]", self.pipeline.pop()))
        elif self.fault is not None:
            self._answer(self.fault)
        elif self.body_open:
            self.gate.patience = self.loop.time() + LINGER
            self.allowance = self.received + self.state.limits.body

    # ── faults ────────────────────────────────────────────────────────────────────────────────────

    def _upgrade(self) -> None:
        """Hand the connection over to `GuardedWebSocket`, if it may come in; any other upgrade is ignored."""
        error: AthenaError | None = None
        declared = dict(self.headers)
        if self._should_upgrade():
            if self._is_busy():
                error = BadRequest("a WebSocket handshake must wait for the answers before it")
            else:
                error = self.state.refusal(is_surplus=self.is_surplus)
        elif declared.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in declared:
            self.body_open = True  # of which httptools has lost sight
            error = BadRequest("a request with a body cannot be upgraded: send it without the Upgrade header")
        else:
            return
        if error is not None:
            self.fail(error)
            return
        self.transport = self.gate.raw
        self.handle_websocket_upgrade()
        del self.gate.close

    def _blame(self, raised: BaseException | None) -> AthenaError:
        """Say whose fault it was that a callback raised: the request's, or ours."""
        if isinstance(raised, AthenaError):
            return raised
        if not _has_path(self.url):
            return BadRequest("malformed request: the URL cannot be read")
        self.logger.error("a callback of the HTTP parser failed", exc_info=raised)
        return InternalError("the request could not be handled; the log says why")

    def fail(self, error: AthenaError) -> None:
        """Answer the request that is coming in with `error` and close; in its turn, if others are before it."""
        if self.is_deaf:
            return
        self.is_deaf = True
        if not self._is_busy():
            if self.body_open:  # answered long ago
                self.leave()
            else:
                self._answer(error)
        elif self.pipeline or not self.body_open:
            if self.body_open:
                self.pipeline.popleft()
            self.fault = error
            self.flow.pause_reading()
        else:
            has_begun = self.running is not None and self.running.has_written
            self._disconnect()
            self.leave() if has_begun else self._answer(error)

    def _answer(self, error: AthenaError) -> None:
        headers, body = describe(error)
        lines = [*self.state.default_lines, *(b"%b: %b\r\n" % field for field in headers)]
        self.gate.write(b"".join((STATUS_LINE[error.http], *lines, b"connection: close\r\n\r\n", body)))
        self.leave()

    # ── what the engine asks ──────────────────────────────────────────────────────────────────────

    def check(self, now: float) -> None:
        """Cut the peer if it is too slow for where it stands."""
        limits = self.state.limits
        if self.gate.is_stalled(now, limits.write_timeout):
            self.gate.reset()
        elif self.gate.raw.is_closing():
            return
        elif self.gate.is_leaving:
            self._check_rest(now)
        elif self.body_open:
            self._check_body(now)
        elif self._is_busy():
            self.idle_since = None
        elif self.head_since is not None:
            self._check_head(now, self.head_since)
        else:
            self._check_idle(now)

    def _check_idle(self, now: float) -> None:
        if self.idle_since is None or self.idle_after != self.ended_at:
            self.idle_since, self.idle_after = now, self.ended_at
        elif now - self.idle_since > self.state.limits.idle_timeout:
            self.gate.raw.close()

    def _check_head(self, now: float, since: float) -> None:
        timeout = self.state.limits.header_timeout
        if now - since <= timeout:
            return
        if self.fed:
            self.fail(RequestTimeout(f"the headers were not complete after {timeout:g} s"))
        else:
            self.gate.raw.close()  # not a byte came: there is no request to answer

    def _check_body(self, now: float) -> None:
        running, timeout = self.running, self.state.limits.body_timeout
        if self.flow.read_paused or self.pipeline or running is None or running.waiting_for_100_continue:
            self.reading.reset()  # it is we who do not read
        elif running.response_complete:
            self._check_rest(now)
        elif self.reading.is_stalled(now, self.received, timeout):
            self.fail(RequestTimeout(f"fewer than {LEAST} bytes of the body came in {timeout:g} s"))

    def _check_rest(self, now: float) -> None:
        if now > self.gate.patience or self.reading.is_stalled(now, self.received, self.state.limits.body_timeout):
            self.gate.raw.close()

    def retire(self) -> None:
        """From now on an answer says that it is the last one, unless another request is behind it."""
        running = self.running
        if running is None or running.response_started or self.pipeline or self.head_since is not None:
            return
        if running.keep_alive:
            running.keep_alive = False
            self.is_marked = True

    def finish(self) -> None:
        """Close at once if idle; a request of which a byte was read is answered first."""
        if self.head_since is None or not self.fed:
            self.shutdown()

    def cut(self) -> None:
        """Abort."""
        self.gate.raw.abort()


def _has_path(url: bytes) -> bool:
    try:
        path: bytes | None = httptools.parse_url(url).path
    except httptools.HttpParserInvalidURLError:
        return False
    return path is not None and path.isascii()
