"""Batches: once-calls that user code answers together, by `wrapperBatchExec`.

A batch forms in the worker, where all doors' calls come together: a seat that is free takes the call that has waited
longest, and with it what else has come and may share: at most `max` of them, with the same key, and a sum of weights
within `max_weight`. It waits for more only as long as `max_wait_ms` says, by default not at all: while one batch runs
the next one gathers. Each item keeps its own deadline, sid and cancellation.
"""

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from athena_serving.errors import OnceFailed, WrapperNotLoadable
from athena_serving.sdk.batch import BatchItem
from athena_serving.sdk.context import Context
from athena_serving.wire.control import Batching
from athena_serving.wire.messages import Call, DataType, Reply
from athena_serving.wire.page import Page
from athena_serving.worker import inputs, load
from athena_serving.worker.failures import Failures, said
from athena_serving.worker.resources import Hold, Persons, Resources
from athena_serving.worker.streams import Pump
from athena_serving.worker.tasks import State, Task

log = logging.getLogger(__name__)

METHOD: Final = "wrapperBatchExec"
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
"""Upper bounds of the buckets of a batch's size; one more has none."""


class Gathering:
    """Calls that have come and were not taken, in order. Any thread may add or take."""

    def __init__(self, rules: Batching, pump: Pump | None) -> None:
        """`pump` reads what has come, where seat and reader are one thread."""
        self._rules = rules
        self._pump = pump
        self._changed = threading.Condition()
        self._waiting: dict[Task, tuple[str, float]] = {}

    def add(self, task: Task) -> None:
        """A call has come."""
        entry = (self._key(task.call), self._weight(task.call))
        with self._changed:
            self._waiting[task] = entry
            self._changed.notify_all()

    def take(self, first: Task) -> list[Task]:
        """A batch that begins with this call, which has waited longest; empty if another batch has taken it."""
        if self._pump is not None:
            self._pump(0.0)
        until = first.arrived + self._rules.max_wait_ms / 1000
        while first in self._waiting and (left := until - time.monotonic()) > 0 and not self._is_full(first):
            if self._pump is not None:
                self._pump(left)
            else:
                with self._changed:
                    self._changed.wait(left)
        with self._changed:
            taken = self._fitting(first)
            for task in taken:
                del self._waiting[task]
            return taken

    def _is_full(self, first: Task) -> bool:
        with self._changed:
            return len(self._fitting(first)) >= self._rules.max

    def _fitting(self, first: Task) -> list[Task]:
        if first not in self._waiting:
            return []
        key, weight = self._waiting[first]
        chosen = [first]
        for task, (its_key, its_weight) in self._waiting.items():
            if len(chosen) >= self._rules.max:
                break
            if task is first or its_key != key or task.state is not State.WAITING:
                continue
            if self._rules.max_weight and weight + its_weight > self._rules.max_weight:
                continue
            weight += its_weight
            chosen.append(task)
        return chosen

    def _key(self, call: Call) -> str:
        return call.params.get(self._rules.key, "") if self._rules.key else ""

    def _weight(self, call: Call) -> float:
        """Of an input: its characters if it is text, else its bytes; of a parameter: its number."""
        name = self._rules.weight
        for piece in call.pieces:
            if piece.key == name:
                data = bytes(piece.data)
                return float(len(data.decode(errors="replace")) if piece.type == DataType.TEXT else len(data))
        try:
            return float(call.params.get(name, "0"))
        except ValueError:
            return 0.0


