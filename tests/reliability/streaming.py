"""A server of wrappers that hold sessions (forms.py), and clients of them on plain sockets.

with streaming(folder) as server, Events(server, "sync", "count", "owl") as events:
assert events.next() == "1"
"""

import base64
import contextlib
import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.reliability.forms import FORMS
from tests.serving import Json, Server, Source, eventually

PATIENCE: Final = 15.0
"""Seconds that anything is waited for; a busy machine included."""
LAST: Final = 2
"""Status of a caller's last frame."""
SEGMENT: Final = 1448
"""Bytes of a TCP segment over Ethernet. The kernel sizes a sender's buffer by it: 2.6 MB with the loopback's 64 KiB."""


class Caller(Protocol):
    """A client of ours."""

    def close(self) -> None:
        """Let go of its socket; any number of times."""


class Streaming(Server):
    """A server whose wrappers note what happens to their sessions. At its end its callers' sockets are closed."""

    callers: list[Caller]

    def __enter__(self) -> Self:
        self.callers = []
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dismiss()
        super().__exit__(kind, error, trace)

    def dismiss(self) -> None:
        """Close what its callers have left open."""
        while self.callers:
            self.callers.pop().close()

    def noted(self, service: str, words: str) -> int:
        """How often a wrapper noted these words."""
        path = self.folder_of(service) / "trail"
        return path.read_text().split(";").count(words) if path.exists() else 0

    def until_noted(self, service: str, words: str, *, timeout: float = PATIENCE) -> None:
        """Wait until it did."""
        eventually(lambda: self.noted(service, words), timeout=timeout, what=f"{words!r} of {service}")

    def open_gate(self, service: str, name: str) -> None:
        """Let a session pass that holds."""
        (self.folder_of(service) / f"gate-{name}").touch()

    def used(self, service: str) -> int:
        """Seats that are taken."""
        return int(self.total("athena_seats_used", service=service))

    def until_free(self, service: str, *, timeout: float = PATIENCE) -> None:
        """Wait until no seat is taken and no session goes on."""
        eventually(
            lambda: not self.used(service) and not self.total("athena_sessions", service=service),
            timeout=timeout,
            what=f"a free seat of {service}",
        )

    def closed(self, service: str, reason: str) -> int:
        """Sessions that ended for this reason."""
        return int(self.total("athena_sessions_total", service=service, reason=reason))

    def ask(self, service: str, what: str, name: str) -> HTTPConnection:
        """Ask for one body, and come back; `getresponse()` waits for it, `close()` leaves without it."""
        link = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        body = json.dumps(step(service, what=what, name=name, status=3))
        link.request("POST", f"/v1/private/{service}", body, {"content-type": "application/json"})
        return link

    def end_session(self, sid: str) -> bool:
        """What `athena cancel` does; was there such a session?"""
        found: bool = self._client.delete(f"{self.admin}/sessions/{sid}").json()["cancelled"]
        return found

    def made(self, service: str, name: str) -> int:
        """Steps that a session has made or taken, as another session tells."""
        with Events(self, service, "made", f"?{name}") as events:
            return int(events.next() or "-1")

    def folder_of(self, service: str) -> Path:
        """Where a wrapper is."""
        return next(path for path in self.paths if f'serviceId = "{service}"' in (path / "wrapper.py").read_text())


def streaming(
    folder: Path,
    sources: Sequence[Source] = tuple(FORMS.values()),
    *,
    seats: int = 2,
    settings: Mapping[str, object] | None = None,
) -> Streaming:
    """A server of these wrappers, by default of every form."""
    given = {"workers.seats": seats, "workers.restart_limit": 100}
    return Streaming(folder, sources, settings={**given, **(settings or {})})


# ── what is said ──────────────────────────────────────────────────────────────────────────────────


def step(
    service: str, text: str = "go", *, what: str = "", name: str = "", status: int = LAST, cid: str | None = None
) -> Json:
    """One step of a session; only its first says `what` it is to do."""
    document: Json = {
        "header": {"app_id": "123456", "status": status},
        "payload": {"data": {"text": base64.b64encode(text.encode()).decode(), "status": status}},
    }
    if cid is not None:
        document["header"]["cid"] = cid
    if what:
        document["parameter"] = {service: {"what": what, "name": name}}
    return document


def text_of(document: Json) -> str:
    """The text in a step of an answer; empty if it has none."""
    block = document.get("payload", {}).get("result", {})
    return base64.b64decode(block.get("text", "")).decode()


def connected(server: Server, buffer: int = 0) -> socket.socket:
    """A connection whose kernel keeps so many bytes of what its owner has not read, as over Ethernet; 0: any number."""
    link = socket.socket()
    if buffer:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    link.settimeout(PATIENCE)
    link.connect(("127.0.0.1", server.port))
    return link


