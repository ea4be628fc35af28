"""Lines 18-31 of wrapper.md, chapter 14: sessions, held against real servers over WebSockets.

They were written for ASF's RPC door, XSF. What they say of it alone is not here, since that door comes with a later
version: `sync_id`, its gaps, repetitions and late arrivals (20), handles that are unknown or long gone, 10008 and 10101
(25), polls of AIOut (23), `waitTime` in a request's parameters (19), the code in XSF's own envelope (18). What a
WebSocket has in their place is said by each test.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.compat import golden
from tests.compat.conftest import Serve
from tests.compat.golden import Json
from tests.compat.talking import Talk, data_of, frame
from tests.serving import Server, eventually, request_of

LINES: Final = Path(__file__).parent / "wrappers" / "lines"


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server of the three; that of `writes` has an aiges.toml that wants no results before the last input."""
    return serve([LINES / name for name in ("writes", "reads", "pieces")], workers__seats=4)


@pytest.fixture(scope="module")
def brisk(serve: Serve) -> Server:
    """One seat, no queue, and little patience: three seconds with a silent caller, one with a silent wrapper."""
    return serve([LINES / "writes"], workers__queue=0, stream__idle_timeout=3, stream__stall_timeout=1)


FULL: Final = (10110, "all 1 seats are taken, and a session does not wait for one")
"""What a session hears where no seat is free."""


def talk_to(server: Server, service: str = "writes", query: str = "") -> Talk:
    """A connection to a service."""
    return Talk(server.port, f"/v1/private/{service}{query}")


def say(words: str, status: int = 1, service: str = "writes", **params: str) -> Json:
    """A frame that tells the wrapper what to do."""
    return frame(service, status, params=params or None, text=words.encode())


def begun(talk: Talk) -> str:
    """The sid of a session that has begun."""
    first = talk.hear()
    assert (first["header"]["code"], first["header"]["status"]) == (0, 0), first
    assert "payload" not in first
    return str(first["header"]["sid"])


def failure(document: Json) -> tuple[int, str]:
    """Code and message of an error frame."""
    return document["header"]["code"], document["header"]["message"]


def texts(frames: list[Json], key: str = "result") -> list[str]:
    """What an output said in these frames."""
    return [data_of(one, key).decode() for one in frames if key in one["payload"]]


def destroyed_once(server: Server, sid: str) -> None:
    """`wrapperDestroy` was called with this session's handle, and not twice."""
    assert server.logged(f"destroyed h-{sid}")
    assert len(server.log(f"destroyed h-{sid}")) == 1


@contextmanager
def seated(server: Server, document: Json, query: str = "") -> Iterator[tuple[Talk, str]]:
    """A session that has begun with this frame, and its sid, as soon as the one before it has left its seat."""
    with ExitStack() as stack:

        def begin() -> tuple[Talk, str] | None:
            talk = stack.enter_context(talk_to(server, query=query))
            talk.send(document)
            header = talk.hear()["header"]
            return None if header["code"] == FULL[0] else (talk, header["sid"])

        found = eventually(begin, what="a free seat")
        assert found is not None
        yield found


def is_let_in(server: Server) -> bool:
    """Does a new session get a seat?"""
    with talk_to(server) as talk:
        talk.send(say("quiet"))
        return bool(talk.hear()["header"]["code"] == 0)


# ── 18, 19: seats ─────────────────────────────────────────────────────────────────────────────────


def test_line_18_second_session_is_refused_at_once(brisk: Server) -> None:
    """One seat: 10110 for the second, over a WebSocket as over SSE, with Retry-After where there are headers."""
    with seated(brisk, say("quiet")), talk_to(brisk) as second:
        second.send(say("quiet"))
        assert failure(second.hear()) == FULL
        assert second.end() == (1000, FULL[1])
        request = json.dumps(request_of("writes", "quiet", key="text")).encode()
        fields = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        answer = golden.send(brisk.port, "POST", "/v1/private/writes", fields, request)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, 10110, "1")


def test_line_19_silent_wrapper_is_given_up_and_its_seat_is_free_when_it_returns(brisk: Server, tmp_path: Path) -> None:
    """10102 after `stream.stall_timeout`; a wrapper that waits in C keeps its seat until that returns."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with seated(brisk, say(f"hang {pipe}", 2)) as (talk, sid):
        words = "the wrapper has been silent for 1 seconds (setting stream.stall_timeout)"
        assert failure(talk.hear()) == (10102, words)
        assert talk.end() == (1000, words)
    assert not is_let_in(brisk)
    assert not brisk.log(f"destroyed h-{sid}")
    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))  # now it returns; there would be an error if nobody waited
    eventually(lambda: is_let_in(brisk), what="a free seat")
    destroyed_once(brisk, sid)


# ── 20 to 23: what comes in ───────────────────────────────────────────────────────────────────────


def test_line_20_frames_are_written_in_the_order_of_their_coming(server: Server) -> None:
    """A connection keeps its order: a caller's own `seq` is handed on and moves nothing."""
    with talk_to(server) as talk:
        for place, number in enumerate((7, 3, 5)):
            document = say("seq", place)
            document["payload"]["text"]["seq"] = number
            talk.send(document)
        begun(talk)
        assert texts(talk.hear_last()) == ["7", "3", "5"]