class Batches:
    """Runs batches. `method` is the wrapper's, bound to its instance."""

    def __init__(
        self,
        method: Callable[[list[BatchItem]], object],
        failures: Failures,
        reply: Callable[[object, str], Reply],
        resources: Resources | None = None,
    ) -> None:
        self._method = method
        self._failures = failures
        self._reply = reply
        self._resources = resources
        self.is_idempotent = False
        """May items be run again when their batch has failed?"""

    def run(self, tasks: Sequence[Task]) -> list[Reply]:
        """The answers to these calls, one each."""
        if self._resources is not None:
            return self._run_held(tasks, self._resources)
        return self._run([_item(task.call, task.context) for task in tasks])

    def try_one(self, call: Call, context: Context) -> Reply:
        """The answer to one call, alone."""
        return self._run([_item(call, context)])[0]

    def _run_held(self, tasks: Sequence[Task], resources: Resources) -> list[Reply]:
        """The same once each call's resources are loaded; those whose are not fail alone."""
        held = [resources.hold(task.call, task.context, OnceFailed) for task in tasks]
        with ExitStack() as stack:
            items = [
                _item(task.call, task.context, stack.enter_context(one))
                for task, one in zip(tasks, held, strict=True)
                if isinstance(one, Hold)
            ]
            answers = iter(self._run(items) if items else ())
            return [one if isinstance(one, Reply) else next(answers) for one in held]

    def _run(self, items: list[BatchItem]) -> list[Reply]:
        try:
            with items[0].context if len(items) == 1 else _NOBODYS:
                answers = self._method(items)
            return self._replies(answers, items)
        except BaseException as error:  # user code: SystemExit ends a batch only
            if self.is_idempotent and len(items) > 1:
                half = len(items) // 2
                return self._run(items[:half]) + self._run(items[half:])
            reply = self._failures.raised(OnceFailed, METHOD, error, items[0].sid)
            if len(items) > 1:
                reply.message = (
                    f"{_SHARED} ({len(items)} calls; none is repeated, unless service.idempotent): {reply.message}"
                )
            return [Reply(code=reply.code, message=reply.message) for _ in items]

    def _replies(self, answers: object, items: list[BatchItem]) -> list[Reply]:
        if not isinstance(answers, list | tuple) or len(answers) != len(items):
            got = f"{len(answers)} answers" if isinstance(answers, list | tuple) else type(answers).__name__
            words = f"{METHOD} returned {got} for {len(items)} items"
            help_text = "return a list with one Response or exception an item, in the same order"
            reply = self._failures.slip(OnceFailed, METHOD, words, sid=items[0].sid, help_text=help_text)
            return [Reply(code=reply.code, message=reply.message) for _ in items]
        return [self._one(answer, item) for answer, item in zip(answers, items, strict=True)]

    def _one(self, answer: object, item: BatchItem) -> Reply:
        if isinstance(answer, BaseException):  # returned, not raised: the author has foreseen it
            words = load.words(answer)
            log.warning("an item of a batch failed: %s", words, extra={"fields": {"sid": item.sid}})
            return said(OnceFailed, words)
        try:
            return self._reply(answer, item.sid)
        except (TypeError, ValueError) as error:
            return self._failures.raised(OnceFailed, METHOD, error, item.sid)


def _item(call: Call, context: Context, persons: Persons = ()) -> BatchItem:
    return BatchItem(call.params, inputs.nodes(call.pieces), context, persons)


_SHARED: Final = "the batch that the call was in has failed"


class _Nobody:
    """In a batch of several, no call is the current one: each item has its own."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


_NOBODYS: Final = _Nobody()


class BatchMeter:
    """Counts batches in the worker's page."""

    def __init__(self, page: Page, service: str, most: int) -> None:
        labels = f'service="{service}"'
        bounds = [*map(str, SIZES), "+Inf"]
        self._page = page
        self._most = most
        self._buckets = [page.counter(f'athena_batch_size_bucket{{{labels},le="{bound}"}}') for bound in bounds]
        self._sum = page.counter(f"athena_batch_size_sum{{{labels}}}")
        self._room = page.counter(f"athena_batch_room_total{{{labels}}}")
        self._wait = page.counter(f"athena_batch_wait_seconds_total{{{labels}}}")

    def count(self, tasks: Sequence[Task], now: float) -> None:
        """A batch begins."""
        values = self._page.values
        values[self._buckets[bisect_left(SIZES, len(tasks))]] += 1.0
        values[self._sum] += len(tasks)
        values[self._room] += self._most
        values[self._wait] += sum(now - task.arrived for task in tasks)


def refuse_coroutine(path: str) -> WrapperNotLoadable:
    """The error of a wrapper whose `wrapperBatchExec` is a coroutine."""
    return WrapperNotLoadable(
        f"{METHOD} must not be async: a batch has its seat's thread for itself",
        where=path,
        help=f"def {METHOD}(self, batch)",
    )
