"""Admission says yes or no to a call. It never waits; the queue does."""

from athena_serving.errors import QueueFull


class Admission:
    """Counts the calls of a service: what has a seat and what waits for one together may be seats + queue."""

    def __init__(self, *, queue: int) -> None:
        self._queue = queue
        self.inside = 0
        """Calls admitted and not done."""
        self.seats = 0
        """Seats of the workers that are ready, kept up by the crew."""

    def check(self) -> None:
        """May one more come in? Raises `QueueFull`."""
        if self.inside >= self.seats + self._queue:
            raise QueueFull(f"all {self.seats} seats are taken and {self._queue} calls wait")

    def enter(self) -> None:
        """A call came in; `leave` when it is done."""
        self.inside += 1

    def leave(self) -> None:
        """A call is done."""
        self.inside -= 1


class Budget:
    """Bytes in flight in this process, over all services."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so many bytes; `give` them back. Raises `QueueFull`."""
        if self.held + size > self._limit:
            raise QueueFull(f"{self.held} bytes of requests are in flight; with {size} more they pass {self._limit}")
        self.held += size

    def give(self, size: int) -> None:
        """Hold so many bytes less."""
        self.held -= size
