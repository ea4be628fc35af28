"""A session's later steps, on their way from its caller to a worker; no faster than the worker takes them."""

import asyncio
import time
from collections.abc import Callable

from athena_serving.wire.messages import Step


class Feed:
    """Is a `messages.Feed`. `put` is the caller's side, the rest the worker's."""

    def __init__(self) -> None:
        self._push: Callable[[Step], None] | None = None
        self._credit = 0
        self._waiter: asyncio.Future[None] | None = None
        self.is_closed = False
        self.waits = 0
        """How often a step had to wait for the worker."""
        self.waited = 0.0
        """Seconds that they waited."""

    @property
    def has_room(self) -> bool:
        """Would a step leave at once?"""
        return self._push is not None and self._credit > 0

    async def put(self, step: Step) -> bool:
        """Hand a step on, once the worker takes it; False if nobody does any more. One at a time."""
        if self._push is None or not self._credit:
            await self._wait()
        if self._push is None or self.is_closed:
            return False
        self._credit -= 1
        self._push(step)
        return True

    def attach(self, push: Callable[[Step], None], steps: int) -> None:
        """The session is with a worker, which takes so many steps."""
        self._push = push
        self.grant(steps)

    def grant(self, steps: int) -> None:
        """The worker takes so many steps more."""
        self._credit += steps
        self._wake()

    def close(self) -> None:
        """The session is over."""
        self.is_closed = True
        self._push = None
        self._wake()

    async def _wait(self) -> None:
        began, is_slow = time.monotonic(), self._push is not None
        while not self.is_closed and not (self._push is not None and self._credit):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if is_slow:
            self.waits += 1
            self.waited += time.monotonic() - began

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
