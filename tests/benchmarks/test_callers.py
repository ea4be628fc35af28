"""Our own callers of streams, each a process, against servers of a few lines."""

import asyncio
from http import HTTPStatus

import msgspec
import pytest
from benchmarks import load
from benchmarks.callers import events
from benchmarks.callers.orders import Load, Order, Request
from benchmarks.callers.tally import Tally, percentile
from benchmarks.errors import BenchError
from benchmarks.exchanges import Exchange, Stream
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request as WebRequest
from websockets.http11 import Response

from tests.benchmarks import servers

PIECES = [b"data: piece %d\n\n" % number for number in range(10)]
END = b'{"header":{"status":2},"payload":{}}'
ORDER = Order(
    drive="events",
    port=0,
    request=Request("/", b"{}", "text/event-stream"),
    stream=Stream(b"piece ", len(PIECES)),
    connections=2,
    seconds=0.5,
    pace=0.02,
)


async def called(order: Order, port: int) -> Load:
    """What callers count who carry out this order at this port."""
    return await asyncio.to_thread(load.call, msgspec.structs.replace(order, port=port))


def streaming(*chunks: bytes) -> servers.Answer:
    """Answers with a whole body of these chunks, each written by itself."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(servers.HEAD)
        for one in chunks:
            writer.write(servers.chunk(one))
            await writer.drain()
        writer.write(servers.chunk(b""))

    return answer


# ── events ────────────────────────────────────────────────────────────────────────────────────────


async def test_every_event_counts() -> None:
    """Whole answers are no errors, and each piece is counted however many come in one read."""
    async with servers.http(streaming(*PIECES)) as port:
        counted = await called(ORDER, port)
    assert counted.errors == 0
    assert counted.requests >= len(PIECES)
    assert 0 < counted.p50_us <= counted.p99_us
    assert 0 < counted.caller_cores <= 1.5


class Wire(asyncio.Transport):
    """A connection on which a test plays the server."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def write(self, _data: bytes | bytearray | memoryview) -> None:
        """A request."""
        self.asked += 1

    def close(self) -> None:
        """The caller leaves."""


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
async def test_an_answer_counts_the_same_however_it_is_cut(parts: int) -> None:
    """Wherever the reads fall, within a mark or within the end, each piece is one and the caller asks once more."""
    whole = servers.HEAD + b"".join(map(servers.chunk, PIECES)) + servers.chunk(b"")
    for size in range(len(servers.HEAD), len(whole)):
        tally, wire = Tally(60.0), Wire()
        tally.start()
        caller = events.Caller(ORDER, tally, asyncio.get_running_loop().create_future())
        caller.connection_made(wire)
        caller.data_received(whole[:size])
        for at in range(size, len(whole), parts):
            caller.data_received(whole[at : at + parts])
        assert (tally.pieces, tally.broken, tally.refused, wire.asked) == (len(PIECES), 0, 0, 2)
        assert len(tally.delays) == 1


async def test_an_answer_with_a_piece_too_few_is_broken() -> None:
    """A stream that ends early is an error, though it ends in order."""
    async with servers.http(streaming(*PIECES[1:])) as port:
        assert (await called(ORDER, port)).broken > 0


async def test_a_connection_closed_within_an_answer_is_broken() -> None:
    """A server that hangs up in the midst of a stream is counted."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(servers.HEAD + servers.chunk(PIECES[0]))
        writer.close()

    async with servers.http(answer) as port:
        assert (await called(ORDER, port)).broken > 0


async def test_a_refusal_is_counted_as_one() -> None:
    """A status other than 200 is no stream."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")

    async with servers.http(answer) as port:
        counted = await called(ORDER, port)
    assert counted.refused > 0
    assert counted.broken == 0


