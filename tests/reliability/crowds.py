"""Many callers of sessions on one event loop, and what a server's processes hold before and after them."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.reliability.forms import FORMS
from tests.reliability.streaming import PATIENCE, Streaming, step
from tests.serving import Json, eventually

SETTLING: Final = 5.0
"""Seconds that the last connections and threads may take to go."""

Way = Callable[["Visitor", str], Awaitable[None]]
"""One session with a service, from its beginning to its end, whichever that is."""


# ── what processes hold ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Holdings:
    """What a process holds."""

    descriptors: int
    threads: int
    memory: int
    """Bytes, with its share of what it shares."""


def holdings(pids: Mapping[str, int]) -> dict[str, Holdings]:
    """What each of these processes holds, by name."""
    return {name: _holdings(pid) for name, pid in pids.items()}


def _holdings(pid: int) -> Holdings:
    process = psutil.Process(pid)
    return Holdings(
        len(list(Path(f"/proc/{pid}/fd").iterdir())), process.num_threads(), int(process.memory_full_info().pss)
    )


def assert_not_grown(before: Mapping[str, Holdings], pids: Mapping[str, int], *, memory: int) -> None:
    """No process holds a descriptor or a thread more than before, or so many bytes more, once all has ended."""

    def grown() -> dict[str, tuple[Holdings, Holdings]]:
        after = holdings(pids)
        return {
            name: (old, new)
            for name, old in before.items()
            if (new := after[name]).descriptors > old.descriptors
            or new.threads > old.threads
            or new.memory > old.memory + memory
        }

    with contextlib.suppress(AssertionError):  # it is told below, with the numbers
        eventually(lambda: not grown(), timeout=SETTLING)
    assert not (found := grown()), found


def until_settled(server: Streaming) -> None:
    """Wait until no call and no session is left, and no seat is taken."""
    families = ("athena_sessions", "athena_seats_used", "athena_calls_in_flight")

    def is_still() -> bool:
        values = server.metrics()
        return not any(value for series, value in values.items() if series.partition("{")[0] in families)

    eventually(is_still, timeout=PATIENCE, what="the end of all calls and sessions")


def assert_each_ended_once(server: Streaming, service: str) -> None:
    """Every session that a wrapper began, it ended, once."""

    def counts() -> tuple[Counter[str], Counter[str]]:
        trail = (server.folder_of(service) / "trail").read_text().split(";")
        began = Counter(words.split()[1] for words in trail if words.startswith("began "))
        return began, Counter(words.split()[1] for words in trail if words.startswith("ended "))

    eventually(lambda: counts()[0] <= counts()[1], timeout=PATIENCE, what=f"the last end of {service}")
    began, ended = counts()
    assert began == ended


# ── who holds sessions ────────────────────────────────────────────────────────────────────────────


class Visitor:
    """Holds one session after another. It keeps a connection per service open, which its sessions share."""

    def __init__(self, server: Streaming, number: int) -> None:
        self.server = server
        self.done: Counter[str] = Counter()
        """Sessions by way."""
        self.rng = random.Random(number)
        self._number = number
        self._count = 0
        self._shared: dict[str, ClientConnection] = {}

    async def go(self, way: Way, service: str) -> None:
        """One session."""
        async with asyncio.timeout(PATIENCE):
            await way(self, service)
        self.done[way.__name__] += 1

    async def leave(self) -> None:
        """Close what was kept open."""
        for connection in self._shared.values():
            await connection.close()

    async def shared(self, service: str) -> ClientConnection:
        """The connection that its sessions with a service share."""
        if service not in self._shared:
            self._shared[service] = await self.opened(service, "?stream_mode=multiplex")
        return self._shared[service]

    async def opened(self, service: str, query: str = "") -> ClientConnection:
        """A new WebSocket."""
        return await connect(
            f"ws://127.0.0.1:{self.server.port}/v1/private/{service}{query}",
            compression=None,
            proxy=None,
            ping_interval=None,
            max_queue=None,  # a full queue would keep the peer's close from being read
            close_timeout=PATIENCE,
        )

    async def asked(self, service: str, what: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A request for events, on a new connection, that has been sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        body = json.dumps(step(service, what=what, name=what, status=3)).encode()
        head = f"POST /v1/private/{service} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        head += f"accept: text/event-stream\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return reader, writer

    def next_cid(self) -> str:
        """A name that no other session of its has."""
        self._count += 1
        return f"{self._number}-{self._count}"


async def heard(connection: ClientConnection, cid: str | None = None) -> Json:
    """A session's last frame, or its error."""
    while True:
        document: Json = json.loads(await connection.recv())
        header = document["header"]
        if header.get("cid") == cid and (header["code"] or header["status"] >= 2):
            return document


async def begun(
    connection: ClientConnection, service: str, what: str, *, status: int = 2, cid: str | None = None
) -> None:
    """Send the first step of a session."""
    await connection.send(json.dumps(step(service, what=what, name=what, status=status, cid=cid)))


