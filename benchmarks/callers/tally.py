"""What came of all calls of one process."""

import time
from collections.abc import Sequence

from benchmarks.callers.orders import Load


class Tally:
    """Counts pieces until an instant of `time.perf_counter`; what comes later belongs to nobody's number."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        self.pieces = 0
        self.delays: list[float] = []
        """Seconds to the first piece, or from frame to echo."""
        self.lags: list[float] = []
        """Seconds by which a paced frame was sent late."""
        self.refused = self.broken = self.late = 0

    def start(self) -> float:
        """From now on it counts; the instant at which it ends."""
        self._until = time.perf_counter() + self._seconds
        return self._until

    @property
    def is_open(self) -> bool:
        """Is there time for one more?"""
        return time.perf_counter() < self._until

    def count(self, pieces: int, now: float) -> None:
        """So many pieces came at this instant."""
        if now < self._until:
            self.pieces += pieces

    def load(self, beside: "Load | None" = None) -> Load:
        """The outcome."""
        return Load(
            requests=self.pieces,
            duration_us=round(self._seconds * 1e6),
            p50_us=percentile(self.delays, 0.50),
            p99_us=percentile(self.delays, 0.99),
            refused=self.refused,
            broken=self.broken,
            late=self.late,
            lag_us=percentile(self.lags, 0.99),
            beside=beside,
        )


def percentile(seconds: Sequence[float], share: float) -> int:
    """The smallest value that this share of them does not exceed, in microseconds; 0 of none."""
    if not seconds:
        return 0
    ordered = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6)
