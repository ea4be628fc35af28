"""Shared memory: blocks are bounded, reused only once free, and what a peer passes is not trusted."""

import mmap
import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athena_serving.kit import memory
from athena_serving.kit.memory import HEADER, SMALLEST, Pool, Refused, Shelf
from tests.kit.descriptors import open_descriptors

COUNT = 3
LIMIT = 4 * SMALLEST


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A small pool."""
    one = Pool(count=COUNT, limit=LIMIT)
    yield one
    one.close()


def hand_over(placed: tuple[int, int | None] | None, shelf: Shelf) -> int:
    """Do what a link does between the two sides; the block's number."""
    assert placed is not None
    number, descriptor = placed
    if descriptor is not None:
        shelf.add(number, os.dup(descriptor))
    return number


def fill(pool: Pool, shelf: Shelf, size: int = 10) -> list[int]:
    """Hand over as many blocks as there are."""
    numbers = []
    while (placed := pool.put(bytes(size))) is not None:
        numbers.append(hand_over(placed, shelf))
    return numbers


def test_data_come_out_as_they_went_in(pool: Pool) -> None:
    """Of any kind of buffer; the descriptor is passed only the first time."""
    shelf = Shelf(count=COUNT)
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview")):
        number = hand_over(pool.put(data), shelf)
        assert shelf.take(number, len(data)) == bytes(data)
    placed = pool.put(b"known")
    assert placed is not None
    assert placed[1] is None


def test_block_is_not_reused_before_it_is_free(pool: Pool) -> None:
    """Whoever reads keeps the block; whatever is put meanwhile goes elsewhere."""
    shelf = Shelf(count=COUNT)
    first = hand_over(pool.put(b"first"), shelf)
    with shelf.view(first, 5) as view:
        second = hand_over(pool.put(b"second"), shelf)
        assert second != first
        assert bytes(view) == b"first"
    shelf.free(first)
    assert hand_over(pool.put(b"third"), shelf) == first


def test_pool_is_bounded_in_blocks(pool: Pool) -> None:
    """When the reader has them all there is none: the data must go another way."""
    shelf = Shelf(count=COUNT)
    assert len(fill(pool, shelf)) == COUNT
    shelf.free(1)
    assert hand_over(pool.put(b"again"), shelf) == 1


def test_pool_is_bounded_in_bytes(pool: Pool) -> None:
    """One block may take all there is; none may take more."""
    shelf = Shelf(count=COUNT)
    assert pool.put(bytes(LIMIT + 1)) is None
    hand_over(pool.put(bytes(LIMIT)), shelf)
    assert pool.put(b"no room beside it") is None


