"""Wrappers in every spelling of the field, unchanged, in a real server: their whole answers are compared.

Each folder of `wrappers/` holds a `wrapper.py` and, in `answers.json`, what it is asked and must answer. There, data
stand in clear: they travel as base64, but for outputs that are JSON.
"""

import base64
import json
import queue
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from athena_serving.sdk.context import Context
from athena_serving.wire.messages import Call, Piece, Reply
from athena_serving.worker import load
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.sessions import Session
from tests.serving import Json, Server
from tests.wire.calls import call

WRAPPERS: Final = Path(__file__).with_name("wrappers")
NAMES: Final = sorted(path.parent.name for path in WRAPPERS.glob("*/wrapper.py"))
PATIENCE: Final = 90.0  # seconds; two dozen workers start at once
KINDS: Final = ("text", "audio", "image")


class Upstream(BaseHTTPRequestHandler):
    """Somebody else's interface: says a prompt in capitals, or fails with the status that it is."""

    def do_POST(self) -> None:
        """One call."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = int(asked["prompt"]) if asked["prompt"].isdecimal() else 200
        body = json.dumps({"said": asked["prompt"].upper(), "by": asked["model"]}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what was wrong."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The address of somebody else's HTTP server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/complete"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Server]:
    """One server of all wrappers; at its end it must stop in time and with exit code 0, whatever they left behind."""
    folder = tmp_path_factory.mktemp("field")
    settings = {
        "wrapper.requrl": upstream,
        "wrapper.log_level": "debug",
        "wrapper.folder": folder,
        "workers.restart_delay": 0.05,
    }
    with Server(folder, [WRAPPERS / name for name in NAMES], settings=settings, ready=False) as server:
        server.wait_ready(PATIENCE)
        yield server


def cases() -> list[tuple[str, int]]:
    """Every question of every wrapper."""
    return [(name, index) for name in NAMES for index in range(len(written(name)))]


def written(name: str) -> list[Json]:
    """What a wrapper is asked and must answer."""
    found: list[Json] = json.loads((WRAPPERS / name / "answers.json").read_text(encoding="utf-8"))
    return found


def request(ask: Json, name: str) -> Json:
    """The request that `ask` is short for."""
    payload = {key: _coded(block) | {"status": 3} for key, block in ask["payload"].items()}
    service = ask.get("service", name)
    return {"header": {"app_id": "123456"}, "parameter": {service: ask.get("parameter", {})}, "payload": payload}


def _coded(block: Json) -> Json:
    """A block with its data in base64; what is no string stays."""
    return {
        key: base64.b64encode(value.encode()).decode() if key in KINDS and isinstance(value, str) else value
        for key, value in block.items()
    }


@pytest.mark.parametrize(("name", "index"), cases())
def test_wrapper_answers_as_it_always_did(field: Server, name: str, index: int) -> None:
    """Status, code, message and every output with every attribute."""
    case = written(name)[index]
    expected = case["answer"]
    got = field.post(name, request(case["ask"], name))
    body = got.json()
    header = body["header"]
    assert (got.status_code, header["code"], header["message"]) == (
        expected["http"],
        expected["code"],
        expected["message"],
    )
    payload = {key: _coded(block) for key, block in expected.get("payload", {}).items()}
    assert (body.get("payload") or {}) == payload


def test_init_that_raised_was_explained_and_tried_again(field: Server) -> None:
    """The wrapper that raises the first time is served now; its first words are in the log."""
    assert field.logged("wrapperInit failed: RuntimeError: the card is not free yet")
    assert field.health()["services"]["fails_once"]["workers"][0]["state"] == "ready"


def test_init_that_returned_nothing_was_warned_of(field: Server) -> None:
    """None counts as 0, and the log says so, by worker."""
    for worker in ("psr_id-0", "raises-0"):
        assert field.logged("wrapperInit returned None", worker=worker)
    assert {line["worker"] for line in field.log("wrapperInit returned None")} == {"psr_id-0", "raises-0"}


def test_inputs_can_be_printed(field: Server) -> None:
    """What 47 of 55 published wrappers log: the list of inputs, without their bytes."""
    assert field.call("bare_except", "private words")[0] == 200
    line = field.logged("got reqdata , [DataListNode(key='data', len=13, type=0, status=3)]")
    assert line["worker"] == "bare_except-0"


def test_errors_stand_in_the_log_with_their_place(field: Server) -> None:
    """The line of the author's file, and the sid that the caller was told."""
    sid = field.call("raises", "raise")[1]["header"]["sid"]
    line = field.logged("wrapperOnceExec raised ValueError", sid=sid)
    source = (WRAPPERS / "raises/wrapper.py").read_text().splitlines()
    number = next(number for number, text in enumerate(source, 1) if "raise ValueError" in text)
    assert line["message"].endswith(f"raises/wrapper.py line {number})")
    assert "no such model" in line["exception"]


def test_what_fini_does_wrong_is_logged_and_the_server_ends_well(tmp_path: Path) -> None:
    """Exit code 0, though one raises in fini and the other leaves threads that are no daemons."""
    with Server(tmp_path, [WRAPPERS / "raises_in_fini", WRAPPERS / "stays_behind"]) as server:
        assert server.stop() == 0
        (line,) = server.log("wrapperFini raised")
        assert line["worker"] == "raises_in_fini-0"
        assert "unexpected keyword argument 'flush'" in line["exception"]
        assert server.log("fini was called")
    assert not server.tree()


def test_wrapper_for_streams_answers_by_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session thread from the pool answers each step; the pool of one refuses a second session with its own code."""
    path = WRAPPERS / "only_streams/wrapper.py"
    monkeypatch.syspath_prepend(str(path.parent))
    adapter = Adapter(load.construct(load.load(path), path), str(path))
    del sys.modules["wrapper"]
    adapter.init({})
    sent: queue.SimpleQueue[Reply] = queue.SimpleQueue()
    session = adapter.sessions.create(*step("sid-1"), sent.put)
    assert isinstance(session, Session)
    for status in (0, 2):
        assert session.write(step("sid-1", status)[0].pieces, {}) is None
        reply = sent.get(timeout=10.0)
        assert (reply.code, reply.status) == (0, status)
    assert bytes(reply.pieces[0].data) == b"datadata"
    refused = adapter.sessions.create(*step("sid-2"))
    assert isinstance(refused, Reply)
    assert (refused.code, refused.message) == (10905, "all sessions are taken;code=40001")
    session.destroy()
    again = adapter.sessions.create(*step("sid-3"))
    assert isinstance(again, Session)
    again.destroy()


def step(sid: str, status: int = 0) -> tuple[Call, Context]:
    """One step of a session, and the session's context."""
    one = call(sid)
    one.params = {"sid": sid}
    one.pieces = [Piece("audio", 1, status, {}, b"data")]
    return one, Context(sid, app="app", service="only_streams", expires=1e9)
