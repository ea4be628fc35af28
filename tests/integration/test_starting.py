"""What probes and callers are told while a service starts, when it cannot, and when it can at last."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.actor import ACTOR
from tests.serving import ECHO, Json, Server, eventually, request_of

SLOW_INIT = '''
import os, time
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "slow"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        """Waits for a file that says what becomes of it."""
        while not os.path.exists(config["gate"]):
            time.sleep(0.01)
        said = open(config["gate"]).read()
        print("the gate says", said)
        if said == "raise":
            raise RuntimeError("no weights here")
        return int(said)

    def wrapperError(self, code):
        return "the card is full" if code == 5 else ""

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=reqData.get("data").data)])
'''


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that `wrapperInit` waits for."""
    return tmp_path / "gate"


@pytest.fixture
def starting(tmp_path: Path, gate: Path) -> Iterator[Server]:
    """A server whose only worker is in `wrapperInit`."""
    settings = {"wrapper.gate": gate, "workers.restart_delay": 0.05, "workers.restart_delay_max": 0.2}
    with Server(tmp_path, SLOW_INIT, settings=settings, ready=False) as server:
        server.wait_for(lambda health: "slow" in health["services"])
        eventually(lambda: server.probe("/livez") == 200, what="the door")
        yield server


def worker(health: Json) -> Json:
    """The only worker of service `slow`."""
    found: Json = health["services"]["slow"]["workers"][0]
    return found


def is_given_up(health: Json) -> bool:
    """Has it been tried too often?"""
    return "slow" in health["services"] and worker(health)["state"] == "given up"


def say(gate: Path, word: str) -> None:
    """Let `wrapperInit` go on; it never sees half a word."""
    draft = gate.with_suffix(".draft")
    draft.write_text(word)
    draft.rename(gate)


def test_probes_tell_the_truth_while_it_starts(starting: Server) -> None:
    """Alive on both ports, ready on none, and the reason in the body."""
    for admin in (False, True):
        assert starting.probe("/livez", admin=admin) == 200
        assert starting.probe("/healthz", admin=admin) == 200
        answer = starting.get("/readyz", admin=admin)
        body = answer.json()
        assert (answer.status_code, body["ready"], body["state"]) == (503, False, "starting")
        assert body["reasons"] == ["starting", "service slow: slow-0 starting"]
        assert worker(body)["pid"] > 0


def test_caller_is_told_to_come_back_while_it_starts(starting: Server) -> None:
    """A call before the first worker is ready gets 503, code 10110, Retry-After and the reason."""
    answer = starting.post("slow", request_of("slow", "hi"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    header = answer.json()["header"]
    assert header["code"] == 10110
    assert header["message"] == "service slow cannot be called: slow-0 starting"
    assert answer.headers["x-request-id"] == header["sid"]


def test_readiness_comes_with_the_first_worker(starting: Server, gate: Path) -> None:
    """When `wrapperInit` returns 0 both ports say 200 and calls are answered."""
    say(gate, "0")
    starting.wait_ready()
    assert starting.get("/readyz").json()["reasons"] == []
    assert starting.probe("/readyz", admin=True) == 200
    assert starting.call("slow", "hi")[0] == 200


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("raise", r"wrapperInit failed: RuntimeError: no weights here \(.*/wrapper\.py:2\d  raise RuntimeError\("),
        ("5", r"wrapperInit returned 5: the card is full \(.*/wrapper\.py\)"),
    ],
)
def test_failed_init_is_explained_and_tried_again(starting: Server, gate: Path, said: str, reason: str) -> None:
    """The reason has the text and the line, in probes and answers; the server lives, tries again, and works at last."""
    say(gate, said)
    health = starting.wait_for(
        lambda health: worker(health).get("restarts", 0) >= 2 and worker(health)["state"] == "waiting"
    )
    assert re.search(reason, worker(health)["reason"])
    assert "the gate says" in worker(health)["last_lines"][0]
    assert "next start in" in worker(health)["reason"]
    assert starting.probe("/livez") == starting.probe("/livez", admin=True) == 200
    answer = starting.get("/readyz")
    assert answer.status_code == 503
    assert starting.call("slow", "hi")[0] == 503
    say(gate, "0")
    starting.wait_ready()
    assert starting.call("slow", "hi")[0] == 200
    assert starting.total("athena_worker_restarts_total", reason="init") >= 2


def test_failed_init_stands_in_the_log_with_its_traceback(starting: Server, gate: Path) -> None:
    """The author finds the traceback of `wrapperInit` in the log, on a line with the worker's name."""
    say(gate, "raise")
    line = eventually(lambda: starting.log("wrapperInit failed: RuntimeError: no weights here"))[0]
    assert line["worker"] == "slow-0"
    assert line["exception"].endswith("RuntimeError: no weights here")


def test_too_many_failures_end_in_giving_up(tmp_path: Path, gate: Path) -> None:
    """After `restart_limit` deaths in a row the state says so and why; the server stays up and unready."""
    say(gate, "raise")
    settings = {"wrapper.gate": gate, "workers.restart_delay": 0.01, "workers.restart_limit": 3}
    with Server(tmp_path, SLOW_INIT, settings=settings, ready=False) as server:
        health = server.wait_for(is_given_up)
        assert "gave up after 3 deaths in a row" in worker(health)["reason"]
        assert "no weights here" in worker(health)["reason"]
        assert server.probe("/livez", admin=True) == 200
        assert server.probe("/readyz", admin=True) == 503


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics"])
def test_probes_answer_head_and_get_only(actor: Server, path: str) -> None:
    """HEAD is GET without the body, on both ports; other methods are no probe."""
    with httpx.Client(trust_env=False) as client:
        for base in (actor.url, actor.admin):
            whole, head = client.get(base + path), client.head(base + path)
            assert (whole.status_code, head.status_code, head.content) == (200, 200, b"")
            assert whole.content
            assert head.headers["content-length"]
            assert client.post(base + path).status_code in (404, 405)


def test_warm_up_that_fails_is_logged_and_no_obstacle(tmp_path: Path) -> None:
    """A wrapper whose own example fails serves all the same, and the log says so."""
    source = ACTOR.replace('StringBodyField(key="data")', 'StringBodyField(key="data", value=b"raise in warm-up")')
    with Server(tmp_path, source) as server:
        line = server.log("the warm-up call failed")[0]
        assert "in warm-up" in line["message"]
        assert server.call("actor", "hi")[0] == 200


def test_port_of_the_systems_choice_is_said(tmp_path: Path) -> None:
    """With port 0 the log has the address that can really be called."""
    with Server(tmp_path, ECHO, "--port", "0", "--admin-port", "0", ready=False) as server:
        line = eventually(lambda: server.log("service echo is ready"))[0]
        answer = httpx.post(line["url"], json=request_of("echo", "hi"), trust_env=False)
        assert answer.status_code == 200
        assert httpx.get(f"{server.log('starting')[0]['admin']}/livez", trust_env=False).status_code == 200
