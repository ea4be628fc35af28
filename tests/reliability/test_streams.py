"""Streams that stall, and the pace of both sides: a session is as fast as the slower of them, and no memory grows.

Row T11, and flow control.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil
import pytest

from athena_serving.wire.frames import STEPS
from tests.reliability.forms import FORMS
from tests.reliability.streaming import PATIENCE, Events, Peer, Streaming, streaming, text_of
from tests.serving import eventually

STALL: Final = 1.0
"""Seconds of `stream.stall_timeout` and of `workers.stall_timeout`."""
SLACK: Final = 3.0
"""Seconds that an end may come late, on a busy machine."""
PIECE: Final = 1024
"""Bytes of a step of `flood`, before base64."""
BUFFERED: Final = 1 << 20
"""Bytes of a stream that the buffers of both sockets and the engine's may hold; they have some 300 KiB."""
GREEDY: Final = 32 << 20
"""Bytes of steps that no server may take for a wrapper that takes none: a receive buffer grows to 6 MiB."""
MEMORY: Final = 32 << 20
"""Bytes that a process may grow by for a stream that nobody reads; a stream without a bound makes that in a second."""

_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """A name that no other session has."""
    return f"f{next(_numbers)}"


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    """One of the services."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _dismissed(request: pytest.FixtureRequest) -> Iterator[None]:
    """No session of a test that failed holds a seat of the next one's."""
    yield
    for name in {"impatient", "patient"} & {*request.fixturenames}:
        request.getfixturevalue(name).dismiss()


# ── T11: a stream that stalls ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module", params=[1, 2], ids=["one seat", "two seats"])
def impatient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streaming]:
    """Every form of wrapper, with short patience for those that are silent."""
    folder = tmp_path_factory.mktemp("impatient")
    times = {"stream.stall_timeout": STALL, "workers.stall_timeout": STALL, "workers.restart_delay": 0}
    with streaming(folder, seats=request.param, settings=times) as one:
        yield one


STALLS: Final = [
    ("sync", "hold"),  # waits in Python, where it can be interrupted
    ("sync", "spin"),
    ("async", "nap"),
    ("async", "hold"),
    ("create", "hold"),
    ("create", "spin"),
    ("create", "sip"),
    ("callback", "nap"),  # wrapperWrite has returned, and callback is never called
    ("callback", "hold"),
]


@pytest.mark.parametrize(("form", "what"), STALLS)
def test_stalled_stream_is_told_and_its_seat_free(impatient: Streaming, form: str, what: str, name: str) -> None:
    """T11: a wrapper that makes no step in time costs its caller a frame with 10102, and itself nothing but the end."""
    worker, stalled = impatient.workers(form), impatient.closed(form, "stalled")
    with Peer(impatient, form) as peer:
        began = time.monotonic()
        peer.say(what, name)
        last = peer.rest()[-1]["header"]
        assert last["code"] == 10102
        assert STALL * 0.9 < time.monotonic() - began < STALL + SLACK
        assert peer.ending() == (1000, last["message"])
    impatient.until_noted(form, f"ended {name} True")
    impatient.until_free(form)
    assert impatient.closed(form, "stalled") == stalled + 1
    assert impatient.noted(form, f"ended {name} True") == 1
    with Events(impatient, form, "quick", f"{name}-next") as events:
        assert [events.next(), events.next()] == ["one", "two"]
    assert impatient.workers(form) == worker, "it was interrupted, not killed"


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_stalled_events_end_with_an_error(impatient: Streaming, form: str, name: str, accept: str) -> None:
    """T11: an event stream that has begun ends with an `error` event, lines end with a line that has the code."""
    with Events(impatient, form, "hold", name, accept=accept) as events:
        assert (events.status, events.next()) == (200, "first")
        document = events.document()
        assert document is not None
        assert document["header"]["code"] == 10102
        assert events.kind == ("error" if "event" in accept else "")
        assert events.document() is None
    impatient.until_noted(form, f"ended {name} True")
    impatient.until_free(form)
    assert impatient.noted(form, f"ended {name} True") == 1


