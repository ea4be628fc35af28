"""The running call, as user code asks for it."""

import asyncio
import logging
import threading
import time

import pytest

from athena_serving.sdk import Context, current


def _context(sid: str = "s1", seconds: float = 60.0) -> Context:
    return Context(sid, app="app", service="ocr", expires=time.monotonic() + seconds)


def test_current_is_the_call_of_this_thread() -> None:
    """Inside the call it is known, afterwards no more."""
    with _context() as context:
        assert current() is context
    with pytest.raises(LookupError, match="no call is running here"):
        current()


def test_inner_call_hides_the_outer_one() -> None:
    """Calls nest, which warm-up and tests make use of."""
    with _context("outer") as outer:
        with _context("inner"):
            assert current().sid == "inner"
        assert current() is outer


def test_other_threads_have_no_call() -> None:
    """A thread that user code starts must be given the context."""
    seen: list[str] = []

    def look() -> None:
        try:
            current()
        except LookupError as error:
            seen.append(str(error))

    with _context():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert len(seen) == 1


async def test_tasks_of_one_thread_do_not_mix() -> None:
    """Each task sees its own call, also after waiting."""
    both = asyncio.Barrier(2)

    async def call(sid: str) -> str:
        with _context(sid):
            await both.wait()
            return current().sid

    assert [*await asyncio.gather(call("a"), call("b"))] == ["a", "b"]


def test_cancelling_is_seen_from_another_thread() -> None:
    """The engine cancels while user code runs."""
    context = _context()
    assert not context.cancelled
    thread = threading.Thread(target=context.cancel)
    thread.start()
    thread.join()
    assert context.cancelled


def test_expired_call_counts_as_cancelled() -> None:
    """Nobody waits for an answer after the deadline."""
    context = _context(seconds=-1.0)
    assert context.cancelled
    assert context.remaining() == 0.0
    assert 0.0 < _context().remaining() <= 60.0


def test_log_lines_carry_the_sid(caplog: pytest.LogCaptureFixture) -> None:
    """The sid joins the fields that user code gives."""
    with caplog.at_level(logging.INFO):
        _context().log.info("found %d", 3, extra={"fields": {"lines": 3}, "other": 1})
    record = caplog.records[0]
    assert record.getMessage() == "found 3"
    assert vars(record)["fields"] == {"sid": "s1", "lines": 3}
    assert vars(record)["other"] == 1
