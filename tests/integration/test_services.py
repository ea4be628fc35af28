"""Several services behind one door: each has its own workers, and its own bad days."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.actor import ACTOR
from tests.serving import ECHO, Server, eventually, text_of

SLOW_TO_LOAD = f"import time\ntime.sleep(0.5)\n{ACTOR}"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of `actor` and `echo`, with two workers each."""
    with Server(tmp_path_factory.mktemp("two"), [ACTOR, ECHO], "--workers", "2") as server:
        server.wait_for(lambda health: all(one["seats"] == 2 for one in health["services"].values()))
        yield server


def test_each_service_answers_for_itself(two: Server) -> None:
    """A call goes to the service that its path names, checked by that service's schema."""
    assert text_of(two.call("actor", "hello")[1]) == "hello"
    assert text_of(two.call("echo", "hello")[1]) == "hello"
    status, body = two.call("echo", "hello", size="5")
    assert (status, body["header"]["errors"][0]["pointer"]) == (400, "/parameter/echo/size")


def test_each_service_has_its_own_workers(two: Server) -> None:
    """Four processes, named after their services."""
    assert two.workers().keys() == {"actor-0", "actor-1", "echo-0", "echo-1"}
    assert len(set(two.workers().values())) == 4


def test_unknown_path_lists_both(two: Server) -> None:
    """404 names every service."""
    assert two.get("/nothing").json() == {"message": "not found", "services": ["actor", "echo"]}


def test_death_in_one_service_does_not_touch_the_other(two: Server) -> None:
    """While all workers of one service are killed, no call of the other fails, and its workers stay."""
    neighbours = two.workers("actor")
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(two.call, "actor", f"call {number}") for number in range(50)]
        for pid in two.workers("echo").values():
            os.kill(pid, signal.SIGKILL)
        assert {call.result()[0] for call in calls} == {200}
    assert two.workers("actor") == neighbours
    two.wait_for(lambda health: health["services"]["echo"]["seats"] == 2)
    assert two.call("echo", "back again")[0] == 200
    assert two.total("athena_worker_restarts_total", service="actor") == 0
    assert two.total("athena_worker_restarts_total", service="echo", reason="signal") == 2


def test_one_service_without_workers_makes_the_server_unready(tmp_path: Path) -> None:
    """Readiness is everybody's: 503 names the service that cannot be called; the other is still served."""
    settings = {"workers.restart_limit": 1}
    with Server(tmp_path, [ACTOR, ECHO], settings=settings) as server:
        os.kill(server.workers("echo")["echo-0"], signal.SIGKILL)
        server.wait_for(lambda health: health["services"]["echo"]["workers"][0]["state"] == "given up")
        eventually(lambda: server.probe("/readyz") == 503, what="503")
        assert "service echo: echo-0 given up" in server.get("/readyz").json()["reasons"][0]
        status, body = server.call("echo", "anyone?")
        assert (status, body["header"]["code"]) == (503, 10110)
        assert "killed by SIGKILL" in body["header"]["message"]
        assert server.call("actor", "hi")[0] == 200


def test_folder_of_another_name_is_no_claim(tmp_path: Path) -> None:
    """A folder called like another's service is not in its way: its own wrapper has yet to say its name."""
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo" / "wrapper.py").write_text(SLOW_TO_LOAD)  # is still called `echo` when the other claims it
    with Server(tmp_path, [ECHO, tmp_path / "echo"]) as server:
        assert server.call("echo", "hi")[0] == 200
        assert server.call("actor", "hi")[0] == 200


@pytest.mark.parametrize("name", ["other", "actor"])
def test_reload_cannot_rename_a_service(tmp_path: Path, name: str) -> None:
    """A rolling restart onto another name, free or taken, fails: the old workers stay, the note says why."""
    with Server(tmp_path, [ECHO, ACTOR]) as server:
        before = server.workers("echo")
        wrapper = tmp_path / "service-0" / "wrapper.py"
        wrapper.write_text(ECHO.replace('serviceId = "echo"', f'serviceId = "{name}"'))
        server.kill(signal.SIGHUP)
        health = server.wait_for(lambda health: health["services"]["echo"].get("note"))
        assert f"service 'echo' cannot become '{name}' while it is served" in health["services"]["echo"]["note"]
        eventually(lambda: server.workers("echo") == before, what="the old workers alone")
        assert server.call("echo", "hi")[0] == 200
        assert server.call("actor", "hi")[0] == 200
        assert server.get("/nothing").json()["services"] == ["actor", "echo"]


def test_early_service_is_served_while_another_loads(tmp_path: Path) -> None:
    """A service can be called as soon as it is ready, though the server as a whole is not."""
    gate = tmp_path / "gate"
    waiting = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n{ACTOR}"
    with Server(tmp_path, [ECHO, waiting], ready=False) as server:
        server.wait_for(lambda health: health["services"].get("echo", {}).get("ready"))
        eventually(lambda: server.probe("/livez") == 200, what="the door")
        assert server.call("echo", "hi")[0] == 200
        assert server.probe("/readyz") == 503
        gate.touch()
        server.wait_ready()
        assert server.call("actor", "hi")[0] == 200


def test_new_door_opens_when_it_knows_what_there_is(tmp_path: Path) -> None:
    """Who calls while a dead door is replaced waits for the answer; nobody is told that the service does not exist."""

    def ask() -> int:
        try:
            return server.call("echo", "hi")[0]
        except httpx.TransportError:  # it went to the old door
            return 0

    with Server(tmp_path, ECHO) as server:
        for _ in range(3):
            os.kill(server.door(), signal.SIGKILL)
            assert eventually(ask, what="an answer") == 200


def test_calls_of_one_service_do_not_wait_for_the_other(two: Server) -> None:
    """A slow service holds up nobody but its own callers."""
    with ThreadPoolExecutor() as threads:
        slow = [threads.submit(two.call, "echo", "sleep 1") for _ in range(2)]
        eventually(lambda: two.total("athena_calls_running", service="echo") == 2, what="the slow calls")
        started = time.monotonic()
        assert two.call("actor", "quick")[0] == 200
        assert time.monotonic() - started < 1.0, "it waited for the other service"
        assert {call.result()[0] for call in slow} == {200}


def test_http_methods_are_all_the_same(two: Server) -> None:
    """As in ASF any method is a call; without a JSON body it is a bad one (http-api.md 1.2)."""
    for method in ("GET", "PUT", "DELETE"):
        answer = httpx.request(method, f"{two.url}/echo", trust_env=False)
        assert (answer.status_code, answer.json()) == (400, {"message": "content-type must be application/json"})