# ── ways ──────────────────────────────────────────────────────────────────────────────────────────


async def finish_shared(visitor: Visitor, service: str) -> None:
    """FINISHED, on a connection that is kept open."""
    connection, cid = await visitor.shared(service), visitor.next_cid()
    await begun(connection, service, "quick", cid=cid)
    assert not (await heard(connection, cid))["header"]["code"]


async def finish_new(visitor: Visitor, service: str) -> None:
    """FINISHED, on a connection of its own."""
    connection = await visitor.opened(service)
    await begun(connection, service, "quick")
    assert not (await heard(connection))["header"]["code"]
    await connection.close()


async def finish_events(visitor: Visitor, service: str) -> None:
    """FINISHED, as events."""
    reader, writer = await visitor.asked(service, "quick")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"status":2' in answer
    writer.close()


async def fail(visitor: Visitor, service: str) -> None:
    """WRAPPER_FAILED, and the connection is closed."""
    connection = await visitor.opened(service)
    await begun(connection, service, "fail")
    assert (await heard(connection))["header"]["code"] in (10907, 10909)
    await _closed(connection)


async def blunder(visitor: Visitor, service: str) -> None:
    """BAD_FRAME, in the middle of a session."""
    connection = await visitor.opened(service)
    await begun(connection, service, "echo", status=0)
    await connection.recv()
    await connection.send('{"payload":{"data":{"text":"=owl="}}}')
    assert (await heard(connection))["header"]["code"] == 10163
    await _closed(connection)


async def leave_shared(visitor: Visitor, service: str) -> None:
    """CLIENT_LEFT, of two sessions that share a connection; what the first was doing, the second waits for."""
    connection = await visitor.opened(service, "?stream_mode=multiplex")
    await begun(connection, service, "count", cid="one")
    await begun(connection, service, "echo", status=0, cid="two")
    await connection.recv()
    await connection.close()


async def vanish(visitor: Visitor, service: str) -> None:
    """CLIENT_LEFT, without a word."""
    connection = await visitor.opened(service)
    await begun(connection, service, "count")
    await connection.recv()
    connection.transport.abort()
    await connection.wait_closed()


async def leave_events(visitor: Visitor, service: str) -> None:
    """CLIENT_LEFT, of a stream of events."""
    reader, writer = await visitor.asked(service, "count")
    await reader.readuntil(b"data: ")
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def be_cancelled(visitor: Visitor, service: str) -> None:
    """CANCELLED, by the operator."""
    connection = await visitor.opened(service)
    await begun(connection, service, "echo", status=0)
    sid = json.loads(await connection.recv())["header"]["sid"]
    assert await asyncio.to_thread(visitor.server.end_session, sid)
    assert (await heard(connection))["header"]["code"] == 10101
    await _closed(connection)


async def stay_silent(visitor: Visitor, service: str) -> None:
    """IDLE, where `idle_timeout` is short."""
    connection = await visitor.opened(service)
    await begun(connection, service, "echo", status=0)
    await _closed(connection)


async def overstay(visitor: Visitor, service: str) -> None:
    """TOO_LONG, where `session_timeout` is short."""
    connection = await visitor.opened(service)
    await begun(connection, service, "count")
    assert (await heard(connection))["header"]["code"] == 10114
    await _closed(connection)


async def be_stalled(visitor: Visitor, service: str) -> None:
    """STALLED, where `stall_timeout` is short."""
    connection = await visitor.opened(service)
    await begun(connection, service, "hold")
    assert (await heard(connection))["header"]["code"] == 10102
    await _closed(connection)


async def be_refused(visitor: Visitor, service: str) -> None:
    """REFUSED, where every seat is taken."""
    connection = await visitor.opened(service)
    await begun(connection, service, "quick")
    assert (await heard(connection))["header"]["code"] == 10110
    await _closed(connection)


async def _closed(connection: ClientConnection) -> None:
    """The server closes."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.recv()
    await connection.wait_closed()


WAYS: Final[Mapping[Way, int]] = {
    finish_shared: 60,
    finish_new: 12,
    finish_events: 12,
    fail: 4,
    blunder: 3,
    leave_shared: 2,
    vanish: 3,
    leave_events: 3,
    be_cancelled: 1,
}
"""Ways to hold a session with any service, and how often each is gone, of a hundred."""


async def crowd(server: Streaming, sessions: int, *, visitors: int = 8, seed: int = 0) -> Counter[str]:
    """So many sessions, of all ways and forms, by a few visitors at once; how many of each way there were."""
    everyone = [Visitor(server, seed * visitors + number) for number in range(visitors)]

    async def hold(visitor: Visitor) -> None:
        for _ in range(sessions // visitors):
            (way,) = visitor.rng.choices([*WAYS], [*WAYS.values()])
            await visitor.go(way, visitor.rng.choice([*FORMS]))
        await visitor.leave()

    async with asyncio.TaskGroup() as group:
        for visitor in everyone:
            group.create_task(hold(visitor))
    return sum((visitor.done for visitor in everyone), Counter())
