"""T5: a worker whose user code holds the interpreter is busy, then stuck, and nobody else notices."""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.serving import ECHO, Json, Server, eventually, request_of, text_of

GRIP: Final = ECHO.replace("import os,", "import ctypes, os,").replace(
    'elif word == "exit":',
    """elif word == "grip":
            ctypes.PyDLL(None).sleep(int(rest))  # PyDLL, not CDLL: the interpreter is not let go of
        elif word == "exit":""",
)
"""ECHO that can also be told `grip 60`: hold the interpreter for 60 s."""

CALL_TIMEOUT: Final = 3.0
STALL_TIMEOUT: Final = 1.0
SETTINGS: Final[Mapping[str, object]] = {
    "workers.queue": 0,
    "workers.ping_interval": 0.1,
    "workers.ping_timeout": 0.5,
    "workers.stall_timeout": STALL_TIMEOUT,
    "server.limits.call_timeout": CALL_TIMEOUT,
}
ASKED: Final = 200
"""Times that each thing is asked for."""
QUICK: Final = 0.05
"""Seconds within which 99 of 100 answers must come: reliability row T5."""


def is_busy(health: Json) -> bool:
    """Is the service's worker busy?"""
    return bool(health["services"]["echo"]["workers"][0]["state"] == "busy")


def p99(ask: Callable[[], None]) -> float:
    """Seconds that 99 of 100 of `ASKED` askings take at most."""
    times = []
    for _ in range(ASKED):
        began = time.monotonic()
        ask()
        times.append(time.monotonic() - began)
    return sorted(times)[len(times) * 99 // 100 - 1]


class Asker:
    """Asks a server over one connection that it keeps."""

    def __init__(self, server: Server) -> None:
        self.link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10.0)

    def get(self, path: str) -> None:
        """A GET that must be answered 200."""
        self.link.request("GET", path)
        response = self.link.getresponse()
        response.read()
        assert response.status == 200

    def be_refused(self, body: bytes) -> None:
        """A call that must be answered 429."""
        self.link.request("POST", "/v1/private/echo", body, {"content-type": "application/json"})
        response = self.link.getresponse()
        response.read()
        assert (response.status, response.headers["retry-after"]) == (429, "1")


def test_worker_that_holds_the_interpreter_is_busy_then_stuck(tmp_path: Path) -> None:
    """T5: the rest answers at once; the call gets 504 with 10102 at its deadline, the worker is dumped and replaced."""
    with Server(tmp_path, GRIP, settings=SETTINGS) as server:
        (pid,) = server.workers().values()
        began = time.monotonic()
        with closing(server.begin("echo", "grip 60")) as held:
            server.wait_for(is_busy, what="busy")
            assert server.probe("/readyz") == server.probe("/readyz", admin=True) == 200
            assert_others_are_answered(server)
            assert is_busy(server.health())
            assert server.workers() == {"echo-0": pid}
            response = held.getresponse()
            assert CALL_TIMEOUT <= time.monotonic() - began < CALL_TIMEOUT + STALL_TIMEOUT
            assert (response.status, b"10102" in response.read()) == (504, True)
        server.wait_for(lambda health: health["services"]["echo"]["workers"][0].get("restarts"), what="the restart")
        server.wait_ready()
        status, body = server.call("echo", "again")
        assert (status, text_of(body)) == (200, "again")
        assert server.workers() != {"echo-0": pid}
        assert server.metrics()['athena_worker_restarts_total{service="echo",reason="stuck"}'] == 1
        assert server.log("past its deadline")[0]["verdict"] == "stuck"
        assert server.logged("in wrapperOnceExec", worker="echo-0")


def assert_others_are_answered(server: Server) -> None:
    """Probes, metrics and refusals come at once."""
    body = json.dumps(request_of("echo", "no seat")).encode()
    asker = Asker(server)
    with closing(asker.link):
        asker.be_refused(body)
        assert p99(lambda: asker.get("/livez")) < QUICK
        assert p99(lambda: asker.get("/metrics")) < QUICK
        assert p99(lambda: asker.be_refused(body)) < QUICK


def test_idle_worker_that_does_not_answer_is_gone(tmp_path: Path) -> None:
    """T5: a stopped process (SIGSTOP) without a call is replaced after ping_timeout, and the next call is answered."""
    settings = {"workers.ping_interval": 0.1, "workers.ping_timeout": 0.5}
    with Server(tmp_path, ECHO, settings=settings) as server:
        (pid,) = server.workers().values()
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: server.workers() not in ({"echo-0": pid}, {}), timeout=5.0, what="another worker")
        server.wait_ready()
        assert server.call("echo", "again")[0] == 200
        assert server.metrics()['athena_worker_restarts_total{service="echo",reason="gone"}'] == 1
        assert server.log("gone: idle, and no answer for 0.5 s")
