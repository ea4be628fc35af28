"""Clients that do what a well-behaved one would not, over plain sockets."""

import json
import select
import socket
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Self, TypeVar

import h2.config
import h2.connection
import h2.events

from tests.contract.engine_process import EngineProcess

MEGABYTE = 1024 * 1024
GET = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> int:
        """The code in our words."""
        return int(json.loads(self.body)["header"]["code"])


def post(path: str, length: int, body: bytes = b"", extra: str = "") -> bytes:
    """Write a request with a body, of which `body` is the beginning."""
    return f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{extra}\r\n".encode() + body


def read_answer(stream: BinaryIO) -> Answer:
    """Read one answer whose length is declared."""
    status = int(stream.readline().split()[1])
    headers: dict[str, str] = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode().partition(": ")
        headers[name] = value
    return Answer(status, headers, stream.read(int(headers.get("content-length", 0))))


def ask(client: socket.socket, request: bytes) -> Answer:
    """Send a request and read its answer."""
    client.sendall(request)
    with client.makefile("rb") as stream:
        return read_answer(stream)


def is_closed(client: socket.socket) -> bool:
    """Wait for the end of the connection; True if it ended in order, without a reset and with nothing more to read."""
    return client.recv(1) == b""


def trickle(client: socket.socket, piece: bytes) -> bytes:
    """Send a byte now and then, as a slow client does, until the server says something; returns what it said."""
    while not select.select([client], [], [], 0.05)[0]:
        client.sendall(piece)
    return client.recv(65536)


def address(server: EngineProcess, path: str, scheme: str = "ws") -> str:
    """Write a URL of the server."""
    return f"{scheme}://127.0.0.1:{server.address[1]}{path}"


Event = TypeVar("Event", bound=h2.events.Event)


class H2Client:
    """The least that speaks HTTP/2, for what a well-behaved client would not do."""

    def __init__(self, server: EngineProcess) -> None:
        self.socket = server.connect()
        self.heard: deque[h2.events.Event] = deque()
        self.protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.protocol.initiate_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, path: str, *, end: bool = True) -> int:
        """Open a stream."""
        stream = self.protocol.get_next_available_stream_id()
        fields = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x")]
        self.protocol.send_headers(stream, fields, end_stream=end)
        self.socket.sendall(self.protocol.data_to_send())
        return stream

    def until(self, kind: type[Event]) -> Event:
        """Read until the server says this."""
        return next(event for event in self.events() if isinstance(event, kind))

    def events(self) -> Iterator[h2.events.Event]:
        """Read what the server says, until it closes."""
        while True:
            while self.heard:
                yield self.heard.popleft()
            if not (data := self.socket.recv(65536)):
                return
            self.heard.extend(self.protocol.receive_data(data))
            self.socket.sendall(self.protocol.data_to_send())