def test_line_21_frame_without_a_payload_is_not_written(server: Server) -> None:
    """The session goes on; `wrapperWrite` is called for the others only."""
    with talk_to(server) as talk:
        talk.send(frame("writes", 0), frame("writes", 1), say("count"), frame("writes", 1), say("count", 2))
        begun(talk)
        assert texts(talk.hear_last()) == ["1", "2"]


def test_line_22_input_is_over_when_each_stream_is(server: Server) -> None:
    """Two streams: the one that ends first does not end the session, nor does the header that says 1."""
    with talk_to(server, "pieces") as talk:
        for key, status in (("audio", 0), ("text", 0), ("audio", 2), ("text", 1), ("text", 2)):
            document = frame("pieces", min(status, 1), params=None, **{key: b"x"})
            document["payload"][key]["status"] = status
            talk.send(document)
        begun(talk)
        said = ["audio 0", "text 0", "audio 2", "text 1", "text 2"]
        assert texts([talk.hear() for _ in range(6)]) == [*said, "all heard"]
        assert talk.hear()["header"]["status"] == 2


def test_line_23_results_come_when_they_are_there(server: Server) -> None:
    """Before the last input, whatever an aiges.toml says of `realTimeRlt`."""
    with talk_to(server) as talk:
        talk.send(say("echo one", 0))
        begun(talk)
        assert texts([talk.hear()]) == ["one"]
        talk.send(say("echo two", 1))
        assert texts([talk.hear()]) == ["two"]
        talk.send(say("echo three", 2))
        assert texts(talk.hear_last()) == ["three"]


# ── 24, 25: callback, and the end ─────────────────────────────────────────────────────────────────


def test_line_24_callback_finds_its_session_by_every_id(server: Server) -> None:
    """By tag, sid, handle, and by two of them, each from a thread of its own: 0 and a result."""
    with talk_to(server) as talk:
        talk.send(say("forms", 0))
        begun(talk)
        assert sorted(texts([talk.hear() for _ in range(5)])) == ["1", "1", "1", "2", "2"]
    assert server.logged("callback said [0, 0, 0, 0, 0]")


def test_line_24_callback_after_the_end_is_refused(server: Server) -> None:
    """-1 after the last result, by sid and by handle, though the session's method still runs."""
    with talk_to(server) as talk:
        talk.send(say("twice x", 1))
        sid = begun(talk)
        assert texts(talk.hear_last()) == ["x"]
        assert talk.leave() == []
    assert server.logged(f"callback said [0, -1, -1] to {sid}")


def test_line_25_last_result_ends_the_session(server: Server) -> None:
    """Status 2 in its header, `wrapperDestroy`, and a close for who goes on; the seat is the next one's."""
    with talk_to(server) as talk:
        talk.send(say("echo x", 0), say("echo y", 2))
        sid = begun(talk)
        assert [one["header"]["status"] for one in talk.hear_last()] == [0, 2]
        destroyed_once(server, sid)
        talk.send(say("echo z"))
        assert talk.end() == (1000, "the session is over")
    assert is_let_in(server)


def test_line_25_session_of_a_shared_connection_ends_alone(server: Server) -> None:
    """10200 for a frame of a session that is over; a fresh `cid` begins another."""
    with talk_to(server, query="?stream_mode=multiplex") as talk:
        for cid in ("first", "second"):
            document = say("echo x", 2)
            document["header"]["cid"] = cid
            talk.send(document)
            begun(talk)
            assert texts(talk.hear_last()) == ["x"]
            talk.send(document)
            assert failure(talk.hear()) == (10200, "the session is over: begin another with a fresh cid")


def test_line_25_session_of_a_shared_connection_that_was_idle_is_told_so(brisk: Server) -> None:
    """After `stream.idle_timeout` the session is destroyed, and the connection stays: 10200 for its next frame."""
    document = say("quiet", 0)
    document["header"]["cid"] = "A"
    with seated(brisk, document, query="?stream_mode=multiplex") as (talk, sid):
        destroyed_once(brisk, sid)
        talk.send(document)
        assert failure(talk.hear()) == (10200, "session read timeout #mu")


# ── 26, 27: wrapperDestroy ────────────────────────────────────────────────────────────────────────


def test_line_26_destroy_is_called_once_when_the_caller_leaves(server: Server) -> None:
    """In the middle of the session."""
    with talk_to(server) as talk:
        talk.send(say("echo x", 0))
        sid = begun(talk)
        assert texts([talk.hear()]) == ["x"]
    destroyed_once(server, sid)


def test_line_26_destroy_is_called_once_when_the_caller_is_silent(brisk: Server) -> None:
    """After `stream.idle_timeout`, which closes the connection."""
    with seated(brisk, say("quiet", 0)) as (talk, sid):
        assert talk.end() == (1000, "time out")
    destroyed_once(brisk, sid)


