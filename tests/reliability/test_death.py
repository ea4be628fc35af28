"""A worker that dies: its callers, its replacement, and a server that gives up on it. Rows T3 and T4."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pytest

from tests.load import Sample, asking
from tests.serving import ECHO, Json, Server, text_of

pytestmark = pytest.mark.reliability

SLOW_TO_LOAD = (
    ECHO
    + """

class Wrapper(Wrapper):
    def wrapperInit(self, config):
        print("a model of half a second", flush=True)
        time.sleep(0.5)
        return 0
"""
)

JOURNAL = (
    ECHO
    + '''

class Wrapper(Wrapper):
    def wrapperInit(self, config):
        self.journal, self.gate = config["journal"], config["gate"]
        return 0

    def wrapperOnceExec(self, params, reqData):
        """Notes what it sees; holds what says `hold` until the gate is open."""
        text = reqData.get("data").data.decode()
        with open(self.journal, "a") as journal:
            journal.write(f"{os.getpid()} {text}\\n")
        while text.startswith("hold") and not os.path.exists(self.gate):
            time.sleep(0.005)
        return super().wrapperOnceExec(params, reqData)
'''
)
HOLDS = [f"hold {number}" for number in range(8)]


def running(health: Json) -> int:
    """Calls that user code has."""
    return sum(worker.get("running", 0) for worker in health["services"]["echo"]["workers"])


def only_worker(health: Json) -> Json:
    """The one worker there is."""
    (worker,) = health["services"]["echo"]["workers"]
    found: Json = worker
    return found


def has_reason(text: str) -> Callable[[Json], bool]:
    """Is health bad, and does it say so?"""
    return lambda health: not health["ready"] and text in health["reasons"][0]


def is_ready_without(health: Json, dead: Iterable[int]) -> bool:
    """Are all workers ready, and none of them one of these?"""
    workers = health["services"]["echo"]["workers"]
    return all(one["state"] == "ready" and one["pid"] not in set(dead) for one in workers)


def is_told_to_return(sample: Sample, code: int) -> bool:
    """Was the caller answered whole: 503, with this code, and when to come again?"""
    return (sample.status, sample.code, sample.error) == (503, code, "") and int(sample.headers["retry-after"]) >= 1


def when(line: Json) -> float:
    """Time of a log line."""
    return datetime.fromisoformat(line["time"]).timestamp()


async def test_callers_of_a_dead_worker_are_told_within_a_second(tmp_path: Path) -> None:
    """T3: 8 calls that user code has are answered 503 with 10109, and the next worker is ready as soon as it can be."""
    with Server(tmp_path, SLOW_TO_LOAD, settings={"workers.seats": 8}) as server:
        load_time = when(server.log("echo-0 is ready")[0]) - when(server.log("starting")[0])
        async with asking(server, "echo", ["sleep 30"] * 8) as tasks:
            await asyncio.to_thread(server.wait_for, lambda health: running(health) == 8)
            pid = server.workers()["echo-0"]
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
        samples = [task.result() for task in tasks]
        assert all(is_told_to_return(sample, 10109) for sample in samples), samples
        assert max(sample.ended for sample in samples) - killed < 1.0
        server.wait_for(lambda health: is_ready_without(health, [pid]))
        assert time.monotonic() - killed < load_time + 1.0
        assert server.call("echo", "again")[0] == 200


async def test_unseen_calls_of_a_dead_worker_are_served_by_another(tmp_path: Path) -> None:
    """T3: what stood in a dead worker's window goes to the other worker, once; only what user code had is lost."""
    journal, gate = tmp_path / "journal", tmp_path / "gate"
    settings = {"workers.count": 2, "wrapper.journal": journal, "wrapper.gate": gate, "workers.restart_delay": 0}
    with Server(tmp_path, JOURNAL, settings=settings) as server:
        for _ in range(20):  # quick ones: the door learns to send ahead
            assert server.call("echo", "quick")[0] == 200
        async with asking(server, "echo", HOLDS) as tasks:
            await asyncio.to_thread(server.wait_for, lambda health: running(health) == 2)
            pid = server.workers()["echo-0"]
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            done, _ = await asyncio.wait(tasks, timeout=1.0)
            assert len(done) == 1, "whom user code had is told at once, the others wait for their turn"
            gate.touch()
            opened = time.monotonic()
        samples = dict(zip(HOLDS, (task.result() for task in tasks), strict=True))
    seen = [line.partition(" ")[::2] for line in journal.read_text().splitlines() if "hold" in line]
    (lost,) = [text for text, sample in samples.items() if sample.status != 200]
    assert is_told_to_return(samples[lost], 10109)
    assert samples[lost].ended - killed < 1.0
    assert [text for worker, text in seen if worker == str(pid)] == [lost]
    assert sorted(text for _, text in seen) == HOLDS, "no call was seen twice"
    assert max(sample.ended for sample in samples.values()) - opened < 1.0


