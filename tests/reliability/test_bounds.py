"""T10 and T18: a full queue refuses at once, and slow clients are cut, whatever their number."""

import asyncio
import json
import select
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.load import Caller, load_on
from tests.serving import ECHO, Server, request_of

GATED: Final = ECHO.replace(
    'if word == "sleep":',
    """if word == "wait":
            while not os.path.exists("gate"):
                time.sleep(0.01)
        elif word == "big":
            text = "x" * int(rest)
        elif word == "sleep":""",
)
"""ECHO that can also be told `wait`, until there is a file `gate` in its folder, and `big 100`, for a long answer."""

CONNECTIONS: Final = 1000
REFUSALS: Final = 300
"""Refused calls that are timed."""
QUICK: Final = 0.005
"""Seconds that half of the refusals may take: reliability row T10."""

TIMEOUT: Final = 2.0
"""Seconds that a slow client is borne."""
SLACK: Final = 3.0
"""Seconds that the cut may come late, on a busy machine."""
BIG: Final = 6 << 20
"""Bytes of an answer that the kernel's buffers do not hold."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, while the loop goes on; at most 20 s."""
    async with asyncio.timeout(20.0):
        while not condition():  # noqa: ASYNC110  # what a server says of itself has no event
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("queue", [99, CONNECTIONS - 1])
async def test_full_queue_refuses_at_once(tmp_path: Path, queue: int) -> None:
    """T10: while 1,000 connections wait, calls beyond the queue get 429 with Retry-After; nobody hangs."""
    with Server(tmp_path, GATED, settings={"workers.queue": queue}) as server:
        accepted = queue + 1
        callers = [Caller(server, "echo", data="wait") for _ in range(CONNECTIONS)]
        waiting = [asyncio.create_task(caller.ask()) for caller in callers]
        await until(lambda: sum(one.done() for one in waiting) == CONNECTIONS - accepted)
        await until(lambda: server.total("athena_calls_in_flight") == accepted)

        other = Caller(server, "echo", data="refused")
        refused = [await other.ask() for _ in range(REFUSALS)]
        assert {(one.status, one.code, one.retries) for one in refused} == {(429, 10110, 0)}
        assert all(one.headers and one.headers["retry-after"] == "1" for one in refused)
        assert statistics.median(one.seconds for one in refused) < QUICK

        (server.paths[0] / "gate").touch()
        async with asyncio.timeout(20.0):
            samples = await asyncio.gather(*waiting)
        assert sum(one.status == 200 for one in samples) == accepted
        assert sum((one.status, one.code) == (429, 10110) for one in samples) == CONNECTIONS - accepted
        for caller in [*callers, other]:
            await caller.close()


@dataclass(frozen=True)
class Cut:
    """How a slow client was cut: after how many seconds, and what it could read."""

    seconds: float
    answer: bytes


async def write_slowly(server: Server, start: bytes) -> Cut:
    """Send a start, then a byte a second, until the server has closed."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(start)
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        writer.write(b"x")
        await asyncio.wait([answer], timeout=1.0)
    cut = Cut(time.monotonic() - began, answer.result())
    writer.close()
    return cut


async def read_slowly(server: Server, count: int) -> list[Cut]:
    """Clients of a large answer, who read a byte a second until the server has reset them."""
    loop = asyncio.get_running_loop()
    body = json.dumps(request_of("echo", f"big {BIG}")).encode()
    head = f"POST /v1/private/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    links: dict[int, socket.socket] = {}
    began: dict[int, float] = {}
    poll = select.poll()
    for _ in range(count):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)
        links[link.fileno()], began[link.fileno()] = link, time.monotonic()
        await loop.sock_connect(link, ("127.0.0.1", server.port))
        await loop.sock_sendall(link, f"{head}\r\n\r\n".encode() + body)
        assert await loop.sock_recv(link, 1) == b"H"
        poll.register(link, 0)  # errors and hang-ups are always told
    cuts: list[Cut] = []
    while links:
        for link in links.values():
            link.recv(1)
        for _ in range(4):  # quarters of a second
            await asyncio.sleep(0.25)
            for descriptor, _ in poll.poll(0):
                poll.unregister(descriptor)
                links.pop(descriptor).close()
                cuts.append(Cut(time.monotonic() - began[descriptor], b""))
    return cuts


async def test_slow_clients_are_cut_and_others_do_not_notice(tmp_path: Path) -> None:
    """T18: 500 that write or read a byte a second are cut at their timeouts; meanwhile every other call is answered."""
    settings = {f"server.limits.{which}_timeout": TIMEOUT for which in ("header", "body", "write")}
    with Server(tmp_path, GATED, settings=settings) as server:
        line = b"POST /v1/private/echo HTTP/1.1\r\nhost: x\r\n"
        head = line + b"content-type: application/json\r\ncontent-length: 100000\r\n\r\n{"
        async with asyncio.timeout(30.0), asyncio.TaskGroup() as group:
            readers = group.create_task(read_slowly(server, 40))
            headers = [group.create_task(write_slowly(server, line + b"x-slow: ")) for _ in range(230)]
            bodies = [group.create_task(write_slowly(server, head)) for _ in range(230)]
            await until(lambda: server.total("athena_calls_in_flight") >= len(bodies))
            async with load_on(server, "echo", callers=1) as load:
                await asyncio.wait([readers, *headers, *bodies])
        for cut in [*readers.result(), *(one.result() for one in (*headers, *bodies))]:
            assert TIMEOUT <= cut.seconds < TIMEOUT + SLACK
        for one in (*headers, *bodies):
            answer = one.result().answer
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["header"]["code"] == 10114
        assert {(one.status, one.retries) for one in load.samples} == {(200, 0)}
        assert max(one.seconds for one in load.samples) < 2.0
        assert statistics.median(one.seconds for one in load.samples) < 0.1
