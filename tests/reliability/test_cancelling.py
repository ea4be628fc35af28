"""T2: who leaves a once-call, or whose time is up, takes the call along: out of the queue, or out of user code."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.serving import Server, eventually, text_of

HEAD = '''
import asyncio, threading, time
from pathlib import Path
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase, current

HERE = Path(__file__).parent
RUNNING = threading.local()


class UserRequest:
    data = StringBodyField(key="data", value=b"warm up")


class UserResponse:
    result = StringBodyField(key="result")


def note(words):
    """What a test reads; one write, so that threads do not mix."""
    with (HERE / "trail").open("a", buffering=1) as trail:
        trail.write(f"{words};")


def answer(text):
    response = Response()
    response.list = [ResponseData(key="result", data=text.encode())]
    return response
'''

SYNC = '''

def loop(name):
    while not (HERE / f"stop-{name}").exists():
        time.sleep(0.01)


def poll(name):
    """Polls on a thread of its own, where nothing can be raised."""
    call = current()

    def watch():
        while not call.cancelled:
            time.sleep(0.01)
        note(f"saw {name}")

    watcher = threading.Thread(target=watch)
    watcher.start()
    watcher.join()


def deaf(name):
    time.sleep(1.0)


def stubborn(name):
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


class Wrapper(WrapperBase):
    serviceId = "held"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        text = reqData.get("data").data.decode()
        what, _, name = text.partition(" ")
        note(f"began {text}")
        try:
            if what == "nap":
                time.sleep(float(name))
            elif what in ("loop", "poll", "deaf", "stubborn"):
                globals()[what](name)
        except BaseException as error:
            note(f"broke off {text}")
            raise
        finally:
            note(f"ended {text}")
        return answer(text)
'''

ASYNC = """

class Wrapper(WrapperBase):
    serviceId = "held"
    requestCls = UserRequest()
    responseCls = UserResponse()

    async def wrapperOnceExec(self, params, reqData):
        text = reqData.get("data").data.decode()
        what, _, name = text.partition(" ")
        note(f"began {text}")
        try:
            if what == "nap":
                await asyncio.sleep(float(name))
            while what == "loop" and not (HERE / f"stop-{name}").exists():
                await asyncio.sleep(0.01)
            while what == "poll" and not current().cancelled:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    note(f"saw {name}")
            until = time.monotonic() + 1.0
            while what == "stubborn" and time.monotonic() < until:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    pass
            if what == "deaf":
                time.sleep(1.0)
        except asyncio.CancelledError:
            note(f"broke off {text}")
            raise
        finally:
            note(f"ended {text}")
        return answer(text)
"""

MODES = {"main thread": (SYNC, 1), "threads": (SYNC, 2), "coroutines": (ASYNC, 2)}
"""Where user code can run: source and seats."""
PATIENCE = 0.6
"""Seconds of `server.limits.call_timeout` where a test waits for a deadline."""


class Held(Server):
    """A server whose wrapper holds calls and notes what happens to them in its file `trail`."""

    seats = 1

    def trail(self, words: str) -> bool:
        """Did the wrapper note these words?"""
        path = self.paths[0] / "trail"
        return path.exists() and f"{words};" in path.read_text()

    def hold(self, text: str) -> HTTPConnection:
        """A call that user code has begun with."""
        link = self.begin("held", text)
        eventually(lambda: self.trail(f"began {text}"), what=f"the beginning of {text!r}")
        return link

    def take_seats(self, name: str) -> list[HTTPConnection]:
        """Calls in every seat, which run until `free_seats`."""
        return [self.hold(f"loop {name}-{i}") for i in range(self.seats)]

    def free_seats(self, name: str, links: list[HTTPConnection]) -> None:
        """Let them end; each is answered."""
        for i, link in enumerate(links):
            (self.paths[0] / f"stop-{name}-{i}").touch()
            assert link.getresponse().status == 200
            link.close()

    def counted(self, family: str) -> float:
        """A counter of the service."""
        return self.total(family, service="held")

    def in_flight(self) -> int:
        """Calls that came in and have no answer."""
        return int(self.total("athena_calls_in_flight", service="held"))


def held(folder: Path, mode: str, **settings: object) -> Held:
    """A server for one of `MODES`."""
    source, seats = MODES[mode]
    server = Held(folder, HEAD + source, settings={"workers.seats": seats, **settings})
    server.seats = seats
    return server


@pytest.fixture(scope="module", params=list(MODES))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A server that every test leaves with free seats; names of calls are each test's own."""
    with held(tmp_path_factory.mktemp("held"), request.param) as one:
        yield one


@pytest.fixture(scope="module", params=list(MODES))
def impatient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """The same with a short deadline."""
    with held(tmp_path_factory.mktemp("held"), request.param, **{"server.limits.call_timeout": PATIENCE}) as one:
        yield one


