"""Anonymous shared memory: blocks that hand big data to another process without passing them through a socket.

A block is a memfd: it has no name, so nothing is left behind whatever dies. The writer owns a small pool; it copies
data into a free block and tells the reader the block's number (and, the first time, hands over the descriptor). The
block's first byte says who has it: the writer sets it to 1 when it hands the block over, the reader to 0 when it is
done. Blocks are sealed against shrinking, so that a peer cannot make our read fault.

Where memfd does not exist the pool gives no block, and the caller sends the data some other way.
"""

import fcntl
import mmap
import os
from typing import Final

from athena_serving.kit import descriptors

HEADER: Final = 64
"""Bytes before a block's data; the first is the owner flag."""
SMALLEST: Final = 1 << 18
"""Bytes of the smallest block."""

_F_ADD_SEALS: Final = 1033
_F_GET_SEALS: Final = 1034
_SEAL_SHRINK: Final = 0x2
_SEAL_GROW: Final = 0x4
_SEALS: Final = 0x1 | _SEAL_SHRINK | _SEAL_GROW


class Refused(Exception):
    """A descriptor that a peer passed is not a sealed block of the size it says."""


def anonymous(name: str, size: int) -> int:
    """A descriptor of `size` bytes of zeroes, sealed against a change of size. Raises `OSError` where there is none."""
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no memfd_create")
    descriptor = descriptors.above_standard(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    try:
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, _F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def mapped(descriptor: int, *, size: int | None = None) -> mmap.mmap:
    """Map a descriptor that a peer may have made. Raises `Refused` unless it is sealed, and of `size` if given."""
    try:
        actual = os.fstat(descriptor).st_size
        if size is not None and actual != size:
            raise Refused(f"{actual} bytes of shared memory instead of {size}")
        if not fcntl.fcntl(descriptor, _F_GET_SEALS) & _SEAL_SHRINK:
            raise Refused("shared memory that its owner could shrink")
        return mmap.mmap(descriptor, actual)
    except (OSError, ValueError) as error:  # no memfd at all, one that is empty, or larger than we can map
        raise Refused(f"a descriptor that is no shared memory: {error}") from error


class _Block:
    def __init__(self, number: int, capacity: int) -> None:
        self.number = number
        self.capacity = capacity
        self.descriptor = anonymous("block", HEADER + capacity)
        self.map = mmap.mmap(self.descriptor, HEADER + capacity)
        self.is_known = False

    @property
    def is_free(self) -> bool:
        return self.map[0] == 0

    def close(self) -> None:
        self.map.close()
        os.close(self.descriptor)


class Pool:
    """The writer's blocks on one link: at most `count`, of at most `limit` bytes together."""

    def __init__(self, *, count: int = 8, limit: int = 256 << 20) -> None:
        self._count = count
        self._limit = limit
        self._blocks: list[_Block | None] = [None] * count
        self._held = 0
        self.error: OSError | None = None
        """Why the last new block could not be made."""

    def put(self, data: bytes | bytearray | memoryview) -> tuple[int, int | None] | None:
        """Copy data into a free block.

        Gives the block's number, and its descriptor if the reader does not know it yet (stays ours, pass it on). None
        when every block is with the reader or there is no room: send the data another way.
        """
        block = self._find(len(data))
        if block is None:
            return None
        block.map[HEADER : HEADER + len(data)] = bytes(data) if isinstance(data, bytearray) else data
        block.map[0] = 1
        if block.is_known:
            return block.number, None
        block.is_known = True
        return block.number, block.descriptor

    def take_back(self, number: int) -> None:
        """A block that was put will not be handed over after all; a number that is none is ignored."""
        block = self._blocks[number] if 0 <= number < len(self._blocks) else None
        if block is not None:
            block.map[0] = 0

    def close(self) -> None:
        """Let go of every block; a reader that still has one keeps its own mapping."""
        for block in self._blocks:
            if block is not None:
                block.close()
        self._blocks = [None] * self._count
        self._held = 0

    def _find(self, size: int) -> _Block | None:
        best: _Block | None = None
        for block in self._blocks:
            fits = block is not None and block.capacity >= size and block.is_free
            if fits and block is not None and (best is None or block.capacity < best.capacity):
                best = block
        return best if best is not None else self._make(size)

    def _make(self, size: int) -> _Block | None:
        capacity = max(SMALLEST, 1 << (size - 1).bit_length())
        number = self._room(capacity)
        if number is None:
            return None
        try:
            block = _Block(number, capacity)
        except OSError as error:
            self.error = error
            return None
        self._blocks[number] = block
        self._held += capacity
        return block

    def _room(self, capacity: int) -> int | None:
        """Number for a new block; free ones that are too small make room, smallest first."""
        if capacity > self._limit:
            return None
        free = [block for block in self._blocks if block is not None and block.is_free and block.capacity < capacity]
        free.sort(key=lambda block: block.capacity)
        while self._held + capacity > self._limit or None not in self._blocks:
            if not free:
                return None
            block = free.pop(0)
            block.close()
            self._blocks[block.number] = None
            self._held -= block.capacity
        return self._blocks.index(None)


class Shelf:
    """The reader's side of a peer's pool: blocks by number."""

    def __init__(self, *, count: int = 8) -> None:
        self._maps: list[mmap.mmap | None] = [None] * count

    def add(self, number: int, descriptor: int) -> None:
        """The peer handed over block `number`; the descriptor is closed here. Raises `Refused`."""
        try:
            block = mapped(descriptor)
        finally:
            os.close(descriptor)
        if not 0 <= number < len(self._maps):
            raise Refused(f"block {number} of {len(self._maps)}")
        self._maps[number] = block

    def view(self, number: int, size: int) -> memoryview:
        """The block's first `size` bytes, valid until `free`. Raises `Refused`."""
        block = self._maps[number] if 0 <= number < len(self._maps) else None
        if block is None or not 0 <= size <= len(block) - HEADER:
            raise Refused(f"{size} bytes of block {number}, which is not here")
        return memoryview(block)[HEADER : HEADER + size]

    def free(self, number: int) -> None:
        """Done reading: the block is the writer's again."""
        block = self._maps[number]
        if block is not None:
            block[0] = 0

    def take(self, number: int, size: int) -> bytes:
        """A copy of the block's first `size` bytes; the block is the writer's again. Raises `Refused`."""
        with self.view(number, size) as view:
            data = bytes(view)
        self.free(number)
        return data
