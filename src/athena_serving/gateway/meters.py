"""What the door counts, in its shared page, where it outlives the door. supervisor/metrics.py explains the names."""

from bisect import bisect_left
from typing import Final

from athena_serving.wire.page import Page

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the duration buckets, in seconds; one more has none."""

STAGES: Final = ("read", "decode", "wait", "user", "encode", "total")
"""read the body · check and decode it · queue, dispatch and way there and back · user code · encode · all."""


class _Histogram:
    """Buckets are kept apart and summed up by whoever reads: one store an observation, not one a bucket."""

    def __init__(self, page: Page, name: str, labels: str) -> None:
        bounds = [f"{bound:g}" for bound in BOUNDS] + ["+Inf"]
        self._values = page.values
        self._buckets = [page.counter(f'{name}_bucket{{{labels},le="{bound}"}}') for bound in bounds]
        self._sum = page.counter(f"{name}_sum{{{labels}}}")

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._values[self._buckets[bisect_left(BOUNDS, seconds)]] += 1.0
        self._values[self._sum] += seconds


class Meter:
    """The counters of one service."""

    def __init__(self, page: Page, service: str) -> None:
        self._page = page
        self._service = label(service)
        self._codes: dict[tuple[int, int], int] = {}
        self._in_flight = page.counter(f'athena_calls_in_flight{{service="{self._service}"}}')
        self._dropped = page.counter(f'athena_dropped_calls_total{{service="{self._service}"}}')
        self._bytes_in = page.counter(f'athena_request_bytes_total{{service="{self._service}"}}')
        self._bytes_out = page.counter(f'athena_response_bytes_total{{service="{self._service}"}}')
        self._stages = [
            _Histogram(page, "athena_call_seconds", f'service="{self._service}",stage="{stage}"') for stage in STAGES
        ]

    def entered(self) -> None:
        """A call has come."""
        self._page.values[self._in_flight] += 1.0

    def dropped(self) -> None:
        """A call was cancelled while it waited here for a worker. Workers count those dropped there."""
        self._page.values[self._dropped] += 1.0

    def answered(self, code: int, http: int, bytes_in: int, bytes_out: int) -> None:
        """A call has its answer, or nobody waits for one."""
        values = self._page.values
        index = self._codes.get((code, http))
        if index is None:
            labels = f'service="{self._service}",code="{code}",status="{http}"'
            index = self._codes[code, http] = self._page.counter(f"athena_calls_total{{{labels}}}")
        values[index] += 1.0
        values[self._in_flight] -= 1.0
        values[self._bytes_in] += bytes_in
        values[self._bytes_out] += bytes_out

    def timed(self, seconds: tuple[float, ...]) -> None:
        """How long each of `STAGES` took, for a call that user code answered."""
        for histogram, value in zip(self._stages, seconds, strict=True):
            histogram.observe(value)


def label(text: str) -> str:
    """A label's value as it must be written in metrics."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
