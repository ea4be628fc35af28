"""The shared page: slots tell what user code has seen, counters are never seen half made, a full page says so."""

import mmap
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.kit import memory
from athena_serving.wire import page
from athena_serving.wire.page import FULL, Page, Running

SLOTS = 8


def made(size: int = 1 << 16, slots: int = SLOTS) -> Page:
    """An empty page in memory of our own."""
    one = Page(memoryview(bytearray(size)))
    one.format(slots)
    return one


def pair(size: int = 1 << 16) -> tuple[Page, Page]:
    """A writer and a reader of the same page."""
    shared = bytearray(size)
    Page(memoryview(shared)).format(SLOTS)
    return Page(memoryview(shared)), Page(memoryview(shared))


# ── slots ─────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(0, 2**63)), max_size=20))
def test_slots_tell_who_is_there(moves: list[tuple[int, int]]) -> None:
    """A reader sees exactly the calls that stand in slots, with their times."""
    writer, reader = pair()
    there: dict[int, int] = {}
    for slot, stream in moves:
        if there.get(slot) == stream:
            writer.clear_slot(slot, stream)
            del there[slot]
        else:
            writer.set_slot(slot, stream, started=1.5, expires=2.5)
            there[slot] = stream
    assert reader.running() == [Running(there[slot], 1.5, 2.5) for slot in sorted(there)]
    for slot, stream in moves:
        assert reader.has_seen(slot, stream) == (there.get(slot) == stream)


def test_stream_zero_is_a_stream() -> None:
    """A free slot and stream 0 are not the same."""
    writer, reader = pair()
    assert not reader.has_seen(0, 0)
    writer.set_slot(0, 0, 0.0, 0.0)
    assert reader.has_seen(0, 0)


def test_slot_that_has_passed_to_another_call_is_not_cleared() -> None:
    """A door may reuse a slot as soon as it has the answer, which can be before the worker clears it."""
    writer, reader = pair()
    writer.set_slot(3, 7, 0.0, 0.0)
    writer.set_slot(3, 8, 0.0, 0.0)
    writer.clear_slot(3, 7)
    assert reader.has_seen(3, 8)


def test_slots_and_counters_do_not_touch() -> None:
    """The last slot ends where the first counter begins."""
    writer, reader = pair()
    before = list(reader.counters())
    writer.set_slot(SLOTS - 1, 2**63, 1e300, 1e300)
    assert list(reader.counters()) == before


# ── counters ──────────────────────────────────────────────────────────────────────────────────────


@given(st.dictionaries(st.text(min_size=1, max_size=40), st.floats(0, 1e9), max_size=20))
def test_counters_come_out_by_name(values: dict[str, float]) -> None:
    """Names of any length and script, each with its value."""
    writer, reader = pair()
    for name, value in values.items():
        writer.values[writer.counter(name)] += value
    assert dict(reader.counters()) == {FULL: 0.0, **values}


def test_counter_keeps_its_place() -> None:
    """Asked for twice it is the same; a hot path may keep the index."""
    one = made()
    index = one.counter("calls")
    one.counter("others")
    assert one.counter("calls") == index


def test_full_page_counts_what_it_refuses() -> None:
    """A name that finds no room counts under one that always has; what was there before goes on."""
    one = made(size=1024)
    names = [f"counter_{number}" for number in range(100)]
    for name in names:
        one.values[one.counter(name)] += 1.0
    found = dict(one.counters())
    assert found[FULL] == len(names) - (len(found) - 1)
    assert found["counter_0"] == 1.0


def test_full_page_is_told_from_any_view() -> None:
    """The process that writes is not the one that made the page."""
    shared = bytearray(512)
    Page(memoryview(shared)).format(SLOTS)
    writer = Page(memoryview(shared))
    for number in range(50):
        writer.values[writer.counter(f"counter_{number}")] += 1.0
    found = dict(Page(memoryview(shared)).counters())
    assert found[FULL] + len(found) - 1 == 50


def test_reader_never_sees_half_an_entry() -> None:
    """While another thread makes counters, every name that a reader sees is whole, and none is lost."""
    writer, reader = pair(1 << 20)
    names = {f"athena_{number}_total" * (1 + number % 5) for number in range(2000)}
    done = threading.Event()

    def write() -> None:
        for name in names:
            writer.values[writer.counter(name)] += 1.0
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert {name for name, _ in reader.counters()} <= names | {FULL}
    thread.join()
    assert {name for name, value in reader.counters() if value == 1.0} == names


def test_page_outlives_its_writer() -> None:
    """What a process wrote before `kill -9` is there: a slot, and a counter."""
    descriptor = memory.anonymous("page", page.SIZE)
    with mmap.mmap(descriptor, page.SIZE) as shared:
        reader = Page(memoryview(shared))
        reader.format(SLOTS)
        code = (
            "import mmap, os, signal, sys; from athena_serving.wire.page import Page, SIZE\n"
            "one = Page(memoryview(mmap.mmap(int(sys.argv[1]), SIZE)))\n"
            "one.set_slot(2, 41, 1.0, 2.0); one.values[one.counter('calls')] += 3.0\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        ended = subprocess.run([sys.executable, "-c", code, str(descriptor)], pass_fds=[descriptor], check=False)
        assert ended.returncode == -9
        assert reader.running() == [Running(41, 1.0, 2.0)]
        assert dict(reader.counters())["calls"] == 3.0
        release(reader)


def release(one: Page) -> None:
    """Let go of the memory, so that it can be unmapped."""
    for view in (one._words, one._values, one._bytes):
        view.release()


# ── what is no page ───────────────────────────────────────────────────────────────────────────────


def test_other_memory_is_no_page() -> None:
    """Zeroes, or the page of another version, are refused."""
    with pytest.raises(ValueError, match="not a page"):
        Page(memoryview(bytearray(4096))).running()


def test_page_with_more_slots_than_room_is_refused() -> None:
    """A damaged header does not send the reader beyond the end."""
    one = made()
    one._words[1] = 2**60
    with pytest.raises(ValueError, match="slots"):
        one.running()


@given(st.lists(st.tuples(st.integers(3, 127), st.integers(0, 2**64 - 1)), max_size=10))
def test_damaged_counters_end_the_list(damage: list[tuple[int, int]]) -> None:
    """User code's C libraries can write anywhere in their process; the reader in ours must not fall over it."""
    one = made(size=1024)
    one.values[one.counter("calls")] += 1.0
    for place, value in [(2, 900), *damage]:
        one._words[place] = value
    assert all(isinstance(name, str) for name, _ in one.counters())
    one.running()