def set_to_reset(link: socket.socket) -> None:
    """Have the socket close with RST."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Events:
    """A request whose answer comes step by step: events, or lines where `accept` says so."""

    def __init__(
        self,
        server: Streaming,
        service: str,
        what: str,
        name: str,
        *,
        text: str = "go",
        accept: str = "text/event-stream",
        buffer: int = 0,
    ) -> None:
        """`buffer` as for `connected`."""
        server.callers.append(self)
        self.link = HTTPConnection("127.0.0.1", server.port)
        self.link.sock = self.socket = connected(server, buffer)
        body = json.dumps(step(service, text, what=what, name=name, status=3))
        headers = {"content-type": "application/json", "accept": accept}
        self.link.request("POST", f"/v1/private/{service}", body, headers)
        self.answer = self.link.getresponse()
        self.status = self.answer.status
        self.kind = ""
        """Of the last event: empty, or `error`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def document(self) -> Json | None:
        """The next event's data, or line; None after the last."""
        self.kind = ""
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                self.kind = text.removeprefix("event: ")
            elif text.startswith(("data: ", "{")):
                found: Json = json.loads(text.removeprefix("data: "))
                return found
        return None

    def next(self) -> str | None:
        """The text of the next step; None after the last."""
        document = self.document()
        if document is None:
            return None
        assert not document["header"]["code"], document
        return text_of(document)

    def rest(self) -> list[Json]:
        """All that still comes."""
        return list(iter(self.document, None))

    def close(self) -> None:
        """Leave."""
        self.answer.close()
        self.link.close()

    def cut(self) -> None:
        """Leave with RST."""
        set_to_reset(self.socket)
        self.close()


class Closed(Exception):
    """The server has closed the WebSocket."""


class Peer:
    """A WebSocket on a plain socket. It reads, and answers pings, only while it is asked to `hear`."""

    def __init__(self, server: Streaming, service: str, *, query: str = "", buffer: int = 0) -> None:
        """`buffer` as for `connected`."""
        server.callers.append(self)
        self.service = service
        self.socket = connected(server, buffer)
        self._protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{server.port}/v1/private/{service}{query}"))
        self._protocol.send_request(self._protocol.connect())
        self._arrived: list[Json] = []
        self._flush()
        while self._protocol.handshake_exc is None and not self._is_open():
            self._receive()
        assert self._protocol.handshake_exc is None, self._protocol.handshake_exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket, without a word."""
        self.socket.close()

    def say(self, what: str, name: str, text: str = "go", *, status: int = LAST, cid: str | None = None) -> None:
        """Begin a session; by default with its only step."""
        self.send(step(self.service, text, what=what, name=name, status=status, cid=cid))

    def add(self, text: str, *, status: int = 1, cid: str | None = None) -> None:
        """One more step."""
        self.send(step(self.service, text, status=status, cid=cid))

    def send(self, document: Json | str) -> None:
        """Send a frame."""
        text = document if isinstance(document, str) else json.dumps(document)
        self._protocol.send_text(text.encode())
        self._flush()

    def hear(self, timeout: float = PATIENCE) -> Json:
        """The next frame. Raises `Closed`, TimeoutError."""
        until = time.monotonic() + timeout
        while not self._arrived:
            if self._protocol.close_rcvd is not None or self._protocol.eof_sent:
                raise Closed(self._protocol.close_rcvd)
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            self._receive()
            with contextlib.suppress(OSError):
                self._flush()
        return self._arrived.pop(0)

    def next(self) -> str:
        """The text of the next step that has one."""
        while True:
            document = self.hear()
            assert not document["header"]["code"], document
            if "payload" in document:
                return text_of(document)

    def rest(self, cid: str | None = None) -> list[Json]:
        """All up to the session's last frame, or its error."""
        frames: list[Json] = []
        while not frames or not (frames[-1]["header"]["status"] >= LAST or frames[-1]["header"]["code"]):
            document = self.hear()
            if document["header"].get("cid") == cid:
                frames.append(document)
        return frames

    def ending(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """How the server closes: code and reason; (1006, "") without a close frame. What comes before is dropped."""
        with contextlib.suppress(Closed, ConnectionError):
            while True:
                self.hear(timeout)
        closed = self._protocol.close_rcvd
        return (1006, "") if closed is None else (int(closed.code), closed.reason)

    def leave(self) -> None:
        """Close as a browser does: a close frame, then the socket."""
        self._protocol.send_close(1000)
        self._flush()
        self.socket.close()

    def cut(self) -> None:
        """Vanish with RST."""
        set_to_reset(self.socket)
        self.socket.close()

    def _is_open(self) -> bool:
        return self._protocol.state.name == "OPEN"

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.socket.sendall(data)

    def _receive(self) -> None:
        data = self.socket.recv(1 << 16)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._arrived.append(json.loads(bytes(event.data)))
        if not data:
            raise Closed(self._protocol.close_rcvd)
