"""Sessions that are ended from our side: the worker or the door dies, the service stops, reloads, or time is up.

Rows T3, T6 and T7 as far as sessions go, and the clocks of T1.
"""

import os
import signal
import time
from pathlib import Path
from typing import Final

import pytest

from tests.reliability.forms import FORMS, SYNC
from tests.reliability.streaming import Events, Peer, Streaming, streaming, text_of
from tests.serving import Json, eventually, is_alive

AT_ONCE: Final = 1.0
"""Seconds within which a caller must hear that its worker is dead: reliability row T3."""

# ── the worker dies ───────────────────────────────────────────────────────────────────────────────


def workers_of(server: Streaming, service: str) -> set[int]:
    """Pids of the workers."""
    return set(server.workers(service).values())


def test_sessions_of_a_killed_worker_hear_it_within_a_second(tmp_path: Path) -> None:
    """T3: each caller gets an error with 10109, by frame and close or as an event; another worker takes new ones."""
    with streaming(tmp_path, [FORMS["async"]], seats=5, settings={"workers.count": 2}) as server:
        peers = [Peer(server, "async") for _ in range(4)]
        for number, peer in enumerate(peers):
            peer.say("count", f"p{number}")
            assert peer.next() == "1"
        events = [Events(server, "async", "count", f"e{number}") for number in range(4)]
        assert all(one.next() == "1" for one in events)
        victim = server.workers()["async-0"]
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        codes = [*map(last_code_of_peer, peers), *map(last_code_of_events, events)]
        told = time.monotonic() - killed
        assert codes.count(10109) == 4, "sessions are spread evenly"
        assert codes.count(0) == 4, "the other worker's go on"
        assert told < AT_ONCE
        assert server.closed("async", "worker died") == 4
        with Events(server, "async", "quick", "next") as one:
            assert [one.next(), one.next()] == ["one", "two"]
        server.wait_for(
            lambda health: health["services"]["async"]["seats"] == 10 and victim not in workers_of(server, "async")
        )
        server.dismiss()
        server.until_free("async")


def last_code_of_peer(peer: Peer) -> int:
    """The code by which a count ends, as a frame and the close; 0 if it goes on for 20 steps."""
    for _ in range(20):
        header = peer.hear()["header"]
        if header["code"]:
            assert peer.ending() == (1000, header["message"])
            return int(header["code"])
    return 0


def last_code_of_events(events: Events) -> int:
    """The same, as an event."""
    for _ in range(20):
        document = events.document()
        assert document is not None
        if code := int(document["header"]["code"]):
            assert events.kind == "error"
            assert events.document() is None
            return code
    return 0


def test_wrapper_that_ends_its_process_ends_its_session_in_words(tmp_path: Path) -> None:
    """T3: before its first step an event stream still has a status: 503 with 10109 and Retry-After."""
    with streaming(tmp_path, [SYNC], settings={"workers.restart_delay": 0}) as server:
        with Events(server, "sync", "die", "last") as events:
            assert events.status == 503
            assert events.answer.getheader("retry-after")
            document: Json = events.document() or {}
            assert document["header"]["code"] == 10109
        server.wait_for(lambda health: health["ready"])
        server.until_free("sync")


def test_killed_door_ends_its_sessions_and_frees_their_seats(tmp_path: Path) -> None:
    """T6: when the door dies, wrappers learn that nobody waits; each session ends once, and the next door has seats."""
    with streaming(tmp_path) as server:
        peers = {form: Peer(server, form) for form in FORMS}
        for form, peer in peers.items():
            peer.say("hold", "held")
            server.until_noted(form, "holds held")
        os.kill(server.door(), signal.SIGKILL)
        for form, peer in peers.items():
            assert peer.ending() == (1006, "")
            server.until_noted(form, "ended held True")
        eventually(lambda: server.probe("/readyz") == 200, what="the next door")
        for form in FORMS:
            server.until_free(form)
            with Events(server, form, "quick", "next") as events:
                assert [events.next(), events.next()] == ["one", "two"]
            assert server.noted(form, "ended held True") == 1


# ── the service stops, or is replaced ─────────────────────────────────────────────────────────────


def test_stopping_service_lets_sessions_finish(tmp_path: Path) -> None:
    """T6: after SIGTERM a session goes on, to its own end, within `drain_timeout`; nothing new is let in."""
    with streaming(tmp_path, settings={"server.drain_timeout": 30}) as server:
        peers = {form: Peer(server, form) for form in FORMS}
        for peer in peers.values():
            peer.say("echo", "talk", "before", status=0)
            assert peer.next() == "before"
        server.kill(signal.SIGTERM)
        eventually(lambda: server.probe("/readyz") != 200, what="the stop")
        for peer in peers.values():
            peer.add("after")
            assert peer.next() == "after"
        for peer in peers.values():
            peer.add("last", status=2)
            assert text_of(peer.hear()) == "last"
            assert peer.ending()[0] == 1012
        assert server.wait() == 0
        for form in FORMS:
            assert server.noted(form, "ended talk False") == 1
            assert server.noted(form, "ended talk True") == 0
            assert server.noted(form, "fini") == 1


