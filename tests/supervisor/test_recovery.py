"""What only a whole server shows: workers are ended when they must be, and only then."""

import signal
import time
from pathlib import Path

from tests.serving import ECHO, Server, eventually


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
