"""Servers of a few lines that stream as they are told to, for the callers to call."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    """A chunk of a body (RFC 9112, 7.1); an empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def http(answer: Answer) -> AsyncIterator[int]:
    """Answers every POST of a connection by what `answer` writes; the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.splitlines() if line.lower().startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                await answer(writer)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def sockets(
    talk: Callable[[ServerConnection], Awaitable[None]],
    agree: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> AsyncIterator[int]:
    """Talks with everybody over WebSocket whom `agree` does not answer otherwise; the port."""
    async with serve(talk, "127.0.0.1", 0, compression=None, process_request=agree) as server:
        yield next(iter(server.sockets)).getsockname()[1]
