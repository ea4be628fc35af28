"""Where user code runs: on the main thread, on a thread a seat, or on one loop thread."""

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from athena_serving.worker.tasks import Task

Execute = Callable[[Task], None]
ExecuteAsync = Callable[[Task], Awaitable[None]]


class Seats(ABC):
    """Takes tasks in order and sees that no more than so many run at once."""

    @staticmethod
    def of(
        execute: Execute,
        execute_async: ExecuteAsync,
        *,
        seats: int,
        is_coroutine: Callable[[Task], bool] | None,
        gathers: bool,
    ) -> "Seats":
        """The right kind for a wrapper.

        `is_coroutine` says which calls are coroutines, None that none ever is. `gathers`: while user code runs others
        are to be read, for the next batch.
        """
        if is_coroutine is not None:
            return LoopSeats(execute, execute_async, is_coroutine, seats)
        if seats > 1:
            return ThreadSeats(execute, seats)
        return FedSeat(execute) if gathers else MainSeat(execute)

    def start(self) -> None:  # noqa: B027  # not every kind has to
        """Called once, on the main thread, before the first task."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """A task has come. Never waits."""

    def work(self) -> None:  # noqa: B027  # not every kind has to
        """The main thread has nothing to read and may run tasks."""

    @abstractmethod
    def finish(self) -> None:
        """Return when every task that was submitted is done."""


class MainSeat(Seats):
    """One seat: the main thread."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Keep it for `work`."""
        self._waiting.append(task)

    def work(self) -> None:
        """Run all that waits."""
        while self._waiting:
            self._execute(self._waiting.popleft())

    def finish(self) -> None:
        """Run what is left."""
        self.work()


class FedSeat(Seats):
    """One seat: the main thread, fed by a thread that reads meanwhile."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()

    def submit(self, task: Task) -> None:
        """The main thread takes it when it is free."""
        self._waiting.put(task)

    def sit(self) -> None:
        """Run what comes, on this thread, until `finish`."""
        while (task := self._waiting.get()) is not None:
            self._execute(task)

    def finish(self) -> None:
        """Leave after what is queued."""
        self._waiting.put(None)


class ThreadSeats(Seats):
    """Several seats: a thread each. They are daemons, since user code that never returns must not keep us."""

    def __init__(self, execute: Execute, seats: int) -> None:
        self._execute = execute
        self._waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._sit, name=f"seat-{i}", daemon=True) for i in range(seats)]

    def start(self) -> None:
        """Take the seats."""
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        """Whichever seat is free first takes it."""
        self._waiting.put(task)

    def finish(self) -> None:
        """Everybody leaves after what is queued."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _sit(self) -> None:
        while (task := self._waiting.get()) is not None:
            self._execute(task)


class LoopSeats(Seats):
    """Coroutines: one thread with an event loop; a semaphore counts the seats. What is none runs in a thread beside."""

    def __init__(
        self, execute: Execute, execute_async: ExecuteAsync, is_coroutine: Callable[[Task], bool], seats: int
    ) -> None:
        self._execute = execute
        self._execute_async = execute_async
        self._is_coroutine = is_coroutine
        self._threads = ThreadPoolExecutor(seats, "seat")
        self._seats = seats
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._free = asyncio.Semaphore(seats)
        self._running: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the loop's thread."""
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Start it as soon as a seat is free; the semaphore keeps the order."""
        self._loop.call_soon_threadsafe(self._begin, task)

    def finish(self) -> None:
        """Wait for what runs, then end the loop."""
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _begin(self, task: Task) -> None:
        running = self._loop.create_task(self._sit(task))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _sit(self, task: Task) -> None:
        async with self._free:
            if self._is_coroutine(task):
                await self._execute_async(task)
            else:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._execute, task)

    async def _settle(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
