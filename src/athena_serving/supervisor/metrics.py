"""Metrics: sums the shared pages of all processes, living and dead, and writes them as Prometheus reads them.

A dead process's counters are folded into the totals, so that a counter never goes down; its gauges go with it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from athena_serving.wire.page import Page

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "athena_calls_total": ("counter", "Calls that ended, by service, code (0 is success) and HTTP status."),
    "athena_calls_in_flight": ("gauge", "Calls that came in and have no answer yet."),
    "athena_calls_running": ("gauge", "Calls that user code has now."),
    "athena_queue_depth": ("gauge", "Calls that came in and wait for user code."),
    "athena_call_seconds": ("histogram", "Duration of calls that user code answered, by stage."),
    "athena_request_bytes_total": ("counter", "Bytes of request bodies."),
    "athena_response_bytes_total": ("counter", "Bytes of answers' bodies."),
    "athena_busy_seconds_total": ("counter", "Seconds that user code took for calls."),
    "athena_wasted_seconds_total": ("counter", "Seconds that user code went on with calls that nobody waited for."),
    "athena_dropped_calls_total": ("counter", "Cancelled calls that were dropped before user code saw them."),
    "athena_seats": ("gauge", "Seats of the workers that are ready."),
    "athena_seats_used": ("gauge", "Seats that calls and sessions have now."),
    "athena_sessions": ("gauge", "Sessions that go on."),
    "athena_sessions_total": ("counter", "Sessions that ended, by reason."),
    "athena_session_steps_total": ("counter", "Steps of sessions that ended, by the side that sent them."),
    "athena_stream_waits_total": ("counter", "Steps that waited, by the side that was behind: caller or wrapper."),
    "athena_stream_wait_seconds_total": ("counter", "Seconds that they waited, by the side that was behind."),
    "athena_batch_size": ("histogram", "Calls in a batch."),
    "athena_batch_room_total": ("counter", "Calls that the batches could have had; size over room is efficiency."),
    "athena_batch_wait_seconds_total": ("counter", "Seconds between calls' arrival at the worker and their batch."),
    "athena_workers": ("gauge", "Workers by state."),
    "athena_worker_restarts_total": ("counter", "Workers that were started anew, by reason."),
    "athena_counters_refused_total": ("counter", "Counts that found no room in a process's page."),
}
"""Every family with its type and what it means; docs/metrics.md has the same."""

_GAUGES: Final = frozenset(name for name, (kind, _) in FAMILIES.items() if kind == "gauge")


class Totals:
    """The counters of processes that are dead, and of the supervisor itself."""

    def __init__(self) -> None:
        self._counters: dict[str, float] = {}

    def add(self, name: str, value: float = 1.0) -> None:
        """Count something of the supervisor's own."""
        self._counters[name] = self._counters.get(name, 0.0) + value

    def fold(self, page: Page) -> None:
        """A process is dead: keep its counters."""
        for name, value in page.counters():
            if _family(name) not in _GAUGES:
                self.add(name, value)

    def sum(self, pages: Iterable[Page], gauges: Mapping[str, float]) -> dict[str, float]:
        """Everything counted so far: totals, living pages, and gauges of the supervisor's own."""
        summed = dict(self._counters)
        for page in pages:
            for name, value in page.counters():
                summed[name] = summed.get(name, 0.0) + value
        summed.update(gauges)
        return summed


def render(values: Mapping[str, float]) -> bytes:
    """Values as text, family by family."""
    families: dict[str, list[str]] = {name: [] for name in FAMILIES}
    running: dict[str, float] = {}
    for name, value in values.items():
        family = _family(name)
        if name.startswith(f"{family}_bucket"):
            series = name.partition(',le="')[0]
            value = running[series] = running.get(series, 0.0) + value  # noqa: PLW2901  # kept apart in the pages
            if name.endswith('le="+Inf"}'):
                families[family].append(f"{series.replace('_bucket', '_count', 1)}}} {_number(value)}")
        families.setdefault(family, []).append(f"{name} {_number(value)}")
    lines: list[str] = []
    for family, samples in families.items():
        if samples:
            kind, text = FAMILIES.get(family, ("untyped", ""))
            lines += [f"# HELP {family} {text}", f"# TYPE {family} {kind}", *samples]
    return ("\n".join(lines) + "\n").encode()


def _family(name: str) -> str:
    base = name.partition("{")[0]
    for ending in ("_bucket", "_sum", "_count"):
        stem = base.removesuffix(ending)
        if stem != base and stem in FAMILIES:
            return stem
    return base


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
