"""Channels: whole messages in order, each with its own descriptors, whatever the socket and the peer do."""

import array
import asyncio
import os
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.kit import channel, descriptors
from athena_serving.kit.channel import AsyncChannel, Channel, ChannelBroken
from tests.kit.descriptors import open_descriptors

Message = tuple[bytes, list[int]]
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a link."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def files() -> Iterator[list[int]]:
    """Three descriptors of three different files."""
    opened = [os.memfd_create(f"file {number}") for number in range(3)]
    yield opened
    descriptors.close_all(opened)


def identity(descriptor: int) -> tuple[int, int]:
    """What a descriptor refers to."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def written(message: bytes, count: int = 0) -> bytes:
    """A message as it travels, claiming so many descriptors."""
    return struct.pack("<II", len(message), count) + message


def send_all(sender: Channel, messages: list[bytes]) -> None:
    """For a thread of its own: whoever reads need not keep up."""
    for message in messages:
        sender.send(message)


def broken_inboxes() -> dict[str, bytes]:
    """What no peer of ours writes."""
    return {
        "too long": struct.pack("<II", channel.MAX_MESSAGE + 1, 0),
        "too many descriptors": struct.pack("<II", 1, descriptors.MAX_DESCRIPTORS + 1),
        "descriptors that never come": written(b"x", 1),
    }


# ── both ends block ───────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.binary(max_size=30), st.integers(min_value=0, max_value=2)), max_size=6),
    st.lists(st.integers(min_value=0, max_value=300)),
)
def test_any_chunking_gives_the_same_messages(sent: list[tuple[bytes, int]], cuts: list[int]) -> None:
    """Descriptors come with their message's first byte or before; each message gets its own, in order."""
    stream, firsts, number = b"", {}, 0
    expected: list[Message] = []
    for message, count in sent:
        numbers = list(range(number, number + count))
        number += count
        expected.append((message, numbers))
        firsts[len(stream)] = numbers
        stream += written(message, count)
    inbox = channel._Inbox()
    found: list[Message] = []
    ends = sorted({cut for cut in cuts if 0 < cut < len(stream)} | {len(stream)})
    start = 0
    for end in ends if stream else []:
        # As the kernel does it: what is read ends where bytes with the next descriptors begin.
        for one in sorted({end} | {at for at in firsts if start < at < end and firsts[at]}):
            inbox.add(stream[start:one], [fd for at, fds in firsts.items() if start <= at < one for fd in fds])
            start = one
            while (whole := inbox.take()) is not None:
                found.append(whole)
    assert found == expected


def test_messages_come_out_as_they_went_in(pair: Pair) -> None:
    """In order, empty and large ones too, also where a message is larger than the socket holds."""
    messages = [b"", b"one", bytes(3 << 20), b"last"]
    sender, receiver = Channel(pair[0]), Channel(pair[1])
    writing = threading.Thread(target=send_all, args=(sender, messages))
    writing.start()
    assert [receiver.receive() for _ in messages] == [(message, []) for message in messages]
    writing.join()


