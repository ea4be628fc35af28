"""A worker's end of its links to one door: frames in, replies out."""

import contextlib
import errno
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
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
TOGETHER: Final = 0.001
"""Seconds within which steps are written together."""
_MOST: Final = 256
"""Steps that may wait to be written."""
_TOGETHER_BYTES: Final = 1 << 18
"""Bytes of data in one frame of steps."""
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
        self._writing = threading.Lock()
        """Held to write: what is taken out first is written first."""
        self._steps: dict[int, list[Reply]] = {}
        """Steps that wait to be written, by stream; answers and last steps are in `_ends`."""
        self._ends: list[tuple[int, Reply, Load]] = []
        self._thens: list[Callable[[], None]] = []
        self._count = 0
        self._load = Load()
        self._written = 0.0
        """When steps were last written."""
        self._late = threading.Event()
        self._is_late = False
        """Has the flusher been woken, and not yet written?"""
        self._flusher: threading.Thread | None = None

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
        """Write an answer or its last step, and what waits to be written; a door that is gone wants none."""
        self.put(stream, reply, load)
        self.flush()

    def put(self, stream: int, reply: Reply, load: Load, *, then: Callable[[], None] | None = None) -> None:
        """Have an answer written by the next `flush`, with others; `then` is called when it is."""
        with self._lock:
            self._ends.append((stream, reply, load))
            if then is not None:
                self._thens.append(then)

    def flush_soon(self) -> None:
        """Have it all written by a thread of its own."""
        self._wake_flusher()

    def send_soon(self, stream: int, reply: Reply, load: Load) -> None:
        """Write a step that others follow: at once after a pause, else together with what comes within a moment.

        Steps that are made faster than that would each cost a system call, and the interpreter's lock twice.
        """
        with self._lock:
            waiting = self._steps.get(stream)
            if waiting is None:
                self._steps[stream] = [reply]
            else:
                waiting.append(reply)
            self._load = load
            self._count += 1
            now = time.monotonic()
            is_due = self._count >= _MOST or now - self._written > TOGETHER
            if is_due:
                self._written = now
            wakes = not is_due and not self._is_late
            self._is_late = self._is_late or wakes
        if is_due:
            self.flush()
        elif wakes:
            self._wake_flusher()

    def send_side(self, frame: bytes) -> None:
        """Write a frame on the side link; a door that is gone wants none."""
        with self._side_lock:
            try:
                self.side.sendall(frame)
            except OSError:
                self.is_closed = True

    def close(self) -> None:
        """Let go of the data link and its memory. The side link is closed by the thread that reads it."""
        with self._writing:
            self.is_closed = True
            self._late.set()  # the flusher has nothing to do any more
            self._pool.close()
            self.data.close()
            descriptors.close_all(self._arrived)
            self._arrived.clear()

    def _wake_flusher(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_late, name=f"steps to door {self.door}", daemon=True)
            self._flusher.start()
        self._late.set()

    def _flush_late(self) -> None:
        """A thread of its own writes what `send_soon` left, as soon as the interpreter lets it."""
        while not self.is_closed:
            self._late.wait()
            self._late.clear()
            self.flush()

    def flush(self) -> None:
        """Write all that waits: steps first, then ends, so that a stream's end comes after its steps."""
        with self._writing:
            with self._lock:  # held for a moment only: whoever makes steps must not wait for the socket
                steps, self._steps = self._steps, {}
                ends, self._ends = self._ends, []
                thens, self._thens = self._thens, []
                self._count, self._is_late = 0, False
                load = self._load
            if self.is_closed:
                return
            out: list[Buffer] = []
            fds: list[int] = []
            for stream, replies in steps.items():
                self._encode_steps(stream, replies, load, out, fds)
            for stream, reply, its_load in ends:
                self._encode(stream, reply, its_load, out, fds)
            if out:
                self._write_or_close(out, fds)
            for then in thens:
                then()

    def _encode_steps(self, stream: int, replies: list[Reply], load: Load, out: list[Buffer], fds: list[int]) -> None:
        """Small steps together, each big one in a frame of its own."""
        small: list[Reply] = []
        size = 0
        for reply in replies:
            its_size = sum([len(piece.data) for piece in reply.pieces])
            if its_size < BIG and size + its_size < _TOGETHER_BYTES:
                small.append(reply)
                size += its_size
                continue
            if small:
                out += frames.steps(stream, small, load)
            small, size = [], 0
            self._encode(stream, reply, load, out, fds)
        if len(small) == 1:
            out += frames.step(stream, small[0], load)
        elif small:
            out += frames.steps(stream, small, load)

    def _encode(self, stream: int, reply: Reply, load: Load, out: list[Buffer], fds: list[int]) -> None:
        shares, new, blocks = self._place(reply)
        step = frames.step(stream, reply, load, blocks=blocks)
        size = sum(map(len, step))
        if size > self._max_frame:
            for number in blocks:
                self._pool.take_back(number)
            step = frames.step(stream, _too_large(size, self._max_frame), load)
        out += shares
        out += step
        fds += new

    def _write_or_close(self, out: list[Buffer], fds: list[int]) -> None:
        try:
            self._write(out, fds)
        except OSError as error:
            if error.errno == errno.EBADF:
                # User code closed our descriptors. The call is seen and its answer lost: its slot stays set, so
                # that the door says so instead of running it again.
                os._exit(DESCRIPTORS_LOST)
            self.is_closed = True
            with contextlib.suppress(OSError):
                self.data.shutdown(socket.SHUT_RDWR)  # whoever reads it, here and there, learns that it is over

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
