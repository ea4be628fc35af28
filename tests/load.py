"""Clients on raw sockets: they tell a connection that was refused from one that was closed, when, and after what."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tests.serving import Server, request_of

PATIENCE: Final = 20.0  # seconds


@dataclass(frozen=True)
class Sample:
    """What became of one request. Times are of the monotonic clock, in seconds."""

    sent: float
    ended: float
    connected: float
    """When its connection was opened, or was tried to be."""
    status: int = 0
    """HTTP status; 0 if there was no whole answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, names in lower case."""
    body: bytes = b""
    error: str = ""
    """`connect`: nobody took the connection; `closed`: it ended before the answer was whole; empty: answered whole."""
    was_begun: bool = False
    """Was any byte of the answer read?"""
    retries: int = 0

    @property
    def code(self) -> int:
        """`header.code` of the answer; -1 if there is none."""
        code: int = json.loads(self.body)["header"]["code"] if self.status else -1
        return code

    @property
    def seconds(self) -> float:
        """From the first byte sent to the last one read."""
        return self.ended - self.sent


class Link(NamedTuple):
    """A connection."""

    opened: float
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Caller:
    """A client with one connection that it keeps; it retries once if that was closed while idle."""

    def __init__(self, server: Server, service: str, *, data: str = "hello") -> None:
        self._address = urlsplit(server.url)
        body = json.dumps(request_of(service, data)).encode()
        head = f"POST /v1/private/{service} HTTP/1.1\r\nhost: {self._address.netloc}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._link: Link | None = None

    async def ask(self) -> Sample:
        """Send the request; what became of it."""
        was_kept = self._link is not None
        sample = await self._try()
        if was_kept and sample.error and not sample.was_begun:
            sample = replace(await self._try(), sent=sample.sent, retries=1)
        return sample

    async def close(self) -> None:
        """Close the connection."""
        link, self._link = self._link, None
        if link is not None:
            link.writer.close()
            with contextlib.suppress(OSError):
                await link.writer.wait_closed()

    async def _try(self) -> Sample:
        sent = time.monotonic()
        if self._link is None:
            try:
                self._link = Link(sent, *await asyncio.open_connection(self._address.hostname, self._address.port))
            except OSError:
                return Sample(sent, time.monotonic(), sent, error="connect")
        opened, reader, writer = self._link
        head = b""
        try:
            writer.write(self._request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status, headers = _parsed(head)
            body = await reader.readexactly(int(headers["content-length"]))
        except (OSError, asyncio.IncompleteReadError) as error:
            begun = bool(head or getattr(error, "partial", b""))
            await self.close()
            return Sample(sent, time.monotonic(), opened, error="closed", was_begun=begun)
        ended = time.monotonic()
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return Sample(sent, ended, opened, status, headers, body, was_begun=True)


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


@contextlib.asynccontextmanager
async def asking(server: Server, service: str, texts: Sequence[str]) -> AsyncIterator[list[asyncio.Task[Sample]]]:
    """Calls in progress while the block runs, one a text, in their order; at its end each has its sample."""
    callers = [Caller(server, service, data=text) for text in texts]
    async with asyncio.TaskGroup() as group:
        yield [group.create_task(caller.ask()) for caller in callers]
    for caller in callers:
        await caller.close()


class Load:
    """Callers that ask without end until stopped; a caller whom nobody answers pauses for 10 ms."""

    def __init__(self, server: Server, service: str, *, callers: int, data: str = "hello") -> None:
        self.samples: list[Sample] = []
        """Everything so far, in order of the answers."""
        self._callers = [Caller(server, service, data=data) for _ in range(callers)]
        self._is_over = False
        self._grew = asyncio.Event()

    async def reached(self, count: int) -> None:
        """Wait for so many further answers; fails after `PATIENCE`."""
        goal = len(self.samples) + count
        async with asyncio.timeout(PATIENCE):
            while len(self.samples) < goal:
                self._grew.clear()
                await self._grew.wait()

    async def run(self) -> None:
        """Ask until `stop`; every request that was sent has ended by then."""
        async with asyncio.TaskGroup() as group:
            for caller in self._callers:
                group.create_task(self._repeat(caller))

    def stop(self) -> None:
        """Send nothing more."""
        self._is_over = True

    async def _repeat(self, caller: Caller) -> None:
        while not self._is_over:
            sample = await caller.ask()
            self.samples.append(sample)
            self._grew.set()
            if sample.error:
                await asyncio.sleep(0.01)
        await caller.close()


@contextlib.asynccontextmanager
async def load_on(server: Server, service: str, *, callers: int, data: str = "hello") -> AsyncIterator[Load]:
    """A load that runs while the block does; the first answer has come. At the end all samples are there."""
    load = Load(server, service, callers=callers, data=data)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        try:
            await load.reached(1)
            yield load
        finally:
            load.stop()