def test_stall_before_the_first_step_has_a_status(impatient: Streaming, name: str) -> None:
    """T11: one body, and events that have not begun, are refused as any call whose time is up: 504 with 10102."""
    link = impatient.ask("async", "nap", name)
    with contextlib.closing(link):
        assert link.getresponse().status == 504
    impatient.until_free("async")
    with Events(impatient, "async", "nap", f"{name}-events") as events:
        assert events.status == 504
        document = events.document()
        assert document is not None
        assert document["header"]["code"] == 10102
    impatient.until_noted("async", f"ended {name}-events True")
    impatient.until_free("async")


@pytest.mark.parametrize("form", ["sync", "create"])
def test_stall_that_nothing_can_interrupt_costs_the_worker(impatient: Streaming, form: str, name: str) -> None:
    """T11: who waits in C for ever is told of in time all the same; then its worker is replaced, and seats are free."""
    (worker,) = impatient.workers(form).values()
    with Peer(impatient, form) as peer:
        began = time.monotonic()
        peer.say("nap", name)
        assert peer.rest()[-1]["header"]["code"] == 10102
        assert time.monotonic() - began < STALL + SLACK
    impatient.wait_for(lambda _: worker not in impatient.workers(form).values(), PATIENCE, what="the next worker")
    impatient.wait_for(lambda health: health["services"][form]["ready"], PATIENCE, what="the next worker")
    impatient.until_free(form)
    with Events(impatient, form, "quick", f"{name}-next") as events:
        assert [events.next(), events.next()] == ["one", "two"]
    assert impatient.total("athena_worker_restarts_total", service=form, reason="stuck") >= 1


@pytest.mark.parametrize("form", ["sync", "async", "create"])  # the wrapperWrite of the other takes every step
def test_wrapper_that_takes_no_step_stalls(impatient: Streaming, form: str, name: str) -> None:
    """T11: it is the wrapper's turn as well where its caller's steps wait for it."""
    with Peer(impatient, form) as peer:
        peer.say("sip", name, status=0)
        for number in range(2 * STEPS):
            peer.add(str(number))
        began = time.monotonic()
        assert peer.rest()[-1]["header"]["code"] == 10102
        assert time.monotonic() - began < STALL + SLACK
    impatient.until_noted(form, f"ended {name} True")
    impatient.until_free(form)
    assert impatient.noted(form, f"ended {name} True") == 1


def test_stall_after_a_talk_is_told_in_time(impatient: Streaming, form: str, name: str) -> None:
    """T11: the wrapper's clock runs from its caller's last step, whatever clock ran before."""
    with Peer(impatient, form) as peer:
        peer.say("hold" if form in ("sync", "async") else "nap", name, status=0)
        peer.hear()
        peer.add("last", status=2)
        began = time.monotonic()
        assert peer.rest()[-1]["header"]["code"] == 10102
        assert time.monotonic() - began < STALL + SLACK
    if form != "create":  # which waits in C
        impatient.until_noted(form, f"ended {name} True")
    impatient.wait_for(lambda health: health["services"][form]["ready"], PATIENCE, what="the next worker")
    impatient.until_free(form)


# ── flow control ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streaming]:
    """Every form of wrapper, with all the time there is."""
    with streaming(tmp_path_factory.mktemp("patient"), seats=3, settings={"server.limits.ping_interval": 60}) as one:
        yield one


def proportional(pid: int) -> int:
    """Bytes of memory of a process, with its share of what it shares."""
    found: int = psutil.Process(pid).memory_full_info().pss
    return found


def settled(value: Callable[[], int]) -> int:
    """A number that has not changed for half a second."""
    seen = [value()]

    def is_still() -> bool:
        time.sleep(0.1)  # between two looks
        seen.append(value())
        return len(seen) > 5 and len({*seen[-5:]}) == 1

    eventually(is_still, timeout=PATIENCE, what="a number that stays")
    return seen[-1]


def flooded(server: Streaming, form: str, name: str, transport: str) -> Peer | Events:
    """A caller who has had a step of a flood, and reads nothing more."""
    if transport == "events":
        events = Events(server, form, "flood", name, buffer=1 << 16)
        assert events.next() == "x" * PIECE
        return events
    peer = Peer(server, form, buffer=1 << 16)
    peer.say("flood", name)
    assert peer.next() == "x" * PIECE
    return peer


