"""Threads for sessions (wrapper.md 1.8)."""

import threading
import time
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from athena_serving.sdk import Context, DataListCls, DataListNode, Response, ResponseData
from athena_serving.sdk.callback import callback, sessions
from athena_serving.sdk.stream import Context as Bag
from athena_serving.sdk.stream import (
    ModelProcess,
    ProcessThreadPool,
    SessionManager,
    StreamHandleThread,
    ThreadPool,
    WorkerProcess,
    WorkerThread,
)


class Echo(StreamHandleThread):
    """Sends back what it gets, until it is told to end."""

    def run(self) -> None:
        """As wrappers write it."""
        while not self.is_stopping:
            req = self.in_q.get()
            if req is None:
                return
            data = ResponseData("result", req.list[0].data, status=req.list[0].status)
            self.session_thread.callback_fn(Response([data]), self.session_thread.sid)


class Quiet(StreamHandleThread):
    """Takes nothing out of its queue."""


def context(sid: str) -> Context:
    """A running call."""
    return Context(sid, app="a", service="s", expires=time.monotonic() + 60)


def pooled(manager: SessionManager, handle: str | None) -> WorkerThread:
    """The thread of a handle that must be there."""
    assert handle is not None
    found = manager.get_session(handle)
    assert found is not None
    return found


@pytest.fixture
def manager() -> Iterator[SessionManager]:
    """A manager of two quiet threads."""
    made = SessionManager()
    made.init_handle_pool("thread", 2, Quiet)
    yield made
    assert made.handle_pool is not None
    made.handle_pool.stop()


def test_session_of_the_usual_wrapper() -> None:
    """Create, Write, results by callback and Destroy, as stream wrappers write them."""
    manager = SessionManager()
    manager.init_wrapper_config({"a": "b"})
    manager.init_handle_pool("thread", 1, Echo)
    assert (manager.initialized, manager.code, manager.wrapperConfig) == (True, 0, {"a": "b"})
    got: Queue[Response] = Queue()
    session = sessions.open("tag", "sid-stream", got.put)
    handle = manager.get_idle_handle()
    thread = pooled(manager, handle)
    thread.setup_sid("sid-stream")
    thread.setup_params({"p": "1"})
    thread.setup_callback_fn(callback)
    thread.in_q.put(DataListCls([DataListNode("audio", b"sound", status=2)]))
    (answer,) = got.get(timeout=10).list
    assert (answer.data, answer.status, handle) == (b"sound", 2, "Process-0-Thread-0")
    manager.push_back(handle)
    assert (thread.idle, thread.sid, thread.params) == (True, "", {})
    session.close()
    thread.in_q.put(None)


def test_handles_are_given_once_until_there_are_none(manager: SessionManager) -> None:
    """Where ASF raised TypeError."""
    given = [manager.get_idle_handle() for _ in range(3)]
    assert given == ["Process-0-Thread-0", "Process-0-Thread-1", None]
    manager.set_idle_session(given[1])
    assert manager.get_idle_handle() == given[1]


def test_manager_without_a_pool_has_nothing() -> None:
    """Where ASF raised AttributeError."""
    manager = SessionManager()
    assert (manager.get_idle_handle(), manager.get_session("x")) == (None, None)
    manager.reset_session("x")
    assert manager.initialized is False


def test_unknown_handle_means_nothing(manager: SessionManager) -> None:
    """Nor does what is no text."""
    unknown: list[object] = ["x", None, 5, []]
    assert [manager.get_session(handle) for handle in unknown] == [None] * 4
    manager.push_back([])