def test_many_threads_may_send(pair: Pair) -> None:
    """No message is torn apart by another."""
    sender, receiver = Channel(pair[0]), Channel(pair[1])
    threads = [threading.Thread(target=send_all, args=(sender, [letter * 5000] * 20)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    got = [receiver.receive() for _ in range(60)]
    for thread in threads:
        thread.join()
    assert all(one is not None and one[0] == one[0][:1] * 5000 for one in got)


def test_descriptors_belong_to_their_message(pair: Pair, files: list[int]) -> None:
    """Each message brings those it was sent with, as new descriptors that no subprocess inherits."""
    sender, receiver = Channel(pair[0]), Channel(pair[1])
    sender.send(b"none")
    sender.send(b"two", files[:2])
    sender.send(b"one", files[2:])
    got = [receiver.receive() for _ in range(3)]
    taken = [one[1] for one in got if one is not None]
    assert [[identity(fd) for fd in fds] for fds in taken] == [[], [*map(identity, files[:2])], [identity(files[2])]]
    assert not any(os.get_inheritable(fd) for fds in taken for fd in fds)
    for fds in taken:
        descriptors.close_all(fds)


def test_pending_gives_what_is_there(pair: Pair) -> None:
    """One read, every whole message in it, and None at the end."""
    receiver = Channel(pair[1])
    pair[0].sendall(written(b"one") + written(b"two") + written(b"three")[:-1])
    assert receiver.pending() == [(b"one", []), (b"two", [])]
    pair[0].sendall(b"e")
    assert receiver.pending() == [(b"three", [])]
    pair[0].close()
    assert receiver.pending() is None


def test_end_of_the_peer_is_told(pair: Pair, files: list[int]) -> None:
    """Also in the middle of a message, whose descriptors are closed then; sending to it raises."""
    receiver = Channel(pair[1])
    descriptors.send(pair[0], [written(b"half", 1)[:-1]], files[:1])
    pair[0].close()
    before = open_descriptors()
    assert receiver.receive() is None
    assert open_descriptors() == before
    with pytest.raises(OSError, match="Broken pipe"):
        receiver.send(b"nobody reads this")


@pytest.mark.parametrize("case", broken_inboxes())
def test_peer_that_breaks_the_rules_is_noticed(pair: Pair, case: str) -> None:
    """Nothing is kept waiting for what will never come, and nothing endless is kept at all."""
    pair[0].sendall(broken_inboxes()[case])
    with pytest.raises(ChannelBroken):
        Channel(pair[1]).receive()


def test_descriptors_of_no_message_are_noticed(pair: Pair, files: list[int]) -> None:
    """They would be taken for those of a later message."""
    descriptors.send(pair[0], [written(b"claims none", 0)], files[:1])
    receiver = Channel(pair[1])
    assert receiver.receive() == (b"claims none", [])
    with pytest.raises(ChannelBroken, match="1 descriptors that belong to no message"):
        receiver.receive()
    receiver._inbox.close()


def test_more_descriptors_than_can_be_taken_are_refused(pair: Pair, files: list[int]) -> None:
    """What the kernel cut off is lost; the rest is closed, and the receiver knows."""
    many = array.array("i", files[:1] * (descriptors.MAX_DESCRIPTORS + 1))
    pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, many)])
    before = open_descriptors()
    with pytest.raises(OSError, match="more than 64 descriptors"):
        descriptors.receive(pair[1], 10)
    assert open_descriptors() == before


# ── an end in a loop ──────────────────────────────────────────────────────────────────────────────