def test_sessions_that_outlast_the_drain_are_ended_with_a_reason(tmp_path: Path) -> None:
    """T6: after `drain_timeout` every caller is told 10110, by frame and close or by event; each ends once."""
    with streaming(tmp_path, settings={"server.drain_timeout": 1}) as server:
        peers = {form: Peer(server, form) for form in FORMS}
        for form, peer in peers.items():
            peer.say("hold", "socket")
            server.until_noted(form, "holds socket")
        events = {form: Events(server, form, "hold", "events") for form in FORMS}
        for form, one in events.items():
            assert one.next() == "first"
            server.until_noted(form, "holds events")
        server.kill(signal.SIGTERM)
        for peer in peers.values():
            last = peer.rest()[-1]["header"]
            assert last["code"] == 10110
            code, reason = peer.ending()
            assert (code, reason) == (1000, last["message"])
        for one in events.values():
            document = one.document()
            assert document is not None
            assert (document["header"]["code"], one.kind) == (10110, "error")
            assert one.document() is None
        assert server.wait() == 0
        for form in FORMS:
            for name in ("socket", "events"):
                assert server.noted(form, f"ended {name} True") == 1
                assert server.noted(form, f"passed {name}") == 0
            assert server.noted(form, "fini") == 1


def test_reload_leaves_running_sessions_with_the_old_worker(tmp_path: Path) -> None:
    """T7: on SIGHUP new sessions go to the new worker at once; old ones go on where they are, to their own end."""
    with streaming(tmp_path) as server:
        old = set(server.workers().values())
        peers = {form: Peer(server, form) for form in FORMS}
        for peer in peers.values():
            peer.say("echo", "talk", "before", status=0)
            assert peer.next() == "before"
        server.kill(signal.SIGHUP)
        server.wait_for(lambda health: all(one["generation"] == 2 for one in health["services"].values()))
        for form in FORMS:
            assert server.made(form, "talk") == 0, "another process"
        for form, peer in peers.items():
            peer.add("after")
            assert peer.next() == "after"
            assert server.noted(form, "ended talk True") == server.noted(form, "ended talk False") == 0
        for peer in peers.values():
            peer.leave()
        eventually(lambda: not any(map(is_alive, old)), what="the end of the old workers")
        for form in FORMS:
            assert server.noted(form, "ended talk True") == 1
            assert server.noted(form, "fini") == 1


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


def test_session_outlives_the_deadline_of_calls(tmp_path: Path) -> None:
    """T1: `call_timeout` is for calls: a longer session is not cancelled, and its worker is not taken for stuck."""
    settings = {"server.limits.call_timeout": 0.5, "workers.stall_timeout": 0.5}
    with streaming(tmp_path, [SYNC], settings=settings) as server:
        worker = server.workers()
        with Peer(server, "sync") as peer:
            began = time.monotonic()
            peer.say("count", "long")
            while time.monotonic() - began < 3.0:
                assert peer.next()
            assert server.workers() == worker
            peer.leave()
        server.until_noted("sync", "ended long True")
        with Peer(server, "sync") as peer:
            peer.say("echo", "whole", "hello", status=0)
            assert peer.next() == "hello"
            with pytest.raises(TimeoutError):
                peer.hear(1.5)
            peer.add("bye", status=2)
            assert peer.next() == "bye"
            assert peer.rest()[-1]["header"]["status"] == 2
        server.until_noted("sync", "ended whole False")
        assert server.workers() == worker


@pytest.mark.parametrize(
    ("setting", "reason", "code"), [("session_timeout", "too long", 10114), ("idle_timeout", "idle", 10114)]
)
def test_session_past_its_time_ends_once(tmp_path: Path, setting: str, reason: str, code: int) -> None:
    """T1: a session that lasts too long is told so, an idle one is closed; either ends once and frees its seat."""
    with streaming(tmp_path, settings={f"stream.{setting}": 1.0}) as server:
        for form in FORMS:
            with Peer(server, form) as peer:
                peer.say("echo", "late", "hello", status=0)
                assert peer.next() == "hello"
                if reason == "too long":
                    assert peer.rest()[-1]["header"]["code"] == code
                assert peer.ending() == (1000, "session timeout" if reason == "too long" else "time out")
            server.until_noted(form, "ended late True")
            server.until_free(form)
            assert server.noted(form, "ended late True") == 1
            assert server.closed(form, reason) == 1
