"""A call inside a worker: it is seen by user code or dropped, never both; an interruption hits it and nothing else."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from athena_serving.sdk.context import Context
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.link import DoorLink
from athena_serving.worker.tasks import State, Task
from tests.wire.calls import call

ROUNDS = 1000


def waiting() -> Task:
    """A task that has just been read."""
    ours, theirs = socket.socketpair()
    link = DoorLink(0, ours, theirs, max_frame=1000)
    ours.close()
    theirs.close()
    asked = call(data=b"data")
    return Task(link, 1, 0, asked, Context(asked.sid, app="", service="", expires=asked.expires))


def test_claimed_call_is_not_dropped() -> None:
    """Its end comes as usual."""
    task = waiting()
    assert task.claim(abort=lambda: None)
    assert not task.revoke("the caller left", 1.0)
    assert (task.state, task.cancelled_because, task.cancelled_at) == (State.RUNNING, "the caller left", 1.0)
    assert task.context.cancelled


def test_dropped_call_is_never_claimed() -> None:
    """User code does not see it, and nobody keeps its data for the sake of its place in a queue."""
    task = waiting()
    assert task.revoke("the caller left", 1.0)
    assert not task.claim()
    assert not task.claim(abort=lambda: None)
    assert task.call.pieces == []


def test_call_is_cancelled_once() -> None:
    """The first reason counts, and user code is interrupted a single time."""
    task, aborted = waiting(), []
    task.claim(abort=lambda: aborted.append("aborted"))
    task.revoke("the caller left", 1.0)
    task.revoke("its time is up", 2.0)
    assert (task.cancelled_because, aborted) == ("the caller left", ["aborted"])


def test_call_that_is_over_cannot_be_cancelled() -> None:
    """The answer is on its way."""
    task = waiting()
    task.claim()
    task.leave()
    assert not task.revoke("the caller left", 1.0)
    assert (task.cancelled_at, task.context.cancelled) == (0.0, False)


def test_running_call_is_interrupted() -> None:
    """In its thread, between two steps of the interpreter, past any `except Exception`."""
    task, claimed, caught = waiting(), threading.Event(), []

    def run() -> None:
        task.claim()
        try:
            claimed.set()
            while True:
                try:
                    threading.Event().wait(0.001)
                except Exception:  # as careless user code has it
                    caught.append("too much")
        except CallInterrupted:
            task.leave()
            caught.append("interrupted")

    thread = threading.Thread(target=run)
    thread.start()
    assert claimed.wait(10)
    assert not task.revoke("the caller left", 1.0)
    thread.join(10)
    assert caught == ["interrupted"]


def test_leaving_waits_for_a_cancellation_under_way() -> None:
    """Else the interruption would be asked for after user code has left, and hit whoever comes next."""
    task, inside, go = waiting(), threading.Event(), threading.Event()

    def abort() -> None:
        inside.set()
        assert go.wait(10)

    task.claim(abort=abort)
    revoking = threading.Thread(target=task.revoke, args=("the caller left", 1.0))
    leaving = threading.Thread(target=task.leave)
    revoking.start()
    assert inside.wait(10)
    leaving.start()
    leaving.join(0.05)
    assert leaving.is_alive()
    go.set()
    leaving.join(10)
    revoking.join(10)
    assert task.state is State.OVER


def test_interruption_in_the_last_step_hits_nobody_afterwards() -> None:
    """Asked for when user code was about to leave: it is raised while leaving at the latest."""
    task = waiting()
    with contextlib.suppress(CallInterrupted):
        try:
            task.claim()
            task.revoke("by ourselves", 1.0)
        finally:
            task.leave()
    task.leave()
    assert sum(range(1000)) == 499500  # many steps, none of which raises


@pytest.fixture
def _hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_hasty")
def test_exactly_one_of_claim_and_revoke_wins() -> None:
    """However two threads meet, and wherever the interruption hits: seen or dropped, and nothing left over."""
    start = threading.Barrier(2)
    tasks = [waiting() for _ in range(ROUNDS)]
    seen: list[bool] = []
    strays: list[BaseException] = []

    def seat() -> None:
        try:
            for task in tasks:
                start.wait(10)
                seen.append(_run(task))
        except BaseException as stray:
            strays.append(stray)
            start.abort()

    thread = threading.Thread(target=seat)
    thread.start()
    dropped = []
    for number, task in enumerate(tasks):
        start.wait(10)
        sum(range(number % 50))  # meet at different places
        dropped.append(task.revoke("the caller left", 1.0))
    thread.join(10)
    assert strays == []
    assert [one != other for one, other in zip(seen, dropped, strict=True)] == [True] * ROUNDS


def _run(task: Task) -> bool:
    """What a seat does; was the call seen?"""
    try:
        try:
            if not task.claim():
                return False
            sum(range(30))
        finally:
            task.leave()
    except CallInterrupted:
        task.leave()
    return True


TRACED = """
import sys, threading
from athena_serving.worker.interrupts import CallInterrupted
from tests.worker.test_tasks import waiting

def work():
    for _ in range(3):
        task = waiting()
        try:
            try:
                task.claim()
                task.revoke("by ourselves", 1.0)
            finally:
                task.leave()
        except CallInterrupted:
            task.leave()
    print(sum(map(abs, range(100))))

sys.settrace(lambda *_: None)
threading.settrace(lambda *_: None)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_traced_code_lives_on_after_a_cancellation() -> None:
    """Coverage, debuggers and profilers: an interruption that was withdrawn would hang them in CPython 3.11."""
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, timeout=30, check=False)
    assert done.stdout == b"4950\n"