def test_threads_taking_at_once_get_different_handles() -> None:
    """Sessions begin on different threads of a worker."""
    manager = SessionManager()
    manager.init_handle_pool("thread", 8, Quiet)
    given: Queue[str | None] = Queue()
    takers = [threading.Thread(target=lambda: given.put(manager.get_idle_handle())) for _ in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert len({given.get_nowait() for _ in takers} - {None}) == 8


def test_reset_forgets_what_waits(manager: SessionManager) -> None:
    """The next session must not get the last one's sound."""
    thread = pooled(manager, manager.get_idle_handle())
    thread.in_q.put(1)
    thread.out_q.put(2)
    thread.setup_sid("s")
    manager.reset_session(thread.handle)
    assert (thread.in_q.empty(), thread.out_q.empty(), thread.sid, thread.idle) == (True, True, "", True)


def test_giving_back_twice_does_not_take_it_from_the_next_session() -> None:
    """The wrapper's thread resets at the last frame, wrapperDestroy again, when another session has it."""
    manager = SessionManager()
    manager.init_handle_pool("thread", 1, Quiet)
    with context("old"):
        handle = manager.get_idle_handle()
    pooled(manager, handle).reset()
    with context("new"):
        assert manager.get_idle_handle() == handle
        pooled(manager, handle).in_q.put("sound")
    with context("old"):
        manager.push_back(handle)
    assert pooled(manager, handle).in_q.qsize() == 1
    assert manager.get_idle_handle() is None
    with context("new"):
        manager.push_back(handle)
    assert manager.get_idle_handle() == handle


def test_thread_that_has_ended_gets_no_session(caplog: pytest.LogCaptureFixture) -> None:
    """A queue that nobody reads would be silence."""

    class Ends(StreamHandleThread):
        def run(self) -> None:
            return

    manager = SessionManager()
    manager.init_handle_pool("thread", 1, Ends)
    thread = manager.get_session("Process-0-Thread-0")
    assert thread is not None
    thread.join(10)
    assert manager.get_idle_handle() is None
    assert "Process-0-Thread-0 has ended" in caplog.text


def test_thread_that_cannot_be_made_gets_no_session(caplog: pytest.LogCaptureFixture) -> None:
    """The log says what its constructor raised."""

    class Broken(StreamHandleThread):
        def __init__(self, *_: Any) -> None:
            raise RuntimeError("no model")

    pool = ThreadPool(Broken, nums=1)
    pool.workers["Process-0-Thread-0"].join(10)
    assert pool.take() is None
    assert "no model" in caplog.text


def test_stopped_pool_ends_its_threads() -> None:
    """The base class's `run` loads the model, then waits for nothing else."""
    loaded: Queue[object] = Queue()

    class Loads(StreamHandleThread):
        def init_model(self, *args: object, **_: object) -> None:
            loaded.put(args)

    pool = ThreadPool(Loads, 3, 1)
    assert loaded.get(timeout=10) == ("Process-3-Thread-0",)
    pool.stop()
    pool.workers["Process-3-Thread-0"].join(10)
    assert not pool.workers["Process-3-Thread-0"].is_alive()


def test_second_pool_takes_the_place_of_the_first(manager: SessionManager) -> None:
    """An init may run again."""
    first = pooled(manager, manager.get_idle_handle())
    manager.init_handle_pool("other", 1, Quiet)
    assert manager.get_session("Process-0-Thread-0") is not first
    assert first.is_stopping


def test_all_threads_are_daemons(manager: SessionManager) -> None:
    """A process must end whatever a wrapper forgets."""
    assert manager.handle_pool is not None
    workers = manager.handle_pool.workers.values()
    assert all(worker.daemon for worker in workers)
    assert Quiet(next(iter(workers)), Queue(), Queue()).daemon


def test_processes_are_not_offered(caplog: pytest.LogCaptureFixture) -> None:
    """A mode that never worked gives threads, with a word about it; its classes say so."""
    manager = SessionManager()
    manager.init_handle_pool("process", 1, Quiet)
    assert manager.get_idle_handle() == "Process-0-Thread-0"
    assert "threads instead" in caplog.text
    for kind in (ModelProcess, WorkerProcess, ProcessThreadPool):
        with pytest.raises(NotImplementedError, match=kind.__name__):
            kind(1, nums=2)


def test_context_of_old_is_a_bag() -> None:
    """Not the call at hand."""
    assert vars(Bag(a=1)) == {"a": 1}