async def test_nobody_there_is_broken() -> None:
    """A port without a server gives errors, not a wait."""
    async with servers.http(streaming()) as port:
        pass
    assert (await called(ORDER, port)).broken == ORDER.connections


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", [b"", b'"status":2'], ids=["server closes", "end is said"])
async def test_sessions_follow_one_another(end: bytes) -> None:
    """One frame in, pieces out, and the end in either way: closed by the server, or said and closed by the caller."""

    async def talk(connection: ServerConnection) -> None:
        assert await connection.recv() == "{}"
        for piece in PIECES:
            await connection.send(piece.decode())
        if end:
            await connection.send(END.decode())
            await connection.wait_closed()

    order = msgspec.structs.replace(ORDER, drive="frames", stream=Stream(b"piece ", len(PIECES), end=end))
    async with servers.sockets(talk) as port:
        counted = await called(order, port)
    assert counted.errors == 0
    assert counted.requests >= len(PIECES)


async def test_a_session_without_all_its_pieces_is_broken() -> None:
    """A server that closes early is counted."""

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("piece 0")

    async with servers.sockets(talk) as port:
        assert (await called(msgspec.structs.replace(ORDER, drive="frames"), port)).broken > 0


async def test_a_refused_upgrade_is_counted_as_one() -> None:
    """A server that does not agree to a WebSocket refuses; that is no broken session."""

    async def talk(_connection: ServerConnection) -> None:
        raise AssertionError

    def refuse(connection: ServerConnection, _request: WebRequest) -> Response:
        return connection.respond(HTTPStatus.FORBIDDEN, "no")

    async with servers.sockets(talk, refuse) as port:
        counted = await called(msgspec.structs.replace(ORDER, drive="frames"), port)
    assert counted.refused > 0
    assert counted.broken == 0


# ── paced sessions ────────────────────────────────────────────────────────────────────────────────

SOUND = Stream(b"sound", 0, end=b'"status":2', following=b"sound", last=b"sound, the last")


async def echo(connection: ServerConnection) -> None:
    """Every frame comes back; after the last, the end."""
    async for frame in connection:
        await connection.send(frame)
        if frame == SOUND.last.decode():
            await connection.send(END.decode())


async def test_paced_frames_come_back() -> None:
    """All sessions send at their pace, every echo is timed, and nothing is an error."""
    order = msgspec.structs.replace(ORDER, drive="paced", stream=SOUND, request=Request("/", b"sound", ""))
    async with servers.sockets(echo) as port:
        counted = await called(order, port)
    turns = round(order.seconds / order.pace)
    assert counted.errors == 0
    assert 0 < counted.requests <= (turns + 1) * order.connections
    assert counted.p99_us > 0


async def test_a_session_that_swallows_a_frame_is_broken() -> None:
    """A missing echo is an error of its session, though the session ends well."""

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        await echo(connection)

    order = msgspec.structs.replace(ORDER, drive="paced", stream=SOUND, request=Request("/", b"sound", ""))
    async with servers.sockets(talk) as port:
        assert (await called(order, port)).broken == order.connections


# ── by hand ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_conversation_gives_all_messages() -> None:
    """The one session before the load has every frame for the judge, and ends where the stream says."""
    exchange = Exchange("/", b"sound", lambda answer: answer.splitlines()[-1] == END, stream=SOUND)
    async with servers.sockets(echo) as port:
        answer = await asyncio.to_thread(load.converse, port, exchange, SOUND)
    assert answer.body.splitlines() == [b"sound", SOUND.following, SOUND.last, END]
    assert exchange.is_right(answer.body)


def test_an_order_that_cannot_be_read_says_so() -> None:
    """A caller process that fails is an error with its last words, never a count."""
    with pytest.raises(BenchError, match="counted nothing"):
        load.call(msgspec.structs.replace(ORDER, drive="no such drive"))


def test_percentiles_are_values_that_occurred() -> None:
    """The p99 of a hundred is the last, of none it is nothing."""
    assert percentile([number / 1e6 for number in range(1, 101)], 0.99) == 100
    assert percentile([], 0.5) == 0
