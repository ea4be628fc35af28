"""A thread that works on one session's requests, and the pool of such (wrapper.md 1.8)."""

from queue import Queue
from typing import Any

import pytest

from athena_serving.sdk.inference import FixedPool, InferClass, Worker


class Counter(InferClass):
    """Counts to what it is asked for; 0 is the last."""

    def __init__(self) -> None:
        self.seen: Queue[object] = Queue()

    def predict(self, req: Any) -> tuple[object, bool]:  # as wrappers write it
        """One request."""
        self.seen.put((self.handle, req))
        return None, req == 0


def test_worker_works_until_the_last_request() -> None:
    """`predict` says which that was."""
    infer, worker = Counter(), Worker(name="counter", _type="thread", nums=1, context={"a": 1})
    worker.register_infer_class(infer)
    worker.register_callback(print)
    worker.setHandle("h")
    worker.create({})
    worker.start()
    for number in (2, 1, 0):
        worker.in_q.put(number)
    worker.join(10)
    assert not worker.is_alive()
    assert [infer.seen.get_nowait() for _ in range(3)] == [("h", 2), ("h", 1), ("h", 0)]


def test_worker_may_have_a_function() -> None:
    """Where there is no class."""
    seen: Queue[object] = Queue()
    worker = Worker()
    worker.setHandle("h")

    def infer(req: object) -> tuple[object, bool]:
        seen.put(req)
        return None, True

    worker.register_infer_func(infer)
    worker.in_q.put("x")
    worker.start()
    worker.join(10)
    assert seen.get_nowait() == "x"


def test_stopped_worker_ends_though_it_waits() -> None:
    """At once, not at the next look."""
    worker = Worker()
    worker.register_infer_class(Counter())
    worker.start()
    worker.stop()
    worker.join(10)
    assert not worker.is_alive()
    assert worker.daemon


def test_worker_with_nothing_to_work_with_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """ASF's raised in its thread."""
    worker = Worker("idle")
    worker.run()
    assert "idle has nothing to work with" in caplog.text


def test_pool_holds_no_more_than_its_capacity() -> None:
    """One, unless it is told."""
    pool = FixedPool()
    assert [pool.add("a"), pool.add("b")] == [(True, "worker-0"), (False, "")]
    pool.set_capacity(2)
    assert pool.add("b") == (True, "worker-1")
    assert (pool.get("worker-1"), pool.get("nothing"), pool.allocated) == ("b", None, 2)


def test_keys_never_repeat() -> None:
    """ASF's did after a removal, and one object hid another."""
    pool = FixedPool()
    pool.set_capacity(2)
    pool.add("a")
    pool.add("b")
    assert pool.remove("worker-0")
    assert pool.remove("worker-0")
    assert pool.add("c") == (True, "worker-2")
    pool.clear_all()
    assert (pool.add("d"), pool.allocated) == ((True, "worker-3"), 1)


def test_pools_share_nothing() -> None:
    """ASF's were all one."""
    first, second = FixedPool(), FixedPool()
    first.add("a")
    assert (second.allocated, second.pool) == (0, {})
