"""Most things end young; only those that do not deserve a timer of their own.

`Aging` is told of each thing as it begins, for the price of an append, and calls `grow_old()` on those that are still
there after `age` seconds, at most a quarter of it late. It has one timer, and none while nothing is young.
"""

import asyncio
from collections import deque
from typing import Protocol


class Ages(Protocol):
    """What can grow old."""

    started: float
    """On the loop's clock."""
    is_over: bool
    """Has it ended?"""

    def grow_old(self) -> None:
        """Called once, if it did not end young."""


class Aging:
    """Watches over what is young. Belongs to one event loop."""

    def __init__(self, age: float) -> None:
        self._age = age
        self._young: deque[Ages] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, one: Ages) -> None:
        """Something began."""
        self._young.append(one)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._age, self._look)

    def close(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._young.clear()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        old = loop.time() - self._age
        young = self._young
        while young and (young[0].is_over or young[0].started <= old):
            one = young.popleft()
            if not one.is_over:
                one.grow_old()
        self._timer = loop.call_later(self._age / 4, self._look) if young else None
