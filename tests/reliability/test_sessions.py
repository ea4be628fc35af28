"""Sessions that their callers leave, and seats that they hold. Rows T1, T2 and T13."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.reliability.forms import BOTH, FORMS
from tests.reliability.streaming import Events, Peer, Streaming, step, streaming, text_of
from tests.serving import Json, eventually

PING: Final = 0.5
"""Seconds of `server.limits.ping_interval` where a test waits for a silent peer."""
SLACK: Final = 3.0
"""Seconds that an end may come late, on a busy machine."""

_numbers = itertools.count()


@pytest.fixture(scope="module", params=[1, 2], ids=["one seat", "two seats"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streaming]:
    """Every form of wrapper, on the main thread and on threads; each test leaves it with free seats."""
    folder = tmp_path_factory.mktemp("sessions")
    sources = [*FORMS.values(), BOTH]
    with streaming(folder, sources, seats=request.param, settings={"server.limits.ping_interval": PING}) as one:
        yield one


@pytest.fixture(autouse=True)
def _dismissed(request: pytest.FixtureRequest) -> Iterator[None]:
    """No session of a test that failed holds a seat of the next one's."""
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").dismiss()


@pytest.fixture
def name() -> str:
    """A name that no other session has."""
    return f"s{next(_numbers)}"


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    """One of the services."""
    return str(request.param)


# ── T1: the caller leaves ─────────────────────────────────────────────────────────────────────────


def close_events(server: Streaming, form: str, name: str) -> None:
    """Read a step of an event stream, then close."""
    with Events(server, form, "hold", name) as events:
        assert events.next() == "first"
        server.until_noted(form, f"holds {name}")


def cut_events(server: Streaming, form: str, name: str) -> None:
    """The same, with RST."""
    events = Events(server, form, "hold", name)
    assert events.next() == "first"
    server.until_noted(form, f"holds {name}")
    events.cut()


def close_lines(server: Streaming, form: str, name: str) -> None:
    """The same, of lines."""
    with Events(server, form, "hold", name, accept="application/x-ndjson") as lines:
        assert lines.next() == "first"
        server.until_noted(form, f"holds {name}")


def leave_one_body(server: Streaming, form: str, name: str) -> None:
    """Ask for one body, and do not wait for it (T2)."""
    link = server.ask(form, "hold", name)
    server.until_noted(form, f"holds {name}")
    link.close()


def close_socket(server: Streaming, form: str, name: str) -> None:
    """Hear a step on a WebSocket, then close as a browser does."""
    peer = Peer(server, form)
    peer.say("hold", name)
    assert peer.next() == "first"
    server.until_noted(form, f"holds {name}")
    peer.leave()


def cut_socket(server: Streaming, form: str, name: str) -> None:
    """T13: the same, but vanish with RST."""
    peer = Peer(server, form)
    peer.say("hold", name)
    assert peer.next() == "first"
    server.until_noted(form, f"holds {name}")
    peer.cut()


LEAVINGS: Final[list[Callable[[Streaming, str, str], None]]] = [
    close_events,
    cut_events,
    close_lines,
    leave_one_body,
    close_socket,
    cut_socket,
]


@pytest.mark.parametrize("leave", LEAVINGS)
def test_who_leaves_ends_user_code_within_the_step(
    server: Streaming, form: str, name: str, leave: Callable[[Streaming, str, str], None]
) -> None:
    """T1, T2, T13: no further step is made, the end runs once and knows that it was cancelled, the seat is free."""
    left = server.closed(form, "client left")
    leave(server, form, name)
    server.until_noted(form, f"ended {name} True")
    server.until_free(form)
    assert server.closed(form, "client left") == left + 1
    assert server.noted(form, f"passed {name}") == 0
    with Events(server, form, "quick", f"{name}-next") as events:
        assert [events.next(), events.next()] == ["one", "two"]
    server.until_noted(form, f"ended {name}-next False")
    assert server.noted(form, f"ended {name} True") == 1
    assert server.noted(form, f"ended {name} False") == 0


