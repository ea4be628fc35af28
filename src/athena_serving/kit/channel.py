"""A channel: whole messages, each with descriptors if it likes, over a unix stream socket.

    u32 size of message │ u32 number of descriptors │ message

`Channel` is for threads that may block, `AsyncChannel` for an event loop; the two ends need not be alike. Messages are
few and small: orders and reports, never calls.
"""

import asyncio
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from athena_serving.kit import descriptors

_HEADER: Final = struct.Struct("<II")
MAX_MESSAGE: Final = 64 << 20
"""Bytes of the largest message; schema documents are the largest there are."""
_CHUNK: Final = 1 << 16


class ChannelBroken(Exception):
    """The peer sent what is no message."""


class _Inbox:
    """Cuts messages out of what was read and gives each its descriptors, in order."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._descriptors: deque[int] = deque()

    def add(self, data: bytes, found: Sequence[int]) -> None:
        self._data += data
        self._descriptors.extend(found)

    def take(self) -> tuple[bytes, list[int]] | None:
        if len(self._data) < _HEADER.size:
            if self._descriptors and not self._data:
                raise self._broken(f"{len(self._descriptors)} descriptors that belong to no message")
            return None
        size, count = _HEADER.unpack_from(self._data)
        if size > MAX_MESSAGE or count > descriptors.MAX_DESCRIPTORS:
            raise self._broken(f"a message of {size} bytes with {count} descriptors")
        end = _HEADER.size + size
        if len(self._data) < end:
            return None
        if len(self._descriptors) < count:  # they come with a message's first byte, never after it
            raise self._broken(f"a message with {len(self._descriptors)} descriptors instead of {count}")
        message = bytes(self._data[_HEADER.size : end])
        del self._data[:end]
        return message, [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        descriptors.close_all(list(self._descriptors))
        self._descriptors.clear()

    def _broken(self, what: str) -> ChannelBroken:
        self.close()
        return ChannelBroken(what)


class Channel:
    """The blocking end. Any thread may send; one thread receives."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._inbox = _Inbox()
        self._lock = threading.Lock()

    def send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Write one message whole. Raises `OSError` when the peer is gone."""
        data = memoryview(_HEADER.pack(len(message), len(fds)) + message)
        with self._lock:
            sent = descriptors.send(self.link, [data], fds)
            if sent < len(data):
                self.link.sendall(data[sent:])

    def receive(self) -> tuple[bytes, list[int]] | None:
        """Wait for the next message and its descriptors; None when the peer closed. Raises `ChannelBroken`."""
        while (whole := self._inbox.take()) is None:
            data, found = descriptors.receive(self.link, _CHUNK)
            if not data:
                self._inbox.close()
                return None
            self._inbox.add(data, found)
        return whole

    def pending(self) -> list[tuple[bytes, list[int]]] | None:
        """Read once, without waiting for more than is there: the messages that are whole; None when the peer closed.

        Raises `ChannelBroken`; what came before the broken message is not handed over either.
        """
        data, found = descriptors.receive(self.link, _CHUNK)
        if not data:
            self._inbox.close()
            return None
        self._inbox.add(data, found)
        whole: list[tuple[bytes, list[int]]] = []
        try:
            while (message := self._inbox.take()) is not None:
                whole.append(message)
        except ChannelBroken:
            for _, fds in whole:
                descriptors.close_all(fds)
            raise
        return whole


OnMessage = Callable[[bytes, list[int]], None]
OnClose = Callable[[], None]


class AsyncChannel:
    """The end in an event loop. `send` never waits; a peer that does not read costs at most `limit` bytes."""

    def __init__(self, link: socket.socket, *, limit: int = 64 << 20) -> None:
        link.setblocking(False)
        self._link = link
        self._inbox = _Inbox()
        self._out: deque[tuple[memoryview, list[int]]] = deque()
        self._waiting = 0
        self._limit = limit
        self._on_message: OnMessage | None = None
        self._on_close: OnClose | None = None
        self.is_closed = False

    def start(self, on_message: OnMessage, on_close: OnClose) -> None:
        """Hand over each message as it comes, and tell once when the peer is gone or broke the rules."""
        self._on_message, self._on_close = on_message, on_close
        asyncio.get_running_loop().add_reader(self._link.fileno(), self._read)

    def send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Queue one message. The descriptors are duplicated: the caller keeps its own. Nothing happens once closed."""
        if self.is_closed:
            return
        data = memoryview(_HEADER.pack(len(message), len(fds)) + message)
        self._waiting += len(data)
        if self._waiting > self._limit:
            self.close()
            return
        self._out.append((data, [os.dup(fd) for fd in fds]))
        self._write()

    def finish(self) -> None:
        """The peer is dead: hand over what it wrote before, then close."""
        while self._read():
            pass
        self.close()

    def close(self) -> None:
        """Close our end; `on_close` is told once."""
        if self.is_closed:
            return
        self.is_closed = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._link.fileno())
        loop.remove_writer(self._link.fileno())
        for _, fds in self._out:
            descriptors.close_all(fds)
        self._out.clear()
        self._inbox.close()
        self._link.close()
        if self._on_close is not None:
            self._on_close()

    def _read(self) -> bool:
        """Read once; was there anything?"""
        if self.is_closed:
            return False
        try:
            data, found = descriptors.receive(self._link, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data, found = b"", []
        if not data:
            self.close()
            return False
        self._inbox.add(data, found)
        try:
            while not self.is_closed and (whole := self._inbox.take()) is not None:
                if self._on_message is not None:
                    self._on_message(*whole)
        except ChannelBroken:
            self.close()
        return not self.is_closed

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._out:
            data, fds = self._out[0]
            try:
                sent = descriptors.send(self._link, [data], fds)
            except (BlockingIOError, InterruptedError):
                loop.add_writer(self._link.fileno(), self._write)
                return
            except OSError:
                self.close()
                return
            descriptors.close_all(fds)
            self._waiting -= sent
            if sent == len(data):
                self._out.popleft()
            else:
                self._out[0] = (data[sent:], [])
        loop.remove_writer(self._link.fileno())
