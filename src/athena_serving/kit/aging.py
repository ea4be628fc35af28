"""Most things end young; only those that do not deserve a timer of their own.

`Aging` is told of each thing as it begins and as it ends, and calls `grow_old()` on those that are still there after
`age` seconds, at most a quarter of it late. It has one timer, and none while nothing is young. What has ended it
forgets at once: kept for those 20 ms, the objects of some hundred calls would be memory that is cold when used again.
"""

import asyncio
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Ages(Protocol):
    """What can grow old."""

    started: float
    """On the loop's clock."""

    def grow_old(self) -> None:
        """Called once, if it did not end young."""


T = TypeVar("T", bound=Ages)


class Aging(Generic[T]):
    """Watches over what lives. Belongs to one event loop."""

    def __init__(self, age: float) -> None:
        self._age = age
        self._young: dict[T, None] = {}  # in the order of their beginning
        self._old: set[T] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __iter__(self) -> Iterator[T]:
        """Everything that lives, at this moment."""
        return iter([*self._old, *self._young])

    def add(self, one: T) -> None:
        """Something began."""
        self._young[one] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._age, self._look)

    def remove(self, one: T) -> None:
        """It ended."""
        if one in self._young:
            del self._young[one]
        else:
            self._old.discard(one)

    def close(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._young.clear()
        self._old.clear()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        old = loop.time() - self._age
        for one in list(self._young):
            if one.started > old:
                break
            del self._young[one]
            self._old.add(one)
            one.grow_old()
        self._timer = loop.call_later(self._age / 4, self._look) if self._young else None
