"""What only a whole server shows: workers are ended when they must be, and only then."""

import signal
import subprocess
import time
from pathlib import Path

import httpx

from tests.serving import ATHENA, ECHO, Server, eventually, free_port, request_of

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


def test_log_that_nobody_reads_stops_nobody(tmp_path: Path) -> None:
    """A pager at its first page, a stalled log collector: calls, probes and the watch over workers go on."""
    path, port, admin_port = tmp_path / "wrapper.py", free_port(), free_port()
    path.write_text(ECHO)
    flags = ["--port", str(port), "--admin-port", str(admin_port), "--log", "json"]
    server = subprocess.Popen([ATHENA, "serve", path, *flags], stderr=subprocess.PIPE, process_group=0)
    with httpx.Client(trust_env=False, timeout=5.0) as client:
        try:
            eventually(lambda: _status(client, f"http://127.0.0.1:{port}/readyz") == 200, timeout=30.0)
            for _ in range(60):  # a traceback of over 2,000 bytes each: twice what two pipes hold
                request = request_of("echo", "raise " + "x" * 2000)
                answer = client.post(f"http://127.0.0.1:{port}/v1/private/echo", json=request)
                assert answer.status_code == 502
            assert _status(client, f"http://127.0.0.1:{admin_port}/livez") == 200
        finally:
            server.kill()
            server.communicate()


def _status(client: httpx.Client, url: str) -> int:
    try:
        return client.get(url).status_code
    except httpx.TransportError:
        return 0
