"""A door's end of its links to one worker: frames out, replies in, on an event loop.

Frames that are written in one turn of the loop leave in one system call.
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from athena_serving.kit import descriptors
from athena_serving.kit.memory import Pool, Refused, Shelf
from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Buffer, Frame, Kind
from athena_serving.wire.messages import Call, Piece, Step

log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 18
_AT_ONCE: Final = 512
"""Buffers in one system call; Linux takes 1,024."""
BIG: Final = 1 << 16
"""Bytes from which a piece goes by shared memory: below it a socket is as fast."""


class Receiver(Protocol):
    """Who is told what the worker says."""

    def on_frame(self, frame: Frame) -> None:
        """A PIECE, END, DROPPED or CREDIT frame. Raises `BadFrame` if it makes no sense."""

    def on_lost(self, *, is_broken: bool) -> None:
        """The worker is gone; everything it wrote before has been handed over. Told once.

        `is_broken`: it wrote what is no frame, and may live; what its page says need not be its last word.
        """


class WorkerLink:
    """One worker's data and side link."""

    def __init__(self, data: socket.socket, side: socket.socket, receiver: Receiver, *, max_frame: int) -> None:
        data.setblocking(False)
        side.setblocking(False)
        self._data = data
        self._side = side
        self._receiver = receiver
        self._splitter = frames.Splitter(max_frame=max_frame)
        self._side_splitter = frames.Splitter(max_frame=1 << 16)
        self._loop = asyncio.get_running_loop()
        self._out: deque[Buffer] = deque()
        self._out_fds: list[int] = []
        self._side_out = bytearray()
        self._is_scheduled = False
        self._is_side_scheduled = False
        self._is_blocked = False
        self._has_warned = False
        self._pool = Pool()
        self._shelf = Shelf()
        self._arrived: deque[int] = deque()
        self._is_broken = False
        self.is_closed = False

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._data.fileno(), self._read)
        self._loop.add_reader(self._side.fileno(), self._read_side)

    def begin(self, stream: int, slot: int, call: Call, *, at_once: bool = False) -> None:
        """Send a call: at once to a worker that waits for it, else with what else is sent in this turn of the loop."""
        blocks = self._place(call.pieces)
        # Not the loop's clock, which stands still for a turn: a deadline would be late by as much.
        self._out += frames.begin(stream, slot, call, now=time.monotonic(), blocks=blocks)
        self._leave(at_once=at_once)

    def give(self, stream: int, step: Step) -> None:
        """Send a session's next step. It may wait in memory for the socket: who sends is bounded by credit."""
        if self.is_closed:
            return
        blocks = self._place(step.pieces)
        self._out += frames.given(stream, step, blocks=blocks)
        self._leave(at_once=False)

    def credit(self, stream: int, steps: int) -> None:
        """Let the worker send so many steps more."""
        if self.is_closed:
            return
        self._side_out += frames.credit(stream, steps)
        if not self._is_side_scheduled:  # those of one turn of the loop leave together
            self._is_side_scheduled = True
            self._loop.call_soon(self._flush_side)

    def cancel(self, stream: int, reason: str) -> None:
        """Tell the worker that nobody waits for this call."""
        if self.is_closed:
            return
        self._side_out += frames.cancel(stream, reason)
        self._write_side()

    def take_block(self, number: int, size: int) -> bytes:
        """A copy of a piece that stands in shared memory; the block is the worker's again. Raises `BadFrame`."""
        try:
            return self._shelf.take(number, size)
        except Refused as error:
            raise BadFrame(str(error)) from error

    def close(self) -> None:
        """Let go of the worker; the receiver is told."""
        if self.is_closed:
            return
        self.is_closed = True
        for link in (self._data, self._side):
            self._loop.remove_reader(link.fileno())
            self._loop.remove_writer(link.fileno())
            link.close()
        self._pool.close()
        descriptors.close_all(self._arrived)
        self._arrived.clear()
        self._receiver.on_lost(is_broken=self._is_broken)

    # ── out ───────────────────────────────────────────────────────────────────────────────────────

    def _leave(self, *, at_once: bool) -> None:
        if at_once and not self._is_blocked:
            self._write()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _place(self, pieces: Sequence[Piece]) -> list[int]:
        """Put big pieces into shared memory where there is room; the block of each piece, if there are any."""
        blocks: list[int] = []
        for piece in pieces:
            if len(piece.data) >= BIG:
                break
        else:
            return blocks
        for piece in pieces:
            placed = self._pool.put(piece.data) if len(piece.data) >= BIG else None
            if placed is None:
                blocks.append(frames.INLINE)
                self._warn_once()
                continue
            number, descriptor = placed
            blocks.append(number)
            if descriptor is not None:
                self._out.append(frames.signal(Kind.SHARE, number))
                self._out_fds.append(descriptor)
        return blocks

    def _warn_once(self) -> None:
        if self._pool.error is not None and not self._has_warned:
            self._has_warned = True
            log.warning("no shared memory for requests, they go through the socket, slower: %s", self._pool.error)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._is_blocked or self.is_closed:
            return
        self._write()

    def _write(self) -> None:
        out = self._out
        while out:
            parts = [out.popleft() for _ in range(min(len(out), _AT_ONCE))]
            # Descriptors go with the first byte: they may come before the SHARE frames they belong to, never after.
            fds, self._out_fds = (
                self._out_fds[: descriptors.MAX_DESCRIPTORS],
                self._out_fds[descriptors.MAX_DESCRIPTORS :],
            )
            try:
                sent = descriptors.send(self._data, parts, fds)
            except (BlockingIOError, InterruptedError):
                sent, self._out_fds = 0, fds + self._out_fds
            except OSError:
                self._lose()
                return
            rest = _after(parts, sent)
            if rest:
                out.extendleft(reversed(rest))
                if not self._is_blocked:
                    self._is_blocked = True
                    self._loop.add_writer(self._data.fileno(), self._write)
                return
        if self._is_blocked:
            self._is_blocked = False
            self._loop.remove_writer(self._data.fileno())

    def _flush_side(self) -> None:
        self._is_side_scheduled = False
        if not self.is_closed and self._side_out:
            self._write_side()

    def _write_side(self) -> None:
        try:
            sent = self._side.send(self._side_out)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._lose()
            return
        del self._side_out[:sent]
        if self._side_out:
            self._loop.add_writer(self._side.fileno(), self._write_side)
        else:
            self._loop.remove_writer(self._side.fileno())

    # ── in ────────────────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        self._guarded(self._take)

    def _read_side(self) -> None:
        self._guarded(self._take_side)

    def _guarded(self, take: Callable[[], bool]) -> None:
        try:
            if take():
                return
        except (BlockingIOError, InterruptedError):
            return
        except BadFrame as error:
            log.error("a worker sent a bad frame: %s", error)  # noqa: TRY400  # its fault, not a bug with a traceback
            self._is_broken = True
            self.close()  # what comes after it would be read from the middle of something
            return
        except OSError as error:
            log.debug("a worker's link broke: %s", error)
        self._lose()

    def _lose(self) -> None:
        """The worker is gone: hand over what it wrote before, then close."""
        try:
            while self._take():
                pass
        except (OSError, BadFrame):  # nothing more, or the end was cut in the middle of a frame
            pass
        self.close()

    def _take(self) -> bool:
        chunk, found = descriptors.receive(self._data, _CHUNK)
        self._arrived.extend(found)
        if not chunk:
            return False
        for frame in self._splitter.feed(chunk):
            if frame.kind == Kind.SHARE:
                self._share(frame.stream)
            else:
                self._receiver.on_frame(frame)
        return True

    def _take_side(self) -> bool:
        chunk = self._side.recv(1 << 16)
        for frame in self._side_splitter.feed(chunk):
            self._receiver.on_frame(frame)
        return bool(chunk)

    def _share(self, number: int) -> None:
        if not self._arrived:
            raise BadFrame("a shared block without its descriptor")
        try:
            self._shelf.add(number, self._arrived.popleft())
        except Refused as error:
            raise BadFrame(str(error)) from error


def _after(parts: list[Buffer], sent: int) -> list[Buffer]:
    """What is left of buffers of which so many bytes were taken."""
    for index, part in enumerate(parts):
        if sent < len(part):
            rest: Buffer = memoryview(part)[sent:] if sent else part
            return [rest, *parts[index + 1 :]]
        sent -= len(part)
    return []
