"""Ends of every kind: of the supervisor, a worker, the door; on request and without warning. Rows T6 and T7."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.load import Load, Sample, asking, load_on
from tests.serving import ECHO, Json, Server, eventually, is_alive, request_of

pytestmark = pytest.mark.reliability

SLEEPER = (
    ECHO
    + '''

class Wrapper(Wrapper):
    """Starts two processes that would outlive it: one of its group, one that leaves its group and session."""

    def wrapperInit(self, config):
        subprocess.Popen(["sleep", "1000"])
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        return 0
'''
)
GONE = 2.0  # seconds


def sleeps(server: Server) -> list[int]:
    """Pids of what the wrappers have started."""
    return [pid for pid, command in server.tree().items() if command == "sleep 1000"]


def is_running(health: Json) -> bool:
    """Does user code have a call?"""
    return any(worker.get("running") for worker in health["services"]["echo"]["workers"])


def is_free(port: int) -> bool:
    """Can anybody listen on a port, who asks as we do?"""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def is_served(server: Server) -> bool:
    """Does a call succeed? If it is answered otherwise, then to be sent again: a door that starts knows of no 404."""
    try:
        answer = server.post("echo", request_of("echo", "again"))
    except httpx.TransportError:  # nobody listens, or who did is gone
        return False
    assert answer.status_code in (200, 503)
    assert answer.status_code == 200 or answer.headers["retry-after"]
    return answer.status_code == 200


def is_gone(server: Server) -> bool:
    """Is no process of it left, and are its ports free?"""
    return not server.tree() and is_free(server.port) and is_free(server.admin_port)


# ── T6: no orphans ────────────────────────────────────────────────────────────────────────────────


def test_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    """T6: within 2 s of kill -9 of the supervisor no process of its tree is left, and the next start works at once."""
    with Server(tmp_path, SLEEPER) as server:
        assert len(sleeps(server)) == 2
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: is_gone(server), timeout=GONE, what="the end of the tree")
        server.start()
        assert server.call("echo")[0] == 200


async def test_killed_supervisor_takes_a_working_wrapper_along(tmp_path: Path) -> None:
    """T6: a worker in the middle of a call does not outlive its supervisor; its caller hears, or is cut off."""
    with Server(tmp_path, ECHO, settings={"workers.count": 2}) as server:
        async with asking(server, "echo", ["sleep 1000"]) as (task,):
            await asyncio.to_thread(server.wait_for, is_running)
            server.kill(signal.SIGKILL)
            await asyncio.to_thread(eventually, lambda: not server.tree(), timeout=GONE, what="the end of the tree")
        # The worker may be gone before the door: then the door still has time for the truth.
        assert task.result().error == "closed" or task.result().code == 10109


def test_killed_worker_takes_along_what_it_started(tmp_path: Path) -> None:
    """T6: kill -9 of a worker ends its children, detached ones too; the server goes on."""
    with Server(tmp_path, SLEEPER) as server:
        old = sleeps(server)
        os.kill(server.workers()["echo-0"], signal.SIGKILL)
        eventually(lambda: not any(map(is_alive, old)), timeout=GONE, what="the end of the worker's children")
        server.wait_for(lambda health: health["ready"])
        assert server.call("echo")[0] == 200
        assert len(sleeps(server)) == 2


def test_worker_and_supervisor_killed_in_turn_leave_nothing_behind(tmp_path: Path) -> None:
    """T6: kill -9 of the worker and at once of the supervisor ends everything, what the worker had started too."""
    with Server(tmp_path, SLEEPER) as server:
        os.kill(server.workers()["echo-0"], signal.SIGKILL)
        server.stop(signal.SIGKILL)
        eventually(lambda: is_gone(server), timeout=GONE, what="the end of the tree")


async def test_killed_door_comes_back_and_workers_live_on(tmp_path: Path) -> None:
    """T6: kill -9 of the door costs its calls; workers and counters stay, the seat is free, calls work again."""
    with Server(tmp_path, ECHO, settings={"workers.count": 2}) as server:
        for _ in range(5):
            assert server.call("echo")[0] == 200
        workers, counted = server.workers(), server.total("athena_calls_total", code="0")
        assert counted == 5
        door = server.door()
        async with asking(server, "echo", ["wait 1000"]) as (task,):
            await asyncio.to_thread(server.wait_for, is_running)
            os.kill(door, signal.SIGKILL)
        assert task.result().error == "closed"
        eventually(lambda: not is_alive(door), what="the end of the door")
        eventually(lambda: is_served(server), what="a call")
        server.wait_for(lambda health: health["ready"] and not is_running(health))
        assert server.door() != door
        assert server.workers() == workers
        assert server.total("athena_calls_total", code="0") == counted + 1


# ── T6: on request ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopping_server_finishes_what_it_has(tmp_path: Path, number: int) -> None:
    """T6: SIGTERM, or Ctrl-C to the whole foreground group, lets a running call end well; the exit code is 0."""
    with Server(tmp_path, SLEEPER, settings={"server.drain_timeout": 30}) as server:
        async with asking(server, "echo", ["sleep 1"]) as (task,):
            await asyncio.to_thread(server.wait_for, is_running)
            os.killpg(server.pid, number)
        assert task.result().status == 200
        assert server.wait() == 0
        assert is_gone(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_second_signal_forces_the_end(tmp_path: Path, number: int) -> None:
    """T6: with a call that never ends, a second signal does not wait for the drain."""
    with Server(tmp_path, SLEEPER, settings={"server.drain_timeout": 60}) as server:
        async with asking(server, "echo", ["sleep 1000"]) as (task,):
            await asyncio.to_thread(server.wait_for, is_running)
            os.killpg(server.pid, number)
            await asyncio.to_thread(server.wait_for, lambda health: health["state"] == "stopping")
            os.killpg(server.pid, number)
            await asyncio.to_thread(server.wait, 5.0)
        assert task.result().error == "closed" or task.result().status == 503
        assert not server.tree()


async def test_call_that_outlasts_the_drain_is_told_so(tmp_path: Path) -> None:
    """T6: after drain_timeout a call is cancelled with a reason, 503 and Retry-After, not cut."""
    with Server(tmp_path, ECHO, settings={"server.drain_timeout": 0.5}) as server:
        async with asking(server, "echo", ["sleep 2"]) as (task,):
            await asyncio.to_thread(server.wait_for, is_running)
            server.kill(signal.SIGTERM)
        sample = task.result()
        assert (sample.status, sample.code) == (503, 10110)
        assert sample.headers["retry-after"]
        assert server.wait() == 0


# ── T7: no failed request ─────────────────────────────────────────────────────────────────────────


def failed(samples: Sequence[Sample], *, unready: float = float("inf")) -> list[Sample]:
    """Requests that were neither answered whole nor sent over a connection made after readiness had failed."""
    return [sample for sample in samples if sample.error and (sample.was_begun or sample.connected < unready)]


def refused(samples: Sequence[Sample]) -> list[Sample]:
    """Answers that are not 200; each must be honest: 503, 10110, Retry-After."""
    others = [sample for sample in samples if sample.status not in (0, 200)]
    assert all((s.status, s.code) == (503, 10110) and s.headers["retry-after"] for s in others), others
    return others


async def rolled(server: Server, load: Load) -> None:
    """Roll the workers under the load; all are new then, and have had calls."""
    old = server.workers().values()
    server.kill(signal.SIGHUP)
    await asyncio.to_thread(
        server.wait_for,
        lambda health: (
            health["services"]["echo"]["generation"] == 2
            and not {one["pid"] for one in health["services"]["echo"]["workers"]} & set(old)
            and health["ready"]
        ),
        20.0,
    )
    await load.reached(50)


async def test_stopping_under_load_fails_no_request(tmp_path: Path) -> None:
    """T7: on SIGTERM keep-alive clients are served through the lame duck, then told to go; none is cut off."""
    settings = {"workers.count": 2, "server.lame_duck": 0.5}
    with Server(tmp_path, ECHO, settings=settings) as server:
        async with load_on(server, "echo", callers=8, data="sleep 0.005") as load:
            await load.reached(100)
            server.kill(signal.SIGTERM)
            stopped = time.monotonic()
            await asyncio.to_thread(eventually, lambda: server.probe("/readyz", admin=True) == 503)
            unready = time.monotonic()
            assert await asyncio.to_thread(server.wait) == 0
        assert failed(load.samples, unready=unready) == []
        early = [sample for sample in load.samples if sample.ended < stopped + 0.5]
        assert refused(early) == []
        late = [sample for sample in early if sample.sent > unready]
        assert late, "the lame duck serves"
        assert all(sample.headers.get("connection") == "close" for sample in late), "and says that it goes"
        refused(load.samples)
        served = [line for line in server.log("call") if line.get("status") == 200]
        assert len(served) == sum(sample.status == 200 for sample in load.samples), "no answer was lost on its way"


async def test_rolling_restart_under_load_fails_no_request(tmp_path: Path) -> None:
    """T7: SIGHUP replaces every worker, and every single request of the load is answered 200."""
    with Server(tmp_path, ECHO, settings={"workers.count": 2}) as server:
        async with load_on(server, "echo", callers=6, data="sleep 0.01") as load:
            await load.reached(50)
            await rolled(server, load)
        assert {(sample.status, sample.error) for sample in load.samples} == {(200, "")}
        assert server.total("athena_worker_restarts_total") == 0


async def test_stop_first_restart_is_honest(tmp_path: Path) -> None:
    """T7: where the old workers must stop first, requests meanwhile are refused with Retry-After, and none is cut."""
    settings = {"workers.count": 2, "workers.replace": "stop-first"}
    with Server(tmp_path, ECHO, settings=settings) as server:
        async with load_on(server, "echo", callers=6, data="sleep 0.01") as load:
            await load.reached(50)
            await rolled(server, load)
        assert failed(load.samples) == []
        refused(load.samples)
        assert load.samples[-1].status == 200


async def test_reload_of_a_broken_file_keeps_the_old_workers(tmp_path: Path) -> None:
    """T7: a reload that cannot be loaded costs no request, says why in health, and can be mended by the next one."""
    with Server(tmp_path, ECHO, settings={"workers.count": 2}) as server:
        workers, file = server.workers(), server.paths[0] / "wrapper.py"
        async with load_on(server, "echo", callers=2, data="sleep 0.01") as load:
            file.write_text("import nothing_of_that_name\n")
            server.kill(signal.SIGHUP)
            health = await asyncio.to_thread(server.wait_for, lambda health: health["services"]["echo"].get("note"))
            assert "nothing_of_that_name" in health["services"]["echo"]["note"]
            assert health["ready"]
            assert health["services"]["echo"]["generation"] == 1
            server.wait_for(lambda _: server.workers() == workers)
            file.write_text(ECHO.replace('"v1"', '"v2"'))
            server.kill(signal.SIGHUP)
            await asyncio.to_thread(server.wait_for, lambda health: health["services"]["echo"]["generation"] > 1)
            await load.reached(20)
        assert {(sample.status, sample.error) for sample in load.samples} == {(200, "")}
        assert "note" not in server.health()["services"]["echo"]


def test_stop_first_reload_of_a_broken_file_is_tried_again(tmp_path: Path) -> None:
    """T7: with the old workers gone, a file that cannot be loaded leaves a server that says so and can be mended."""
    settings = {"workers.replace": "stop-first", "workers.restart_delay": 0.1}
    with Server(tmp_path, ECHO, settings=settings) as server:
        file = server.paths[0] / "wrapper.py"
        file.write_text("import nothing_of_that_name\n")
        server.kill(signal.SIGHUP)
        server.wait_for(lambda health: "nothing_of_that_name" in str(health["reasons"]))
        status, body = server.call("echo")
        assert (status, body["header"]["code"]) == (503, 10110)
        assert "nothing_of_that_name" in body["header"]["message"]
        file.write_text(ECHO)
        server.wait_for(lambda health: health["ready"], what="the next try")
        assert server.call("echo")[0] == 200


async def test_stop_during_a_reload_ends_everything(tmp_path: Path) -> None:
    """T7: SIGTERM in the middle of a rolling restart stops the old workers and the new ones, in order."""
    settings = {"workers.replace": "stop-first"}
    with Server(tmp_path, SLEEPER, settings=settings) as server:
        async with asking(server, "echo", ["sleep 1"]) as (task,):
            await asyncio.to_thread(server.wait_for, is_running)
            server.kill(signal.SIGHUP)
            await asyncio.to_thread(eventually, lambda: server.log("rolling restart"))
            server.kill(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait, 10.0) == 0
        assert task.result().status == 200
        assert not server.tree()
