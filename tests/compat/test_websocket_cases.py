"""W1 to W24: the conformance cases of ASF's gateway over WebSockets (http-api.md 12.2), against real servers.

What was ASF's business layer, which answered each frame and pushed results, is here a wrapper with `wrapperCreate`,
`wrapperWrite`, `wrapperRead`, `wrapperDestroy` and `callback`. The fixture is ASF's: statuses 0 to 2, an input `audio`,
`read_timeout` and `session_timeout` in the schema. A row of docs/compatibility.md says where each case stands.
"""

import contextlib
import json
import shutil
import threading
from pathlib import Path
from typing import Final

import pytest
from websockets.exceptions import ConnectionClosed

from tests.compat.conftest import Serve
from tests.compat.golden import SID, Json
from tests.compat.talking import Talk, frame, refused
from tests.serving import Server

WRAPPER: Final = Path(__file__).parent / "wrappers" / "cases" / "pushes" / "wrapper.py"
"""One wrapper for all services here; their `schema.json` says how they are called and how long they wait."""

SPEECH: Final = "/v1/private/speech"
BRISK: Final = "/v1/private/brisk"
MULTIPLEX: Final = "?stream_mode=multiplex"


def schema(service: str, **meta: object) -> Json:
    """The schema of the cases: the status is required and 0, 1 or 2, the input is `audio`, the output `boxes`."""
    short = {"type": "string", "maxLength": 50}
    status = {"type": "integer", "enum": [0, 1, 2]}
    header = {"type": "object", "properties": {"app_id": short, "status": status}, "required": ["app_id", "status"]}
    wish = {"type": "object", "properties": {"format": {"type": "string", "defaultVal": "json"}}}
    params = {"type": "object", "properties": {service: {"type": "object", "properties": {"boxes": wish}}}}
    audio = {"type": "object", "properties": {"audio": {"type": "string"}, "status": status, "seq": {}}}
    payload = {"type": "object", "properties": {"audio": audio}}
    numbers = {"type": "object", "properties": {"status": {"type": "integer"}, "seq": {"type": "integer"}}}
    streams = {"input": {"audio": {"dataType": "audio"}}, "accept": {"boxes": {"dataType": "text"}}}
    return {
        "meta": {"serviceId": service, "version": "v1", "service": [service], service: streams, **meta},
        "schemainput": {"type": "object", "properties": {"header": header, "parameter": params, "payload": payload}},
        "schemaoutput": {"type": "object", "properties": {"payload": {"properties": {"boxes": numbers}}}},
    }


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Service `speech` waits as long as it takes; `brisk` two seconds, and lasts four."""
    folder = tmp_path_factory.mktemp("websocket")
    documents = (schema("speech", read_timeout=30), schema("brisk", read_timeout=2, session_timeout=4))
    places = [place(folder, one, settings="[workers]\nseats = 8\n") for one in documents]
    return serve(places, server__check_consumer=True)


def place(folder: Path, document: Json, *, settings: str) -> Path:
    """A service's folder: the wrapper, its schema document, and its athena.toml."""
    folder = folder / str(document["meta"]["serviceId"])
    folder.mkdir()
    (folder / "schema.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "athena.toml").write_text(settings, encoding="utf-8")
    shutil.copy(WRAPPER, folder)
    return folder


def say(status: int, words: str = "quiet", service: str = "speech") -> Json:
    """A frame that tells the wrapper what to do."""
    return frame(service, status, audio=words.encode())


def of(cid: str, document: Json) -> Json:
    """The same frame, of the session `cid` of a shared connection."""
    return {**document, "header": {**document["header"], "cid": cid}}


def acknowledgement(talk: Talk) -> str:
    """Hear that the session has begun; its sid."""
    header = talk.hear()["header"]
    assert (header["code"], header["status"]) == (0, 0)
    return str(header["sid"])


def failure(document: Json) -> tuple[int, str]:
    """Code and message of an error frame."""
    assert "payload" not in document
    header = document["header"]
    assert SID.match(header["sid"])
    assert header["status"] == 0
    return header["code"], header["message"]


def closed_with(talk: Talk, code: int, message: str) -> None:
    """An error frame comes, then a close with its message."""
    assert failure(talk.hear()) == (code, message)
    assert talk.end() == (1000, message)


# ── results ───────────────────────────────────────────────────────────────────────────────────────


def test_w1_unknown_route(server: Server) -> None:
    """404 in JSON instead of a handshake."""
    answer = refused(server.port, "/v1/private/nope")
    assert answer.status == 404
    assert answer.kind == "application/json; charset=utf-8"
    assert answer.json == {"message": "not found", "services": ["brisk", "speech"]}


def test_w2_first_frame_without_data_is_acknowledged(server: Server) -> None:
    """Code 0, status 0 and the sid, without a payload."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0))
        first = talk.hear()
        sid = first["header"].pop("sid")
        assert SID.match(sid)
        assert first == {"header": {"code": 0, "message": "success", "status": 0}}


def test_w3_later_frame_without_data_is_not_answered(server: Server) -> None:
    """What comes next is the answer to the frame after it."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0), say(1), say(1), say(1, "echo [1]"))
        acknowledgement(talk)
        assert talk.hear()["payload"]["boxes"]["text"] == [1]


def test_w4_results_are_pushed_and_numbered(server: Server) -> None:
    """Three results: status 0, 1, 2 in the header, one sid, seq 1, 2, 3 as numbers, data as JSON."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0), say(1), say(2, "push 0 1 2"))
        sid = acknowledgement(talk)
        results = [talk.hear() for _ in range(3)]
        assert talk.leave() == []
    assert [one["header"] for one in results] == [
        {"code": 0, "message": "success", "sid": sid, "status": status} for status in (0, 1, 2)
    ]
    boxes = {"format": "json", "text": [{"filename": "0", "x": 1.5}]}
    assert [one["payload"] for one in results] == [
        {"boxes": {**boxes, "status": status, "seq": status + 1}} for status in (0, 1, 2)
    ]


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


def test_w5_connection_stays_open_after_the_last_result(server: Server) -> None:
    """It is the idle timeout that closes it: `time out`, with no frame before."""
    with Talk(server.port, BRISK) as talk:
        talk.send(say(2, "push 2", "brisk"))
        acknowledgement(talk)
        assert talk.hear()["header"]["status"] == 2
        assert talk.end() == (1000, "time out")


def test_w6_silent_connection_is_closed(server: Server) -> None:
    """Nothing is sent but the close."""
    with Talk(server.port, BRISK) as talk:
        assert talk.end() == (1000, "time out")


def test_w7_ping_is_answered_and_keeps_nothing_open(server: Server) -> None:
    """Each ping has its pong, and the idle timeout comes all the same, while they go on."""
    with Talk(server.port, BRISK) as talk:
        talk.send(say(0, service="brisk"))
        acknowledgement(talk)
        over = threading.Event()
        pongs: list[bool] = []

        def ping() -> None:
            with contextlib.suppress(ConnectionClosed):
                while not over.wait(0.1):
                    pongs.append(talk.connection.ping().wait(1.0))

        pinger = threading.Thread(target=ping)
        pinger.start()
        try:
            assert talk.end() == (1000, "time out")
        finally:
            over.set()
            pinger.join()
    assert pongs[:3] == [True] * 3


def test_w15_session_has_a_longest_time(server: Server) -> None:
    """However often frames come: 10114 and a close, both `session timeout`; here at once, not at the next frame."""
    with Talk(server.port, BRISK) as talk:
        talk.send(say(0, service="brisk"))
        acknowledgement(talk)
        over = threading.Event()

        def keep_sending() -> None:
            with contextlib.suppress(ConnectionClosed):
                while not over.wait(0.2):
                    talk.send(say(1, service="brisk"))

        sender = threading.Thread(target=keep_sending)
        sender.start()
        try:
            last = talk.hear()
        finally:
            over.set()
            sender.join()
        assert failure(last) == (10114, "session timeout")
        assert talk.end() == (1000, "session timeout")


def test_w23_no_frame_has_a_time_of_its_own(serve: Serve, tmp_path: Path) -> None:
    """A wrapper may think as long as `stream.stall_timeout`; then 10102, where ASF had 10222 after 5 seconds."""
    settings = "[stream]\nstall_timeout = 1\n"
    server = serve([place(tmp_path, schema("slow"), settings=settings)])
    done = tmp_path / "done"
    with Talk(server.port, "/v1/private/slow") as talk:
        talk.send(say(2, f"until {done}", "slow"))
        acknowledgement(talk)
        closed_with(talk, 10102, "the wrapper has been silent for 1 seconds (setting stream.stall_timeout)")
    done.touch()


# ── frames that are none ──────────────────────────────────────────────────────────────────────────


def test_w8_bad_json(server: Server) -> None:
    """10163 with ASF's words, in the frame and in the close."""
    with Talk(server.port, SPEECH) as talk:
        talk.send("{bad")
        closed_with(talk, 10163, "parse request json error")


def test_w9_no_app_id(server: Server) -> None:
    """10313, in the words for WebSockets."""
    with Talk(server.port, SPEECH) as talk:
        talk.send({"header": {"status": 0}})
        closed_with(talk, 10313, "app_id cannot be empty")


def test_w10_status_outside_the_enum(server: Server) -> None:
    """10163, the place and the values that there are, without a word before."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(frame("speech", 7))
        closed_with(talk, 10163, "'$.header.status' must be one of [0 1 2]; ")


def test_w11_bad_base64(server: Server) -> None:
    """10163; the reason of the close is cut to the 123 bytes that fit, where ASF could not send it."""
    document = say(0)
    document["payload"]["audio"]["audio"] = "@@@"
    with Talk(server.port, SPEECH) as talk:
        talk.send(document)
        code, message = failure(talk.hear())
        assert code == 10163
        assert message == (
            "resolve request error:base64 decode error,input stream,field : 'audio' must be encode to base64 string. "
            "error:illegal base64 data at input byte 0"
        )
        assert talk.end() == (1000, message[:123])


def test_w16_frame_without_a_header_goes_on(server: Server) -> None:
    """The session is the same, and the place of its inputs counts."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0))
        sid = acknowledgement(talk)
        for status in (1, 2):
            document = say(status, f"echo {status}")
            del document["header"]
            talk.send(document)
            result = talk.hear()
            assert result["header"] == {"code": 0, "message": "success", "sid": sid, "status": status}
            assert result["payload"]["boxes"]["text"] == status


def test_w18_binary_frames_are_text(server: Server) -> None:
    """What comes as binary is read as JSON, and answered as text."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(json.dumps(say(2, "echo 5")).encode())
        acknowledgement(talk)
        assert talk.hear()["payload"]["boxes"]["text"] == 5


def test_w22_cid_on_a_connection_of_one_session(server: Server) -> None:
    """No schema has it."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(of("a", say(0)))
        closed_with(talk, 10163, "'$.header.cid' unknown field; ")


# ── failures ──────────────────────────────────────────────────────────────────────────────────────


def test_w12_failure_ends_the_session(server: Server) -> None:
    """A code of `wrapperWrite`: 10907 with the wrapper's words, then the close."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0), say(1, "code 100"))
        sid = acknowledgement(talk)
        closed_with(talk, 10907, "no luck;code=100")
    assert server.logged(f"destroyed the handle of {sid}")


def test_w13_no_code_is_kept_from_the_caller(server: Server) -> None:
    """There is no `ignore_resp_codes`: whatever the code, the error frame comes before the close."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0, "code 10101"))
        acknowledgement(talk)
        closed_with(talk, 10907, "no luck;code=10101")


@pytest.mark.parametrize(("words", "code"), [("unreadable", 10908), ("error 7", 10910)])
def test_w14_pushed_failure_leaves_the_connection_open(server: Server, words: str, code: int) -> None:
    """The error frame comes, and no close; the session is over, which the next frame is told."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0, words))
        sid = acknowledgement(talk)
        assert failure(talk.hear()) == (code, "no luck;code=7")
        assert server.logged(f"destroyed the handle of {sid}")
        assert talk.connection.ping().wait(10)
        talk.send(say(1))
        assert talk.end() == (1000, "the session is over")


def test_w17_consumer_of_another_name(server: Server) -> None:
    """10313 at the first frame, not at the handshake; the right name is let in."""
    with Talk(server.port, SPEECH, {"X-Consumer-Username": "another"}) as talk:
        talk.send(say(0))
        closed_with(talk, 10313, "app_id and api_key does not match")
    with Talk(server.port, SPEECH, {"X-Consumer-Username": "123456"}) as talk:
        talk.send(say(0))
        acknowledgement(talk)


def test_w24_client_that_leaves_ends_its_session(server: Server) -> None:
    """`wrapperDestroy` is called with the session's handle, once, without a second's delay."""
    with Talk(server.port, SPEECH) as talk:
        talk.send(say(0))
        sid = acknowledgement(talk)
    assert server.logged(f"destroyed the handle of {sid}")
    with Talk(server.port, SPEECH) as talk:  # what came of the first is in the log before what comes of this one
        talk.send(say(0))
        other = acknowledgement(talk)
    assert server.logged(f"destroyed the handle of {other}")
    assert len(server.log(f"destroyed the handle of {sid}")) == 1


# ── several sessions on one connection ────────────────────────────────────────────────────────────


def test_w19_sessions_share_a_connection(server: Server) -> None:
    """Each `cid` has a sid of its own, its own numbers, and is said in every frame of its session."""
    with Talk(server.port, SPEECH + MULTIPLEX) as talk:
        sids: dict[str, str] = {}
        for cid in ("A", "B"):
            talk.send(of(cid, say(0)))
            header = talk.hear()["header"]
            assert (header["cid"], header["status"]) == (cid, 0)
            sids[cid] = header["sid"]
        assert len({*sids.values()}) == 2
        for status, cid in ((1, "B"), (1, "A"), (2, "A"), (2, "B")):
            talk.send(of(cid, say(status, f'echo "{cid}{status}"')))
            result = talk.hear()
            header = {"code": 0, "message": "success", "sid": sids[cid], "cid": cid, "status": status}
            assert result["header"] == header
            boxes = {"format": "json", "seq": status, "status": status, "text": f"{cid}{status}"}
            assert result["payload"] == {"boxes": boxes}


def test_w20_failure_of_one_session_is_its_own(server: Server) -> None:
    """The error frame names the session; the other one and the connection go on."""
    with Talk(server.port, SPEECH + MULTIPLEX) as talk:
        talk.send(of("A", say(0)))
        sid = talk.hear()["header"]["sid"]
        talk.send(of("B", say(0)))
        assert talk.hear()["header"]["cid"] == "B"
        talk.send(of("A", say(1, "code 5")))
        failed = talk.hear()
        assert (failed["header"].pop("cid"), failed["header"]["sid"]) == ("A", sid)
        assert failure(failed) == (10907, "no luck;code=5")
        talk.send(of("B", say(2, "echo 1")))
        result = talk.hear()
        assert (result["header"]["cid"], result["payload"]["boxes"]["text"]) == ("B", 1)


def test_w21_bad_json_on_a_shared_connection(server: Server) -> None:
    """10163 with a comma, no `cid`, a sid of its own; the connection stays open."""
    with Talk(server.port, SPEECH + MULTIPLEX) as talk:
        talk.send("{bad")
        failed = talk.hear()
        assert "cid" not in failed["header"]
        assert failure(failed) == (10163, "parse request json error,")
        talk.send(of("A", say(2, "echo 1")))
        first, last = talk.hear(), talk.hear()
        assert first["header"]["sid"] != failed["header"]["sid"]
        assert last["payload"]["boxes"]["text"] == 1
