"""`athena status`: how a running server is, in a table, in JSON, and in the exit code."""

import json
import os
import pty
import re
import select
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.cli import status
from athena_serving.cli.status import Counted
from athena_serving.gateway.meters import label
from tests.serving import ATHENA, ECHO, Server, free_port

WITHIN: Final = 20.0  # seconds; a busy machine included
BROKEN: Final = ECHO.replace("return 0", 'raise RuntimeError("no card")', 1)


def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, on a terminal of 80 columns."""
    return subprocess.run(
        [ATHENA, "status", *arguments], capture_output=True, text=True, timeout=WITHIN, check=False,
        env={"COLUMNS": "80", "PATH": "/usr/bin"},
    )  # fmt: skip


def row(text: str, first: str) -> list[str]:
    """The cells of the table's row that begins with this word."""
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


# ── a real server ─────────────────────────────────────────────────────────────────────────────────


def test_ready_server_shows_what_it_has_and_did(tmp_path: Path) -> None:
    """Services with seats, calls, errors and times; workers with pids; exit code 0."""
    with Server(tmp_path, ECHO, settings={"workers.count": 2, "workers.seats": 3}) as server:
        for text in ("a", "b", "raise words"):
            server.call("echo", text)
        done = asked("--url", server.admin)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{server.admin}: ready" in done.stdout
        cells = row(done.stdout, "echo")
        assert cells[:7] == ["echo", "ready", "2/2", "6", "0", "3", "1"]
        assert [cells[8], cells[10]] == ["ms", "ms"]
        workers = server.workers()
        assert {name: int(row(done.stdout, name)[2]) for name in workers} == workers


def test_json_has_health_and_counts(tmp_path: Path) -> None:
    """What /healthz says, and for each service what /metrics comes to."""
    with Server(tmp_path, ECHO) as server:
        server.call("echo", "a")
        document = json.loads(asked("--url", f"{server.admin}/", "--json").stdout)
        assert (document["ready"], document["services"]["echo"]["seats"]) == (True, 1)
        counted = document["counted"]["echo"]
        assert (counted["calls"], counted["errors"]) == (1, 0)
        assert 0 < counted["p50"] <= counted["p99"] < WITHIN


def test_server_that_is_not_ready_says_why(tmp_path: Path) -> None:
    """Its reasons, its worker's state, and exit code 1."""
    with Server(tmp_path, BROKEN, ready=False) as server:
        server.wait_for(lambda health: "no card" in str(health["reasons"]))
        done = asked("--url", server.admin)
        assert done.returncode == 1
        assert f"{server.admin}: not ready" in done.stdout
        assert "RuntimeError: no card" in done.stdout


def test_watching_draws_until_interrupted(tmp_path: Path) -> None:
    """On a terminal it is drawn anew, also while nobody answers; Ctrl-C is the way out."""
    ours, theirs = pty.openpty()
    with Server(tmp_path, ECHO) as server:
        command = [str(ATHENA), "status", "--watch", "--url", server.admin]
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        watching = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
        os.close(theirs)
        try:
            drawn(ours, b"echo-0")
            server.call("echo", "one")
            drawn(ours, rb"1/1 +1 +0 +1 +0 ")
            server.stop()
            drawn(ours, b"nobody answers")
            server.start()
            drawn(ours, b": ready")
        finally:
            watching.send_signal(signal.SIGINT)
            code = watching.wait(WITHIN)
            os.close(ours)
        assert code == 0


def drawn(terminal: int, pattern: bytes) -> None:
    """Read what is drawn from now on until it has this."""
    seen = b""
    while re.search(pattern, seen) is None:
        assert select.select([terminal], [], [], WITHIN)[0], f"{pattern!r} was not drawn: {seen!r}"
        seen += os.read(terminal, 1 << 16)


def test_nobody_answering_is_another_exit_code() -> None:
    """69, what was tried, and what to look at."""
    port = free_port()
    done = asked("--url", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith(f"error: nobody answers at http://127.0.0.1:{port}: ")
    assert "is it running, and is this its admin port?" in done.stderr


def test_port_for_calls_is_told_from_the_admin_port(tmp_path: Path) -> None:
    """A person who gives a service's address reads which one was wanted."""
    with Server(tmp_path, ECHO) as server:
        done = asked("--url", f"{server.url}/v1")
        assert done.returncode == 69
        assert "is not the admin port of a server" in done.stderr


@pytest.mark.parametrize("url", ["1890", "127.0.0.1:1890", "ftp://x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """With what one looks like."""
    done = asked("--url", url)
    assert done.returncode == 2
    assert "athena status --url http://127.0.0.1:1890" in done.stderr


# ── what is read ──────────────────────────────────────────────────────────────────────────────────


@given(st.text(), st.floats(allow_nan=False))
def test_any_label_is_read_as_it_was_written(service: str, value: float) -> None:
    """A service's name may hold quotes and lines, and a sample any number."""
    text = f'# TYPE x counter\nx{{service="{label(service)}",code="0"}} {value!r}\n'
    if len(text.splitlines()) == 2:  # other ends of lines than \n do not come up in names
        assert list(status.parse(text)) == [("x", {"service": service, "code": "0"}, value)]


def test_what_is_no_sample_is_passed_over() -> None:
    """Comments, empty lines, and lines of a later version."""
    assert [one.name for one in status.parse("# HELP a b\n\n{}\na 1\nb{} 2 17000\n")] == ["a", "b"]


@pytest.mark.parametrize(
    ("buckets", "part", "seconds"),
    [
        ([], 0.5, None),
        ([(1.0, 0), (float("inf"), 0)], 0.5, None),
        ([(1.0, 10), (2.0, 10), (float("inf"), 10)], 0.5, 0.5),
        ([(1.0, 50), (2.0, 100), (float("inf"), 100)], 0.99, 1.98),
        ([(2.0, 100), (1.0, 50), (float("inf"), 100)], 0.5, 1.0),
        ([(1.0, 0), (2.0, 0), (float("inf"), 4)], 0.5, 2.0),
    ],
)
def test_quantile_is_read_off_the_histogram(
    buckets: list[tuple[float, float]], part: float, seconds: float | None
) -> None:
    """Even growth within a bucket; the last finite bound above it; nothing without a call."""
    assert status.quantile(buckets, part) == (None if seconds is None else pytest.approx(seconds))


def test_counts_are_of_one_service_and_its_errors_are_codes() -> None:
    """Another's calls, and other stages than the whole, do not count."""
    text = """
athena_calls_total{service="a",code="0",status="200"} 8
athena_calls_total{service="a",code="10163",status="400"} 2
athena_calls_total{service="b",code="0",status="200"} 5
athena_call_seconds_bucket{service="a",stage="total",le="1"} 8
athena_call_seconds_bucket{service="a",stage="total",le="+Inf"} 8
athena_call_seconds_bucket{service="a",stage="user",le="9"} 8
"""
    assert status.counted(status.parse(text), "a") == Counted(10, 2, 0.5, 0.99)
    assert status.counted(status.parse(text), "c") == Counted(0, 0, None, None)
