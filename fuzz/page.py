"""Bytes as a shared page: what a process left that its own C libraries had scribbled over."""

from athena_serving.wire.page import Page


def _page(slots: int, **counters: float) -> bytes:
    memory = bytearray(2048)
    page = Page(memoryview(memory))
    page.format(slots)
    for slot in range(slots):
        page.set_slot(slot, slot, 1.0, 2.0)
    for name, value in counters.items():
        page.values[page.counter(name)] += value
    return bytes(memory)


SEEDS = [
    _page(0),
    _page(4, athena_calls_total=3.0, athena_busy_seconds_total=0.5),
    _page(32, **{f"athena_counter_{number}": float(number) for number in range(20)}),
]
"""Good pages; the last one is nearly full."""


def one(data: bytes) -> None:
    """Read everything that a reader reads. Findings: an error but `ValueError`, which says that it is no page."""
    memory = bytearray(max(64, len(data) + 7 & ~7))
    memory[: len(data)] = data
    page = Page(memoryview(memory))
    try:
        page.running()
        names = [name for name, _ in page.counters()]
    except ValueError:
        return
    if len(names) > len(memory) // 16:
        raise AssertionError("more counters than there is room for")
