"""A worker's end of its links to one door: frames in, replies out."""

import contextlib
import errno
import logging
import os
import socket
import threading
from collections import deque
from typing import Final

from athena_serving.errors import OnceFailed
from athena_serving.kit import descriptors
from athena_serving.kit.memory import Pool, Refused, Shelf
from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Buffer, Frame, Kind, Load
from athena_serving.wire.messages import Reply

log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 18
DESCRIPTORS_LOST: Final = 71
"""Exit code of a worker whose descriptors user code has closed (EX_OSERR of sysexits.h)."""
BIG: Final = 1 << 16
"""Bytes from which a piece goes by shared memory: below it a socket is as fast."""
_AT_ONCE: Final = 512
"""Buffers in one system call; Linux takes 1,024."""


class DoorLink:
    """One door. The engine's thread receives; whoever has an answer sends."""

    def __init__(self, door: int, data: socket.socket, side: socket.socket, *, max_frame: int) -> None:
        self.door = door
        self.data = data
        self.side = side
        self.newest = 0
        """Number of the newest stream that was read; streams only grow."""
        self.revoked: set[int] = set()
        """Streams dropped before they were read."""
        self.guard = threading.Lock()
        """Held to look at or change what was read and what was dropped, so that a call is only one of the two."""
        self.is_closed = False
        self._max_frame = max_frame
        self._splitter = frames.Splitter(max_frame=max_frame)
        self._side_splitter = frames.Splitter(max_frame=1 << 16)
        self._shelf = Shelf()
        self._pool = Pool()
        self._has_warned = False
        self._arrived: deque[int] = deque()
        self._lock = threading.Lock()
        self._side_lock = threading.Lock()

    def receive(self) -> list[Frame] | None:
        """Read once: the frames that are whole; None when the door is gone. Raises `BadFrame`."""
        try:
            chunk, found = descriptors.receive(self.data, _CHUNK)
        except ConnectionError:
            return None
        except OSError as error:
            raise BadFrame(str(error)) from error
        if not chunk:
            return None
        self._arrived.extend(found)
        return [frame for frame in self._splitter.feed(chunk) if not self._is_share(frame)]

    def take_block(self, number: int, size: int) -> bytes:
        """A piece's data out of shared memory, as bytes of our own. Raises `BadFrame`."""
        try:
            return self._shelf.take(number, size)
        except Refused as error:
            raise BadFrame(str(error)) from error

    def receive_side(self) -> list[Frame] | None:
        """Read the side link once; None when the door is gone. Raises `BadFrame`."""
        try:
            chunk = self.side.recv(1 << 16)
        except ConnectionError:
            return None
        return self._side_splitter.feed(chunk) if chunk else None

    def send(self, stream: int, reply: Reply, load: Load) -> None:
        """Write one step of an answer; a door that is gone wants none."""
        with self._lock:
            if self.is_closed:
                return
            out, fds, blocks = self._place(reply)
            step = frames.step(stream, reply, load, blocks=blocks)
            size = sum(map(len, step))
            if size > self._max_frame:
                for number in blocks:
                    self._pool.take_back(number)
                step = frames.step(stream, _too_large(size, self._max_frame), load)
            try:
                self._write(out + step, fds)
            except OSError as error:
                if error.errno == errno.EBADF:
                    # User code closed our descriptors. The call is seen and its answer lost: its slot stays set, so
                    # that the door says so instead of running it again.
                    os._exit(DESCRIPTORS_LOST)
                self.is_closed = True
                with contextlib.suppress(OSError):
                    self.data.shutdown(socket.SHUT_RDWR)  # whoever reads it, here and there, learns that it is over

    def send_side(self, frame: bytes) -> None:
        """Write a frame on the side link; a door that is gone wants none."""
        with self._side_lock:
            try:
                self.side.sendall(frame)
            except OSError:
                self.is_closed = True

    def close(self) -> None:
        """Let go of the data link and its memory. The side link is closed by the thread that reads it."""
        with self._lock:
            self.is_closed = True
            self._pool.close()
            self.data.close()
            descriptors.close_all(self._arrived)
            self._arrived.clear()

    def _is_share(self, frame: Frame) -> bool:
        if frame.kind != Kind.SHARE:
            return False
        if not self._arrived:
            raise BadFrame("a shared block without its descriptor")
        try:
            self._shelf.add(frame.stream, self._arrived.popleft())
        except Refused as error:
            raise BadFrame(str(error)) from error
        return True

    def _place(self, reply: Reply) -> tuple[list[Buffer], list[int], list[int]]:
        """Put big data into blocks where there is room: SHARE frames, their descriptors, the block of each piece."""
        out: list[Buffer] = []
        fds: list[int] = []
        blocks: list[int] = []
        for piece in reply.pieces:
            placed = self._pool.put(piece.data) if len(piece.data) >= BIG else None
            if placed is None:
                blocks.append(frames.INLINE)
                self._warn_once()
                continue
            blocks.append(placed[0])
            if placed[1] is not None:
                out.append(frames.signal(Kind.SHARE, placed[0]))
                fds.append(placed[1])
        return out, fds, blocks

    def _warn_once(self) -> None:
        if self._pool.error is not None and not self._has_warned:
            self._has_warned = True
            log.warning("no shared memory for answers, they go through the socket, slower: %s", self._pool.error)

    def _write(self, out: list[Buffer], fds: list[int]) -> None:
        for start in range(0, len(out), _AT_ONCE):
            parts = out[start : start + _AT_ONCE]
            sent = descriptors.send(self.data, parts, fds if start == 0 else ())
            for part in parts:
                if sent >= len(part):
                    sent -= len(part)
                    continue
                self.data.sendall(memoryview(part)[sent:])
                sent = 0


def _too_large(size: int, limit: int) -> Reply:
    help_text = "fewer or smaller outputs, or a larger server.limits.body"
    return Reply(code=OnceFailed.code, message=f"the answer has {size} bytes, the limit is {limit}: {help_text}")
