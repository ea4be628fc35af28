"""The queue: calls that wait for a seat, first come first served. How many may wait is admission's business."""

import asyncio
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Queue(Generic[T]):
    """Waiters for something of which there is too little. A waiter that is cancelled never receives."""

    def __init__(self) -> None:
        self._waiters: OrderedDict[asyncio.Future[T], None] = OrderedDict()

    def __len__(self) -> int:
        return sum(not waiter.done() for waiter in self._waiters)

    def __bool__(self) -> bool:
        """Does anybody wait?"""
        return bool(self._waiters) and any(not waiter.done() for waiter in self._waiters)

    def join(self) -> "asyncio.Future[T]":
        """Stand at the end of the queue; await what is returned."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        waiter.add_done_callback(self._forget)  # callers that come and go behind one who waits long do not pile up
        return waiter

    def serve(self, one: T) -> bool:
        """Give one to the first who waits; False if nobody does."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(one)
                return True
        return False

    def dismiss(self, error: Exception) -> None:
        """Nobody will be served any more."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_exception(error)

    def _forget(self, waiter: "asyncio.Future[T]") -> None:
        self._waiters.pop(waiter, None)
