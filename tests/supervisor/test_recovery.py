"""What only a whole server shows: workers are ended when they must be, and only then."""

import signal
import time
from pathlib import Path

from tests.serving import ECHO, Server, eventually

RUBBISH = ECHO.replace(
    "        response = Response()",
    """        if word == "rubbish":
            import gc
            from athena_serving.worker.link import DoorLink
            next(one for one in gc.get_objects() if isinstance(one, DoorLink)).data.sendall(b"\\xff" * 64)
        response = Response()""",
)
"""The echo service; told `rubbish`, its worker breaks its link to the door and lives on."""


def test_stopped_supervisor_does_not_take_its_workers_for_dead(tmp_path: Path) -> None:
    """Ctrl-Z and `fg`, a debugger, a starved machine: the silence was its own."""
    settings = {"workers.ping_interval": 0.1, "workers.ping_timeout": 0.4}
    with Server(tmp_path, ECHO, settings=settings) as server:
        workers = server.workers()
        server.kill(signal.SIGSTOP)
        time.sleep(1.0)  # the silence itself
        server.kill(signal.SIGCONT)
        since = time.monotonic()
        eventually(lambda: server.health()["ready"] and time.monotonic() > since + 1.0)
        assert server.workers() == workers
        assert server.call("echo", "hello")[0] == 200


def test_worker_that_no_door_can_reach_is_replaced(tmp_path: Path) -> None:
    """It answers pings and would count as ready for ever, while every call is refused."""
    with Server(tmp_path, RUBBISH) as server:
        (old,) = server.workers().values()
        status, body = server.call("echo", "rubbish")
        assert (status, body["header"]["code"]) == (503, 10109)
        eventually(lambda: list(server.workers().values()) not in ([], [old]), what="another worker")
        server.wait_ready()
        assert server.call("echo", "hello")[0] == 200
        assert server.total("athena_worker_restarts_total", service="echo", reason="cut off") == 1
        assert server.log("cut off: a door lost its link to the worker")