@pytest.mark.parametrize("leave", [Peer.leave, Peer.cut])
def test_who_leaves_while_it_is_its_turn_ends_the_session(
    server: Streaming, form: str, name: str, leave: Callable[[Peer], None]
) -> None:
    """T1, T13: a session that waits for its caller ends when that closes or resets its WebSocket."""
    peer = Peer(server, form)
    peer.say("echo", name, "hello", status=0)
    assert peer.next() == "hello"
    leave(peer)
    server.until_noted(form, f"ended {name} True")
    server.until_free(form)
    assert server.noted(form, f"ended {name} True") == 1


def test_what_a_callback_sends_afterwards_finds_nobody(server: Streaming, name: str) -> None:
    """T1: a thread of the wrapper's own learns from `callback` and from its context that nobody waits."""
    peer = Peer(server, "callback")
    peer.say("count", name)
    assert [peer.next() for _ in range(3)] == ["1", "2", "3"]
    peer.leave()
    server.until_noted("callback", f"unheard {name}")
    server.until_noted("callback", f"ended {name} True")
    assert server.noted("callback", f"ended {name} True") == 1


def test_step_that_nothing_can_interrupt_is_the_last(server: Streaming, name: str) -> None:
    """T1: user code that waits in C is told when it comes back: what it makes next is thrown away, and no more made."""
    with Events(server, "sync", "brew", name) as events:
        assert events.next() == "first"
        server.until_noted("sync", f"holds {name}")
    server.until_noted("sync", f"ended {name} True")
    server.until_free("sync")
    assert server.noted("sync", f"passed {name}") == 0


def test_one_of_many_sessions_on_a_connection_leaves_the_others_alone(server: Streaming, name: str) -> None:
    """T1: on a shared connection the end of it ends every session; the end of one session ends no other."""
    with Peer(server, "async", query="?stream_mode=multiplex") as peer:
        peer.say("echo", f"{name}-a", "hello", status=0, cid="a")
        assert peer.next() == "hello"
        if server.health()["services"]["async"]["seats"] > 1:
            peer.say("quick", f"{name}-b", cid="b")
            assert [text_of(frame) for frame in peer.rest("b")][-3:-1] == ["one", "two"]
        peer.add("again", cid="a")
        assert peer.next() == "again"
        assert server.noted("async", f"ended {name}-a True") == 0
        peer.leave()
        server.until_noted("async", f"ended {name}-a True")
    server.until_free("async")
    assert server.noted("async", f"ended {name}-a True") == 1
    assert server.noted("async", f"ended {name}-b True") == 0


def test_operator_ends_a_session_and_its_caller_hears_why(server: Streaming, form: str, name: str) -> None:
    """T1: a session that is cancelled ends as any other; its caller is told by a frame and the close."""
    with Peer(server, form) as peer:
        peer.say("hold", name)
        first = peer.hear()
        server.until_noted(form, f"holds {name}")
        assert server.get("/sessions", admin=True).json()["sessions"]
        assert server.end_session(first["header"]["sid"])
        last = peer.rest()[-1]["header"]
        assert (last["code"], last["sid"]) == (10101, first["header"]["sid"])
        assert peer.ending() == (1000, last["message"])
    server.until_noted(form, f"ended {name} True")
    server.until_free(form)
    assert server.noted(form, f"ended {name} True") == 1


# ── T2: calls behind sessions ─────────────────────────────────────────────────────────────────────