@pytest.mark.parametrize("transport", ["socket", "events"])
@pytest.mark.parametrize("form", ["sync", "async", "callback"])
def test_slow_caller_stops_a_fast_wrapper(patient: Streaming, form: str, name: str, transport: str) -> None:
    """Flow control: what a wrapper makes ahead of its caller fits into the credits and the buffers; memory stays."""
    processes = [patient.door(), *patient.workers(form).values()]
    waits = patient.total("athena_stream_waits_total", service=form, side="caller")
    before = [proportional(pid) for pid in processes]
    caller = flooded(patient, form, name, transport)
    made = settled(lambda: patient.made(form, name))
    assert STEPS < made <= STEPS + BUFFERED // PIECE
    after = [proportional(pid) for pid in processes]
    assert all(late < early + MEMORY for early, late in zip(before, after, strict=True)), (before, after)
    for _ in range(made):  # it goes on when its caller does
        assert caller.next() == "x" * PIECE
    eventually(lambda: patient.made(form, name) > made, what="a further step")
    assert patient.total("athena_stream_waits_total", service=form, side="caller") > waits
    assert patient.total("athena_stream_wait_seconds_total", service=form, side="caller") > 0
    caller.close()
    patient.until_noted(form, f"ended {name} True")
    patient.until_free(form)


def test_slow_caller_stops_its_own_session_only(patient: Streaming, name: str) -> None:
    """Flow control: beside a stream that nobody reads, on one worker, others get theirs whole."""
    stuck = flooded(patient, "sync", name, "socket")
    settled(lambda: patient.made("sync", name))
    for number in range(10):
        with Peer(patient, "sync") as peer:
            peer.say("quick", f"{name}-{number}")
            assert [text_of(frame) for frame in peer.rest()][-3:-1] == ["one", "two"]
    stuck.close()
    patient.until_noted("sync", f"ended {name} True")
    patient.until_free("sync")


def pushed(peer: Peer, text: str, seconds: float) -> int:
    """Send steps until the socket takes none for so many seconds; how many went whole."""
    peer.socket.settimeout(seconds)
    for sent in itertools.count():
        assert sent * len(text) < GREEDY, "the server takes everything"
        try:
            peer.add(text)
        except TimeoutError:
            return sent
    raise AssertionError


@pytest.mark.parametrize("form", ["sync", "async", "create"])
def test_slow_wrapper_stops_a_fast_caller(patient: Streaming, form: str, name: str) -> None:
    """Flow control: a wrapper that takes nothing blocks its caller's socket; memory stays, and later all arrives."""
    processes = [patient.door(), *patient.workers(form).values()]
    before = [proportional(pid) for pid in processes]
    text = "y" * (16 << 10)
    peer = Peer(patient, form)
    peer.say("sip", name, status=0)
    sent = pushed(peer, text, 1.0)
    assert sent > STEPS
    assert patient.made(form, name) == 1
    after = [proportional(pid) for pid in processes]
    assert all(late < early + MEMORY for early, late in zip(before, after, strict=True)), (before, after)
    patient.open_gate(form, name)
    eventually(lambda: patient.made(form, name) >= sent, what="everything that was sent")
    peer.close()
    patient.until_noted(form, f"ended {name} True")
    patient.until_free(form)
    assert patient.total("athena_stream_waits_total", service=form, side="wrapper") > 0
    assert patient.total("athena_stream_wait_seconds_total", service=form, side="wrapper") > 0


def test_steps_arrive_whole_and_in_order_whatever_the_pace(patient: Streaming, form: str, name: str) -> None:
    """Flow control: hundreds of steps, many times the credits, come back one for one, in order, both ways at once."""
    count = 10 * STEPS
    with Peer(patient, form) as peer:
        peer.say("echo", name, "0", status=0)
        heard = []
        for number in range(1, count):
            peer.add(str(number))
            if number % STEPS == 0:
                heard += [peer.next() for _ in range(STEPS)]
        heard += [peer.next() for _ in range(count - len(heard))]
        assert heard == [str(number) for number in range(count)]
        peer.leave()
    patient.until_noted(form, f"ended {name} True")
    patient.until_free(form)
    steps = patient.total("athena_session_steps_total", service=form, side="caller")
    assert steps >= count
    assert patient.total("athena_session_steps_total", service=form, side="wrapper") >= count
