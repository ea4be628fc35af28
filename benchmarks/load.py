"""The callers: one request by hand to see that the answer is right, then wrk on one thread."""

import http.client
import subprocess
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.errors import BenchError, NoAnswer

SCRIPT = Path(__file__).parent / "post.lua"
PATIENCE = 10
"""Seconds until a single answer counts as lost; a hundred times the slowest p99 seen."""


class Load(msgspec.Struct, frozen=True):
    """What wrk counted, as `post.lua` prints it."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    refused: int
    """Answers with a status of 400 or more."""
    broken: int
    """Connections that failed while connecting, reading or writing."""
    late: int
    """Answers that took longer than `PATIENCE`."""

    @property
    def errors(self) -> int:
        """Everything that was not a right answer in time."""
        return self.refused + self.broken + self.late


class Answer(NamedTuple):
    """One answer of a server."""

    status: int
    body: bytes


def fetch(port: int, path: str, body: bytes | None = None) -> Answer:
    """GET, or POST if there is a body. Raises `NoAnswer`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no answer from port {port}, {path}: {error!r}") from error
    finally:
        connection.close()


def drive(wrk: str, url: str, body: Path, *, connections: int, seconds: int) -> Load:
    """POST a file for some seconds over so many connections, one request in flight on each. Raises `BenchError`."""
    command = [wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", f"{PATIENCE}s", "--latency", "--script", str(SCRIPT), url, "--", str(body)]
    limit = seconds + 3 * PATIENCE
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, start_new_session=True, timeout=limit
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"wrk did not come back within {limit} s from {url}") from error
    for line in done.stdout.splitlines():
        if line.startswith("bench "):
            return msgspec.json.decode(line.removeprefix("bench "), type=Load)
    raise BenchError(f"wrk counted nothing: {done.stderr.strip() or done.stdout.strip()}")