def test_call_that_waits_behind_sessions_is_dropped_when_its_caller_leaves(server: Streaming, name: str) -> None:
    """T2: with every seat held by a session, a call waits; who leaves takes it along, and user code never sees it."""
    seats = server.health()["services"]["both"]["seats"]
    dropped = server.total("athena_dropped_calls_total", service="both")
    holders = [Peer(server, "both") for _ in range(seats)]
    for number, peer in enumerate(holders):
        peer.say("hold", f"{name}-{number}")
        server.until_noted("both", f"holds {name}-{number}")
    link = server.ask("both", "once", name)
    eventually(lambda: server.total("athena_calls_in_flight", service="both") == seats + 1, what="the waiting call")
    link.close()
    eventually(lambda: server.total("athena_dropped_calls_total", service="both") == dropped + 1, what="the drop")
    for number, peer in enumerate(holders):
        server.open_gate("both", f"{name}-{number}")
        assert text_of(peer.rest()[-2]) == "second"
        peer.leave()
    server.until_free("both")
    answer = server.post("both", step("both", what="once", name=f"{name}-after", status=3))
    assert (answer.status_code, text_of(answer.json())) == (200, "once")
    assert server.noted("both", f"called {name}") == 0


# ── T13: the peer vanishes ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["echo", "hold", "count", "flood"])
def test_silent_peer_is_gone_within_the_ping_timeout(server: Streaming, form: str, name: str, what: str) -> None:
    """T13: a peer that neither reads nor answers pings loses its session, whoever's turn it is; its end runs once."""
    peer = Peer(server, form, buffer=4096)
    peer.say(what, name, status=0 if what == "echo" else 2)
    assert peer.hear()["header"]["code"] == 0
    silent = time.monotonic()
    server.until_noted(form, f"ended {name} True", timeout=2 * PING + SLACK)
    assert time.monotonic() - silent > PING / 2, "nobody is given up before its time"
    server.until_free(form)
    assert server.noted(form, f"ended {name} True") == 1
    peer.cut()


def test_peer_that_answers_pings_is_kept(server: Streaming, name: str) -> None:
    """T13: a session on which nothing happens outlives many ping timeouts as long as its peer's pongs come."""
    with Peer(server, "async") as peer:
        peer.say("echo", name, "hello", status=0)
        assert peer.next() == "hello"
        with pytest.raises(TimeoutError):
            peer.hear(4 * PING)  # it listens, and so it answers
        peer.add("still here")
        assert peer.next() == "still here"
        peer.leave()
    server.until_noted("async", f"ended {name} True")
    server.until_free("async")


# ── seats ─────────────────────────────────────────────────────────────────────────────────────────


def test_full_service_refuses_sessions_at_once(server: Streaming, form: str, name: str) -> None:
    """Seats: with all taken, an event stream gets 429 and Retry-After, a WebSocket an error frame; then all is well."""
    seats = server.health()["services"][form]["seats"]
    holders = [Peer(server, form) for _ in range(seats)]
    for number, peer in enumerate(holders):
        peer.say("echo", f"{name}-{number}", "hello", status=0)
        assert peer.next() == "hello"
    assert server.health()["services"][form]["used"] == seats
    assert server.get("/healthz").json()["services"][form]["seats"] == seats
    assert server.used(form) == seats == server.total("athena_sessions", service=form)
    with Events(server, form, "quick", name) as events:
        assert events.status == 429
        assert events.answer.getheader("retry-after")
        document: Json = events.document() or {}
        assert document["header"]["code"] == 10110
    with Peer(server, form) as peer:
        peer.say("quick", name)
        refusal = peer.hear()["header"]
        assert refusal["code"] == 10110
        assert peer.ending() == (1000, refusal["message"])
    assert server.noted(form, f"began {name}") == 0
    holders[0].leave()
    server.until_noted(form, f"ended {name}-0 True")
    eventually(lambda: server.used(form) == seats - 1, what="a free seat")
    with Events(server, form, "quick", name) as events:
        assert [events.next(), events.next()] == ["one", "two"]
    for peer in holders[1:]:
        peer.leave()
    server.until_free(form)
    assert server.health()["services"][form]["used"] == 0
