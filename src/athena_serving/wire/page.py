"""The shared page: what a process leaves behind when it is killed.

An anonymous file of fixed size, made and kept by the supervisor, written by one process and read by others:

    u64 magic │ u64 slots │ u64 bytes of counters used │ … │ slots, 32 bytes each │ counters …

A *slot* stands for one call of the window. The worker sets it before user code sees the call and clears it after the
answer is written. So, after `kill -9`: a stream that stands in a slot had been seen by user code and is not repeated;
one that does not, was not. The supervisor reads from it which calls run for how long, without the worker's help.

    u64 stream + 1, 0 when free │ f64 started │ f64 expires │ u64 spare        times on the machine's monotonic clock

A *counter* is a name with labels, as metrics are written, and a number that its process adds to:

    u64 length of name │ name, filled up to 8 bytes │ f64 value

The writer makes an entry whole before it counts it as used, so a reader needs no lock. Each entry has one writer, and
a number is written by one aligned store.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

MAGIC: Final = 0x41544845_4E41_0001
SIZE: Final = 1 << 21
"""Bytes; only what is touched takes memory. Bounds how many counters a process can have."""

_SLOTS_AT: Final = 8
_SLOT: Final = 4
_WORD: Final = 8
FULL: Final = "athena_counters_refused_total"
"""Counts what had no room for an entry of its own."""


class Running(NamedTuple):
    """A call that user code has."""

    stream: int
    started: float
    expires: float


class Page:
    """A view of a page, for its writer or for a reader."""

    def __init__(self, memory: memoryview) -> None:
        self._words = memory.cast("B").cast("Q")
        self._values = memory.cast("B").cast("d")
        self._bytes = memory.cast("B")
        self._index: dict[str, int] = {}
        self.values = self._values
        """`values[counter(name)] += 1`: the hot path needs no call."""

    def format(self, slots: int) -> None:
        """Write an empty page's header. The supervisor does it, once."""
        self._words[1] = slots
        self._words[2] = 0
        self._words[0] = MAGIC
        self.counter(FULL)

    @property
    def slots(self) -> int:
        """Number of slots. Raises `ValueError` if this is no page."""
        if self._words[0] != MAGIC:
            raise ValueError("not a page of this version")
        slots = int(self._words[1])
        if _SLOTS_AT + slots * _SLOT > len(self._words):
            raise ValueError(f"a page of {len(self._words)} words with {slots} slots")
        return slots

    def set_slot(self, slot: int, stream: int, started: float, expires: float) -> None:
        """User code is about to see this call."""
        at = _SLOTS_AT + slot * _SLOT
        self._values[at + 1] = started
        self._values[at + 2] = expires
        self._words[at] = stream + 1

    def clear_slot(self, slot: int, stream: int) -> None:
        """The call's answer is written. Whoever reads it may give the slot to another call: that one keeps it."""
        at = _SLOTS_AT + slot * _SLOT
        if self._words[at] == stream + 1:  # no other thread comes between these two: the interpreter's lock is ours
            self._words[at] = 0

    def hasten(self, slot: int, stream: int, expires: float) -> None:
        """The call must end sooner than was said."""
        at = _SLOTS_AT + slot * _SLOT
        if self._words[at] == stream + 1:
            self._values[at + 2] = expires

    def has_seen(self, slot: int, stream: int) -> bool:
        """Had user code seen this call?"""
        return bool(self._words[_SLOTS_AT + slot * _SLOT] == stream + 1)

    def running(self) -> list[Running]:
        """The calls that user code has now."""
        calls = []
        for at in range(_SLOTS_AT, _SLOTS_AT + self.slots * _SLOT, _SLOT):
            stream = self._words[at]
            if stream:
                calls.append(Running(stream - 1, self._values[at + 1], self._values[at + 2]))
        return calls

    def counter(self, name: str) -> int:
        """Index into `values` of the counter with this name, made at 0 if there is none. Full: that of `FULL`."""
        index = self._index.get(name)
        if index is None:
            index = self._index[name] = self._make(name)
        return index

    def counters(self) -> Iterator[tuple[str, float]]:
        """Every counter with its value. Where a C library of user code's scribbled over the page, the list ends."""
        at = self._counters_at
        end = min(at + int(self._words[2]) // _WORD, len(self._words))
        while at < end:
            length = int(self._words[at])
            start = (at + 1) * _WORD
            at += 1 + -(-length // _WORD)
            if at >= end:
                return
            yield bytes(self._bytes[start : start + length]).decode(errors="replace"), float(self._values[at])
            at += 1

    @property
    def _counters_at(self) -> int:
        return _SLOTS_AT + self.slots * _SLOT

    def _make(self, name: str) -> int:
        encoded = name.encode()
        used = int(self._words[2])
        at = self._counters_at + used // _WORD
        value_at = at + 1 + -(-len(encoded) // _WORD)
        if value_at >= len(self._words):
            return self._counters_at + 1 + -(-len(FULL) // _WORD)  # `format` made it first
        start = (at + 1) * _WORD
        self._bytes[start : start + len(encoded)] = encoded
        self._words[at] = len(encoded)
        self._values[value_at] = 0.0
        self._words[2] = used + (value_at + 1 - at) * _WORD
        return value_at
