"""T18 for streams: clients that read a byte a second are cut, whatever their number, and others do not notice."""

import asyncio
import contextlib
import json
import select
import socket
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.load import load_on
from tests.reliability.forms import FORMS, SYNC
from tests.reliability.streaming import Peer, Streaming, connected, step, streaming, text_of
from tests.serving import ECHO, Server

TIMEOUT: Final = 2.0
"""Seconds of `server.limits.write_timeout`."""
SLOW: Final = 500
"""Clients that read a byte a second."""


@dataclass
class Slow:
    """A WebSocket whose owner has asked for a flood and reads a byte a second."""

    link: socket.socket
    began: float


async def slow_reader(server: Server) -> Slow:
    """One that has heard that its connection is there."""
    loop = asyncio.get_running_loop()
    link = connected(server, 4096)
    link.setblocking(False)
    key = b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    head = b"GET /v1/private/async HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" + key + b"\r\n"
    await loop.sock_sendall(link, head)
    assert await loop.sock_recv(link, 12) == b"HTTP/1.1 101"
    await loop.sock_sendall(link, framed(step("async", what="flood", name="slow")))
    return Slow(link, time.monotonic())


async def read_slowly(server: Server, count: int) -> list[float]:
    """Readers of a byte a second; after how many seconds each was reset."""
    poll = select.poll()
    readers: dict[int, Slow] = {}
    for _ in range(count):
        one = await slow_reader(server)
        readers[one.link.fileno()] = one
        poll.register(one.link, 0)  # errors and hang-ups are always told
    seconds: list[float] = []
    while readers:
        for one in readers.values():
            with contextlib.suppress(BlockingIOError, ConnectionError):
                one.link.recv(1)
        for _ in range(4):  # quarters of a second
            await asyncio.sleep(0.25)
            for descriptor, _ in poll.poll(0):
                poll.unregister(descriptor)
                one = readers.pop(descriptor)
                one.link.close()
                seconds.append(time.monotonic() - one.began)
    return seconds


def framed(document: object) -> bytes:
    """A text frame of a client, masked with zeroes (RFC 6455 5.2)."""
    body = json.dumps(document).encode()
    assert 126 <= len(body) < 1 << 16
    return b"\x81" + bytes([0x80 | 126]) + len(body).to_bytes(2, "big") + bytes(4) + body


async def test_slow_readers_are_cut_and_others_do_not_notice(tmp_path: Path) -> None:
    """T18: 500 WebSockets that read a byte a second are cut at `write_timeout`; calls and sessions beside go on."""
    settings = {"server.limits.write_timeout": TIMEOUT, "server.limits.ping_interval": 60}
    with streaming(tmp_path, [FORMS["async"], SYNC, ECHO], seats=SLOW, settings=settings) as server:
        async with asyncio.timeout(60.0), load_on(server, "echo", callers=1) as load:
            slow = asyncio.create_task(read_slowly(server, SLOW))
            beside = 0
            while not slow.done():
                beside += await asyncio.to_thread(talk_beside, server)
            seconds = await slow
        assert all(one >= TIMEOUT for one in seconds)
        assert beside > 0
        await asyncio.to_thread(server.until_free, "async")
        assert server.closed("async", "client left") == SLOW
        assert server.noted("async", "ended slow True") == SLOW
        assert {(one.status, one.retries) for one in load.samples} == {(200, 0)}
        assert statistics.median(one.seconds for one in load.samples) < 1.0


def talk_beside(server: Streaming) -> int:
    """A session of another service; how many went well."""
    with Peer(server, "sync") as peer:
        peer.say("quick", "beside")
        assert [text_of(frame) for frame in peer.rest()][-3:-1] == ["one", "two"]
    return 1