class Ear:
    """Remembers what a channel tells."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.closed = 0
        self._changed = asyncio.Event()

    def on_message(self, message: bytes, fds: list[int]) -> None:
        """One more."""
        self.messages.append((message, fds))
        self._changed.set()

    def on_close(self) -> None:
        """The end."""
        self.closed += 1
        self._changed.set()

    async def until(self, *, messages: int = 0, closed: int = 0) -> None:
        """Wait for so many of each."""
        async with asyncio.timeout(10):
            while len(self.messages) < messages or self.closed < closed:
                self._changed.clear()
                await self._changed.wait()


def started(link: socket.socket, limit: int = 64 << 20) -> tuple[AsyncChannel, Ear]:
    """A channel that runs, and what it tells."""
    one, ear = AsyncChannel(link, limit=limit), Ear()
    one.start(ear.on_message, ear.on_close)
    return one, ear


async def test_loop_end_speaks_to_loop_end(pair: Pair, files: list[int]) -> None:
    """Large messages and descriptors between two loops, neither of which may wait."""
    (ours, _), (theirs, ear) = started(pair[0]), started(pair[1])
    sizes = [0, 10, 2 << 20, 5, 1 << 20]
    for number, size in enumerate(sizes):
        ours.send(bytes([number]) * size, files[: number % 3])
    await ear.until(messages=len(sizes))
    assert [message for message, _ in ear.messages] == [bytes([n]) * size for n, size in enumerate(sizes)]
    assert [[*map(identity, fds)] for _, fds in ear.messages] == [
        [*map(identity, files[: number % 3])] for number in range(len(sizes))
    ]
    for _, fds in ear.messages:
        descriptors.close_all(fds)
    ours.close()
    theirs.close()


async def test_sent_descriptors_stay_the_callers(pair: Pair, files: list[int]) -> None:
    """The caller may close its own at once: what waits to be written has duplicates."""
    (ours, _), own = started(pair[0]), os.dup(files[0])
    ours.send(bytes(4 << 20))
    ours.send(b"with", [own])
    os.close(own)
    receiver = Channel(pair[1])
    await asyncio.to_thread(receiver.receive)
    last = await asyncio.to_thread(receiver.receive)
    assert last is not None
    assert identity(last[1][0]) == identity(files[0])
    descriptors.close_all(last[1])
    ours.close()


async def test_peer_that_does_not_read_costs_a_limit(pair: Pair, files: list[int]) -> None:
    """What waits is bounded: beyond it the channel is closed, with the descriptors that waited."""
    before = open_descriptors()
    ours, ear = started(pair[0], limit=1 << 20)
    while not ours.is_closed:
        ours.send(bytes(100_000), files)
    assert ear.closed == 1
    assert open_descriptors() == before - 1  # our end of the link
    ours.send(b"too late")
    ours.close()
    assert ear.closed == 1


async def test_end_of_the_peer_is_told_once(pair: Pair) -> None:
    """What came before is handed over, then the end."""
    pair[0].sendall(written(b"last words"))
    pair[0].close()
    ours, ear = started(pair[1])
    await ear.until(messages=1, closed=1)
    assert list(ear.messages) == [(b"last words", [])]
    assert ours.is_closed


@pytest.mark.parametrize("case", broken_inboxes())
async def test_broken_rules_close_a_loop_end(pair: Pair, case: str) -> None:
    """The end is told, and nothing is raised into the loop."""
    pair[0].sendall(broken_inboxes()[case])
    _, ear = started(pair[1])
    await ear.until(closed=1)
    assert not ear.messages


async def test_writing_to_a_dead_peer_closes(pair: Pair) -> None:
    """`send` does not raise: the end is told instead."""
    ours, ear = started(pair[0])
    pair[1].close()
    ours.send(b"nobody reads this")
    await ear.until(closed=1)


async def test_channel_may_be_closed_from_within(pair: Pair) -> None:
    """A message that makes its receiver close is the last one it hears."""
    one = AsyncChannel(pair[1])
    heard: list[bytes] = []

    def on_message(message: bytes, _: list[int]) -> None:
        heard.append(message)
        one.close()

    ended = asyncio.Event()
    one.start(on_message, ended.set)
    pair[0].sendall(written(b"stop") + written(b"unheard"))
    async with asyncio.timeout(10):
        await ended.wait()
    assert heard == [b"stop"]


async def test_dead_peer_is_heard_to_the_end(pair: Pair) -> None:
    """Whoever knows that the peer is dead takes what it wrote and closes, without waiting for the loop."""
    pair[0].sendall(written(b"one") + written(b"two") + written(b"half")[:-1])
    ours, ear = started(pair[1])
    ours.finish()
    assert [message for message, _ in ear.messages] == [b"one", b"two"]
    assert ear.closed == 1
    ours.finish()
    assert ear.closed == 1


async def test_channel_that_was_never_started_can_be_closed(pair: Pair) -> None:
    """There is nobody to tell."""
    one = AsyncChannel(pair[0])
    one.close()
    assert one.is_closed


def test_descriptors_never_take_the_place_of_a_standard_stream() -> None:
    """Where standard output is closed, whoever prints must not write into what a peer has passed."""
    code = """
import os, socket
from athena_serving.kit import descriptors
ours, theirs = socket.socketpair()
passed, _ = os.pipe()
descriptors.send(ours, [b"x"], [passed])
os.close(0), os.close(1)
(got,) = descriptors.receive(theirs, 10)[1]
os.write(2, f"{got > 2} {os.readlink('/proc/self/fd/0')} {os.readlink('/proc/self/fd/1')}".encode())
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert done.stderr == b"True /dev/null /dev/null"