@pytest.mark.parametrize(
    ("ctrl", "message"),
    [("refuse", "user error defined here;code=40001"), ("raise", "RuntimeError: no model;code=-1")],
)
def test_line_27_session_that_was_not_made_is_not_destroyed(server: Server, ctrl: str, message: str) -> None:
    """10905, no acknowledgement before it, and no `wrapperDestroy`."""
    with talk_to(server) as talk:
        talk.send(say("echo x", 0, ctrl=ctrl))
        failed = talk.hear()
        assert failure(failed) == (10905, message)
        assert talk.end() == (1000, message)
    assert is_let_in(server)  # and what came of the first is in the log before what comes of this one
    assert server.log(f"destroyed h-{failed['header']['sid']}") == []


def test_line_27_session_whose_write_failed_is_destroyed_once(server: Server) -> None:
    """10907 with the words of `wrapperError`."""
    with talk_to(server) as talk:
        talk.send(say("echo x", 0), say("code 7"))
        sid = begun(talk)
        assert texts([talk.hear()]) == ["x"]
        assert failure(talk.hear()) == (10907, "user error defined here;code=7")
        assert talk.end() == (1000, "user error defined here;code=7")
    destroyed_once(server, sid)


# ── 28 to 30: what goes out ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("words", "output"), [("key nosuch", "'nosuch' (text)"), ("type 2", "'result' (image)")])
def test_line_28_output_that_is_not_declared_ends_the_session(server: Server, words: str, output: str) -> None:
    """10106 in ASF's words for streams, with what was wrong; the session is destroyed."""
    message = (
        f"wrapper output data invalid(key or type): {output} is not among the declared outputs: "
        "result (text), more (text)"
    )
    with talk_to(server) as talk:
        talk.send(say(words, 0))
        sid = begun(talk)
        assert failure(talk.hear()) == (10106, message)
        assert talk.end() == (1000, message[:123])
    destroyed_once(server, sid)


def test_line_28_results_before_it_are_heard(server: Server) -> None:
    """What was right is sent, however soon what is wrong comes after it."""
    with talk_to(server) as talk:
        talk.send(say("spoil nosuch", 0))
        begun(talk)
        frames = talk.hear_last()
        assert failure(frames[-1])[0] == 10106
        assert texts(frames[:-1]) == ["0", "1", "2"]


def test_line_29_outputs_are_numbered_each_for_itself(server: Server) -> None:
    """1, 2, 3 for each key; what the caller asked for of an output comes back with it."""
    with talk_to(server) as talk:
        wish = {"encoding": "gbk", "format": "plain"}
        talk.send(frame("writes", 0, params={"result": wish}, text=b"both x"), say("both y"))
        begun(talk)
        frames = [talk.hear() for _ in range(6)]
    blocks = [(key, block) for one in frames for key, block in one["payload"].items()]
    assert [(key, block["seq"]) for key, block in blocks] == [
        ("result", 1),
        ("more", 1),
        ("result", 2),
        ("result", 3),
        ("more", 2),
        ("result", 4),
    ]
    for key, block in blocks:
        assert block["status"] == 1
        if key == "result":
            assert {name: block[name] for name in wish} == wish


def test_line_29_one_answer_has_number_0(server: Server) -> None:
    """A session that is called by one request: seq 0 and status 3."""
    status, body = server.call("writes", "twice x", key="text")
    assert status == 200
    assert (body["payload"]["result"]["seq"], body["payload"]["result"]["status"]) == (0, 3)


def test_line_30_results_are_read_until_there_are_some(server: Server) -> None:
    """Nothing at the first reads, then the result."""
    with talk_to(server, "reads") as talk:
        talk.send(say("x", 2, "reads", ctrl="12"))
        begun(talk)
        assert texts(talk.hear_last()) == ["12"]


def test_line_30_reading_has_an_end(server: Server) -> None:
    """After the last input 100 reads that give nothing, 50 ms apart; then the caller is told that this was all."""
    with talk_to(server, "reads") as talk:
        talk.send(say("x", 2, "reads", ctrl="-1"))
        sid = begun(talk)
        last = talk.hear()
        assert last["header"]["status"] == 2
        assert not last.get("payload")
        assert server.logged(f"destroyed {sid} after 101 reads")


# ── 31: the end of the server ─────────────────────────────────────────────────────────────────────


def test_line_31_sigterm_lets_sessions_end(tmp_path: Path) -> None:
    """The session goes on to its last result, then come `wrapperDestroy` and `wrapperFini`, and exit code 0."""
    with Server(tmp_path, LINES / "writes", settings={"server.drain_timeout": 30}) as server:
        with talk_to(server) as talk:
            talk.send(say("echo one", 0))
            sid = begun(talk)
            assert texts([talk.hear()]) == ["one"]
            server.kill(signal.SIGTERM)
            assert server.logged("stopping", signal="SIGTERM")
            talk.send(say("echo two", 1))
            assert texts([talk.hear()]) == ["two"]
            talk.send(say("echo three", 2))
            assert texts(talk.hear_last()) == ["three"]
        assert server.wait() == 0
        destroyed_once(server, sid)
        messages = [line["message"] for line in server.log()]
        assert messages.index(f"destroyed h-{sid}") < messages.index("fini")
