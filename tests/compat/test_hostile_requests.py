"""T17: every byte of a valid request flipped, and the request cut at every byte, over real keep-alive connections.

Whatever comes of it is answered 2xx or 4xx, in JSON with a code or by the HTTP engine in its words; nothing hangs,
nothing is answered 5xx, no traceback is shown; afterwards every process and descriptor is where it was.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.compat.conftest import Serve
from tests.compat.golden import ECHO, base64_of
from tests.serving import Server, eventually

BODY: Final = json.dumps(
    {
        "header": {"app_id": "123456", "status": 3},
        "parameter": {"svcName": {"ctrl": "", "p_int": 5, "result": {"encoding": "utf8", "format": "plain"}}},
        "payload": {"text_in": {"status": 3, "text": base64_of("hello world")}},
    }
).encode()
HEAD: Final = b"POST /v1/private/svcName HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH: Final = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED: Final = (
    HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:10], BODY[10:90], BODY[90:]))
    + b"0\r\n\r\n"
)
REQUESTS: Final = {"length": LENGTH, "chunked": CHUNKED}

MASKS: Final = {"lowest bit": 0x01, "case": 0x20, "highest bit": 0x80, "all bits": 0xFF}

STALL: Final = 1.0
"""Seconds until the server gives up on a request that does not go on."""
BOUND: Final = 20.0
"""Seconds in which every answer must be there."""
AT_ONCE: Final = 16
"""Connections of the flips; the cuts, which only wait, are all made at once."""


class Reply(NamedTuple):
    """One answer; status 0 stands for a connection that ended without one."""

    status: int
    body: bytes


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server of the echo wrapper that soon gives up on a request that does not go on."""
    limits = {"header_timeout": STALL, "body_timeout": STALL, "idle_timeout": STALL}
    return serve([ECHO], **{f"server__limits__{name}": value for name, value in limits.items()})


@pytest.mark.parametrize("mask", MASKS.values(), ids=list(MASKS))
@pytest.mark.parametrize("form", REQUESTS)
async def test_every_byte_flipped(server: Server, form: str, mask: int) -> None:
    """A request with one byte changed, after a good one on the same connection, is served or refused, never worse."""
    whole = REQUESTS[form]
    variants = [whole[:at] + bytes([byte ^ mask]) + whole[at + 1 :] for at, byte in enumerate(whole)]
    before = scene(server)
    replies = await each(server, variants, flipped)
    for variant, reply in zip(variants, replies, strict=True):
        check(variant, reply)
    assert any(reply.status == 400 for reply in replies)
    assert_unharmed(server, before)


@pytest.mark.parametrize("form", REQUESTS)
async def test_cut_at_every_byte(server: Server, form: str) -> None:
    """A request that stops is answered 408, wherever it stops, and its connection closed."""
    whole = REQUESTS[form]
    variants = [whole[:at] for at in range(1, len(whole))]
    before = scene(server)
    replies = await each(server, variants, cut, at_once=len(variants))
    for variant, reply in zip(variants, replies, strict=True):
        check(variant, reply)
    assert_unharmed(server, before)


@pytest.mark.parametrize("form", REQUESTS)
async def test_left_at_every_byte(server: Server, form: str) -> None:
    """A caller who sends a part and leaves costs the server nothing: nobody is there for an answer."""
    whole = REQUESTS[form]
    before = scene(server)
    await each(server, [whole[:at] for at in range(1, len(whole) + 1)], left)
    assert_unharmed(server, before)


# ── what must hold ────────────────────────────────────────────────────────────────────────────────


def check(sent: bytes, reply: Reply) -> None:
    """Served, or refused by us with a code, or by the HTTP engine; never 5xx, never in silence."""
    shown = (sent, reply)
    assert 200 <= reply.status < 300 or 400 <= reply.status < 500, shown
    assert b"Traceback" not in reply.body, shown
    if reply.body.startswith(b"{"):
        document = json.loads(reply.body)
        # ASF's two answers without a header: an unknown path, and a Content-Type that is not JSON.
        assert document.keys() <= {"message", "services"} or isinstance(document["header"]["code"], int), shown
        assert (reply.status == 200) == (document.get("header", {}).get("code") == 0), shown


Scene = tuple[int, int, dict[str, int], int]


def scene(server: Server) -> Scene:
    """Supervisor, door, workers, and the door's descriptors while nobody is connected."""
    door = server.door()
    return server.pid, door, server.workers(), quiet(door)


def quiet(door: int) -> int:
    """How many descriptors the door has once it has no connections: two equal looks at a count that only falls."""
    seen: list[int] = [-1]

    def is_steady() -> bool:
        seen.append(sum(1 for _ in Path(f"/proc/{door}/fd").iterdir()))
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    eventually(is_steady, what="a steady number of descriptors")
    return seen[-1]


def assert_unharmed(server: Server, before: Scene) -> None:
    """The same processes live, the door has no more descriptors than before, and calls are answered."""
    pid, door, workers, descriptors = before
    assert (server.pid, server.door(), server.workers()) == (pid, door, workers)
    eventually(lambda: quiet(door) <= descriptors, timeout=15, what="the end of all connections")
    assert server.call("svcName", "hello", key="text_in")[0] == 200
    assert not server.log("by our own fault")


# ── clients ───────────────────────────────────────────────────────────────────────────────────────

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[Reply]]


async def each(server: Server, variants: Iterable[bytes], client: Client, *, at_once: int = AT_ONCE) -> list[Reply]:
    """What a client of its own connection hears for each variant."""
    room = asyncio.Semaphore(at_once)

    async def ask(variant: bytes) -> Reply:
        async with room:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                async with asyncio.timeout(BOUND):
                    return await client(reader, writer, variant)
            finally:
                writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(variant)) for variant in variants]
    return [one.result() for one in asked]


async def flipped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, variant: bytes) -> Reply:
    """A good request first, then the variant; what it left of itself may be taken for a request, and refused."""
    writer.write(LENGTH)
    first = await read(reader)
    assert first.status == 200, first
    writer.write(variant)
    reply = await read(reader)
    writer.write_eof()
    assert b"HTTP/1.1 5" not in await reader.read(), variant
    return reply


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, variant: bytes) -> Reply:
    """The variant, and nothing more; the connection must end after the answer."""
    writer.write(variant)
    reply = await read(reader)
    assert await reader.read() == b"", variant
    return reply


async def left(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, variant: bytes) -> Reply:
    """The variant, and away."""
    writer.write(variant)
    await writer.drain()
    return Reply(0, b"")


async def read(reader: asyncio.StreamReader) -> Reply:
    """One answer, whose length is declared."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0, b"")
    first, *lines = head.decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if line)
    status = int(first.split()[1])
    if "content-length" not in fields:  # of the HTTP engine: until the end of the connection
        return Reply(status, await reader.read())
    return Reply(status, await reader.readexactly(int(fields["content-length"])))
