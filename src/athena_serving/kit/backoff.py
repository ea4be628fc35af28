"""How long to wait before trying again, and when to stop trying. Pure: the caller has the clock."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Doubling delays after failures in a row."""

    first: float
    """Seconds before the second try in a row that failed at once."""
    longest: float
    """Seconds that a delay grows to."""
    limit: int
    """Failures in a row after which there is no further try."""
    steady: float
    """Seconds of life after which a failure is the first of a new row."""

    def count(self, failures: int, lived: float) -> int:
        """Failures in a row, after one more that came `lived` seconds after its start."""
        return 1 if lived >= self.steady else failures + 1

    def delay(self, failures: int) -> float | None:
        """Seconds to wait after this many failures in a row; None to give up. The first try again is immediate."""
        if failures >= self.limit:
            return None
        return 0.0 if failures <= 1 else min(self.longest, self.first * 2.0 ** min(failures - 2, 60))