async def test_queue_behind_the_only_worker_is_sent_away(tmp_path: Path) -> None:
    """T3: with nobody left to serve them, calls that user code had not seen get 503 with 10110 within a second."""
    with Server(tmp_path, ECHO) as server:
        async with asking(server, "echo", ["sleep 30"] * 8) as tasks:
            await asyncio.to_thread(
                server.wait_for, lambda _: server.total("athena_calls_in_flight") == 8 and running(server.health()) == 1
            )
            os.kill(server.workers()["echo-0"], signal.SIGKILL)
            killed = time.monotonic()
        samples = [task.result() for task in tasks]
        assert sum(is_told_to_return(sample, 10109) for sample in samples) == 1
        assert sum(is_told_to_return(sample, 10110) for sample in samples) == 7
        assert max(sample.ended for sample in samples) - killed < 1.0


def test_server_outlives_its_only_worker_and_gives_up_in_words(tmp_path: Path) -> None:
    """T4: killed again and again, the worker comes back later each time, then not until a reload; we stay honest."""
    settings = {"workers.restart_delay": 0.5, "workers.restart_limit": 4, "workers.steady_after": 60}
    with Server(tmp_path, SLOW_TO_LOAD, settings=settings) as server:
        dead: list[int] = []
        for told in ("", "next start in 0.5 s", "next start in 1.0 s", "gave up"):
            health = server.wait_for(lambda health: is_ready_without(health, dead))
            assert only_worker(health).get("restarts", 0) == len(dead)
            dead.append(only_worker(health)["pid"])
            os.kill(dead[-1], signal.SIGKILL)
            health = server.wait_for(has_reason(told))
            assert "killed by SIGKILL" in health["reasons"][0]
            assert only_worker(health)["last_lines"] == ["a model of half a second"]
            assert server.probe("/readyz") == server.probe("/readyz", admin=True) == 503
            assert server.probe("/livez") == server.probe("/livez", admin=True) == 200
        died = [when(line) for line in server.log("echo-0 died")]
        ready = [when(line) for line in server.log("echo-0 is ready")]
        pauses = [back - gone for gone, back in zip(died[:-1], ready[1:], strict=True)]
        assert pauses[1] > 0.5
        assert pauses[2] > 1.0

        worker = only_worker(server.wait_for(lambda health: only_worker(health)["state"] == "given up"))
        assert worker["reason"] == "given up: gave up after 4 deaths in a row; the last one: killed by SIGKILL"
        answer = server.post("echo", {"header": {"app_id": "1"}})
        assert (answer.status_code, answer.json()["header"]["code"]) == (503, 10110)
        assert "gave up after 4 deaths" in answer.json()["header"]["message"]
        assert answer.headers["retry-after"]
        assert server.total("athena_worker_restarts_total", reason="signal") == 4

        server.kill(signal.SIGHUP)
        server.wait_for(lambda health: health["ready"] and is_ready_without(health, dead))
        assert text_of(server.call("echo", "back")[1]) == "back"


def test_wrapper_that_ends_its_process_is_named_by_its_exit_code(tmp_path: Path) -> None:
    """T4: a wrapper that calls os._exit(3) costs its caller a 503, and health says `exit code 3`."""
    with Server(tmp_path, SLOW_TO_LOAD) as server:
        status, body = server.call("echo", "exit 3")
        assert (status, body["header"]["code"]) == (503, 10109)
        health = server.wait_for(lambda health: "exit code 3" in str(health["reasons"]))
        assert only_worker(health)["last_lines"] == ["a model of half a second"]
        server.wait_for(lambda health: health["ready"])
        assert server.call("echo", "again")[0] == 200
        assert server.total("athena_worker_restarts_total", reason="exit") == 1