def test_too_small_blocks_make_room(pool: Pool) -> None:
    """Free ones are given up for a larger one, which takes the number of one of them."""
    shelf = Shelf(count=COUNT)
    for number in fill(pool, shelf):
        shelf.free(number)
    big = bytes(range(256)) * (LIMIT // 256)
    number = hand_over(pool.put(big), shelf)
    assert shelf.take(number, LIMIT) == big


def test_replaced_number_means_the_new_block(pool: Pool) -> None:
    """A view of the block that had the number before still shows what it showed."""
    shelf = Shelf(count=COUNT)
    number = hand_over(pool.put(b"old"), shelf)
    fill(pool, shelf)
    view = shelf.view(number, 3)
    shelf.free(number)
    assert hand_over(pool.put(bytes(SMALLEST * 2)), shelf) == number
    assert bytes(view) == b"old"
    assert shelf.take(number, 1) == b"\0"


def test_smallest_block_that_fits_is_taken(pool: Pool) -> None:
    """A small datum does not occupy the one large block."""
    shelf = Shelf(count=COUNT)
    large = hand_over(pool.put(bytes(SMALLEST * 2)), shelf)
    small = hand_over(pool.put(b"x"), shelf)
    shelf.free(large)
    shelf.free(small)
    assert hand_over(pool.put(b"y"), shelf) == small


def test_block_can_be_taken_back(pool: Pool) -> None:
    """What was put and is not sent after all does not cost the pool a block."""
    placed = pool.put(b"never sent")
    assert placed is not None
    pool.take_back(placed[0])
    assert pool.put(b"again") == (placed[0], None)
    pool.take_back(-1)
    pool.take_back(COUNT)


@settings(max_examples=40)
@given(st.lists(st.one_of(st.integers(0, SMALLEST * 3), st.none()), max_size=25))
def test_reader_always_gets_what_was_put(steps: list[int | None]) -> None:
    """Any order of puts of any size and of takes: nothing is ever overwritten, bounds hold, all comes back."""
    pool, shelf = Pool(count=COUNT, limit=LIMIT), Shelf(count=COUNT)
    out: list[tuple[int, bytes]] = []
    for step in steps:
        if step is None:
            if out:
                number, data = out.pop(0)
                assert shelf.take(number, len(data)) == data
            continue
        data = os.urandom(8) + bytes(step)
        placed = pool.put(data)
        if placed is not None:
            out.append((hand_over(placed, shelf), data))
        held = [block.capacity for block in pool._blocks if block is not None]
        assert len(out) <= COUNT
        assert sum(held) <= LIMIT
    for number, data in out:
        assert shelf.take(number, len(data)) == data
    pool.close()


def test_closed_pool_keeps_nothing(pool: Pool) -> None:
    """A reader's own mapping lives on."""
    shelf = Shelf(count=COUNT)
    before = open_descriptors()
    number = hand_over(pool.put(b"kept"), shelf)
    pool.close()
    assert open_descriptors() == before + 1  # the reader's mapping has one of its own
    assert shelf.take(number, 4) == b"kept"


def test_block_that_cannot_be_made_is_no_failure(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memfd the pool gives none, and says why."""
    monkeypatch.delattr(os, "memfd_create")
    assert pool.put(b"x") is None
    assert "memfd_create" in str(pool.error)


# ── what a peer passes ────────────────────────────────────────────────────────────────────────────


def unsealed() -> int:
    """A block that its owner could shrink under our hands."""
    descriptor = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, HEADER + 100)
    return descriptor


def test_memory_of_ours_is_sealed() -> None:
    """Nobody can change its size, nor lift the seals."""
    descriptor = memory.anonymous("block", 4096)
    with memory.mapped(descriptor, size=4096):
        for size in (100, 8192):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)
    os.close(descriptor)


def test_memory_that_cannot_be_had_leaves_nothing_open() -> None:
    """A size that the kernel refuses costs no descriptor."""
    before = open_descriptors()
    with pytest.raises(OSError, match="Invalid argument"):
        memory.anonymous("block", -1)
    assert open_descriptors() == before


@pytest.mark.parametrize("kind", ["unsealed", "empty", "pipe", "read-only", "endless"])
def test_descriptor_that_is_no_sealed_memory_is_refused(kind: str) -> None:
    """Whatever it is, the reader raises `Refused`, and the descriptor is closed."""
    before = open_descriptors()
    shelf = Shelf(count=COUNT)
    with pytest.raises(Refused):
        shelf.add(0, passed(kind))
    assert open_descriptors() == before
    with pytest.raises(Refused):
        shelf.view(0, 1)


def passed(kind: str) -> int:
    """A descriptor that a peer of ours would not pass."""
    if kind == "unsealed":
        return unsealed()
    if kind == "empty":
        return memory.anonymous("empty", 0)
    if kind == "endless":
        return memory.anonymous("endless", 2**62)
    if kind == "read-only":
        sealed = memory.anonymous("read-only", 4096)
        opened = os.open(f"/proc/self/fd/{sealed}", os.O_RDONLY)
        os.close(sealed)
        return opened
    end, other = os.pipe()
    os.close(other)
    return end


def test_memory_of_another_size_is_refused() -> None:
    """A page has one size."""
    descriptor = memory.anonymous("page", 4096)
    with pytest.raises(Refused, match="4096 bytes of shared memory instead of 8192"):
        memory.mapped(descriptor, size=8192)
    os.close(descriptor)


@pytest.mark.parametrize("number", [-1, COUNT])
def test_number_that_there_is_not_is_refused(number: int) -> None:
    """Block numbers are bounded on both sides."""
    shelf = Shelf(count=COUNT)
    with pytest.raises(Refused, match=f"block {number} of {COUNT}"):
        shelf.add(number, memory.anonymous("block", 4096))
    with pytest.raises(Refused, match="which is not here"):
        shelf.take(number, 1)


@pytest.mark.parametrize("size", [-1, 101])
def test_more_than_a_block_holds_is_refused(pool: Pool, size: int) -> None:
    """A size that a peer says is compared with what is there."""
    shelf = Shelf(count=COUNT)
    shelf.add(0, memory.anonymous("block", HEADER + 100))
    with pytest.raises(Refused):
        shelf.view(0, size)


def test_block_that_was_never_here_may_be_freed() -> None:
    """Nothing happens."""
    Shelf(count=COUNT).free(0)


def test_block_is_the_writers_again_only_by_its_flag(pool: Pool) -> None:
    """The owner flag stands before the data, which it does not touch."""
    placed = pool.put(b"data")
    assert placed is not None
    assert placed[1] is not None
    with mmap.mmap(placed[1], HEADER + 4) as block:
        assert (block[0], block[HEADER : HEADER + 4]) == (1, b"data")