def test_waiting_call_whose_caller_left_never_reaches_user_code(server: Held) -> None:
    """T2: a call that waits in the door's queue, since nothing is known of the wrapper yet, is dropped and counted."""
    dropped = server.counted("athena_dropped_calls_total")
    seats = server.take_seats("first")
    waiting = server.begin("held", "never 1")
    eventually(lambda: server.in_flight() == server.seats + 1, what="the call's arrival")
    waiting.close()
    eventually(lambda: server.counted("athena_dropped_calls_total") == dropped + 1, what="the count of dropped calls")
    server.free_seats("first", seats)
    assert server.call("held", "next")[0] == 200
    assert not server.trail("began never 1")


def test_call_sent_ahead_whose_caller_left_never_reaches_user_code(server: Held) -> None:
    """T2: a call that waits at the worker, sent ahead since calls were quick, is dropped and counted."""
    for _ in range(5):
        assert server.call("held", "quick")[0] == 200
    dropped = server.counted("athena_dropped_calls_total")
    seats = server.take_seats("second")
    waiting = server.begin("held", "never 2")
    eventually(lambda: server.in_flight() == server.seats + 1, what="the call's arrival")
    waiting.close()
    eventually(lambda: server.counted("athena_dropped_calls_total") == dropped + 1, what="the count of dropped calls")
    server.free_seats("second", seats)
    assert server.call("held", "next")[0] == 200
    assert not server.trail("began never 2")


def test_running_call_whose_caller_left_is_interrupted(server: Held) -> None:
    """T2: a loop of Python ends within a second of its caller's leaving, `finally` runs, and the seats are free."""
    links = server.take_seats("left")
    for i, link in enumerate(links):
        link.close()
        eventually(lambda i=i: server.trail(f"ended loop left-{i}"), timeout=1.0, what="the interruption")  # type: ignore[misc]
        assert server.trail(f"broke off loop left-{i}")
    for _ in range(server.seats):
        assert server.call("held", "next")[0] == 200
    assert server.total("athena_calls_running") == 0


def test_code_that_polls_sees_that_it_was_cancelled(server: Held) -> None:
    """T2: `current().cancelled` turns true when the caller leaves, wherever user code asks."""
    server.hold("poll asked").close()
    eventually(lambda: server.trail("saw asked"), timeout=1.0, what="`cancelled`")
    eventually(lambda: server.trail("ended poll asked"), what="the end")
    assert server.call("held", "next")[0] == 200


@pytest.mark.parametrize("how", ["deaf", "stubborn"])
def test_code_that_cannot_be_interrupted_is_counted_as_wasted(server: Held, how: str) -> None:
    """T2: a long system call, or code that swallows the interruption, goes on, and its seconds count as wasted."""
    wasted = server.counted("athena_wasted_seconds_total")
    server.hold(f"{how} worker").close()
    eventually(lambda: server.counted("athena_wasted_seconds_total") > wasted + 0.3, what="the count of wasted seconds")
    assert server.counted("athena_wasted_seconds_total") < wasted + 2.0
    assert server.call("held", "next")[0] == 200


def test_late_interruption_never_hits_the_next_call(server: Held) -> None:
    """T2: callers that leave just as their calls end do no harm to the calls after theirs, or to the worker."""
    pids = server.workers()
    for i in range(60):
        link = server.begin("held", "nap 0.021")  # the door watches for leaving from 20 ms on
        time.sleep(0.019 + i % 10 * 0.0005)
        link.close()
        status, body = server.call("held", f"after {i}")
        assert (status, text_of(body)) == (200, f"after {i}")
    assert server.workers() == pids


def test_deadline_is_answered_in_time_and_interrupts(impatient: Held) -> None:
    """T2: a call whose time is up is answered 504 with code 10102, and its user code is interrupted."""
    began = time.monotonic()
    status, body = impatient.call("held", "loop late")
    assert time.monotonic() - began < PATIENCE + 0.5
    assert (status, body["header"]["code"]) == (504, 10102)
    assert "server.limits.call_timeout" in body["header"]["message"]
    eventually(lambda: impatient.trail("ended loop late"), timeout=1.0, what="the interruption")
    assert impatient.trail("broke off loop late")
    assert impatient.call("held", "next")[0] == 200


def test_deadline_drops_a_call_that_waits(impatient: Held) -> None:
    """T2: a call whose time is up while it waits is answered 504 with code 10102 and never reaches user code."""
    dropped = impatient.counted("athena_dropped_calls_total")
    seats = [impatient.hold(f"stubborn seat-{i}") for i in range(impatient.seats)]
    status, body = impatient.call("held", "never 3")
    assert (status, body["header"]["code"]) == (504, 10102)
    eventually(lambda: impatient.counted("athena_dropped_calls_total") == dropped + 1, what="the count")
    for link in seats:
        assert link.getresponse().status == 504
        link.close()
    eventually(lambda: impatient.call("held", "next")[0] == 200, what="a free seat")
    assert not impatient.trail("began never 3")
