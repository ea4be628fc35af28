"""The callers: one by hand to see that the answer is right, then wrk on one thread, or our own process for streams."""

import http.client
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.callers import frames
from benchmarks.callers.orders import HOST, PATIENCE, Load, Order
from benchmarks.errors import BenchError, NoAnswer
from benchmarks.exchanges import JSON, Exchange, Stream

HERE = Path(__file__).parent
SCRIPT = HERE / "post.lua"
AGREED = b"HTTP/1.1 101"


class Answer(NamedTuple):
    """One answer of a server."""

    status: int
    body: bytes


def fetch(port: int, path: str, body: bytes | None = None, *, accept: str = JSON) -> Answer:
    """GET, or POST if there is a body. Raises `NoAnswer`."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Content-Type": JSON, "Accept": accept})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no answer from port {port}, {path}: {error!r}") from error
    finally:
        connection.close()


def converse(port: int, exchange: Exchange, stream: Stream) -> Answer:
    """One session over WebSocket: 200 and its frames, one a line; or 0 and what came instead. Raises `NoAnswer`."""
    try:
        with socket.create_connection((HOST, port), timeout=PATIENCE) as connection:
            connection.sendall(frames.upgrade(exchange.path, f"{HOST}:{port}"))
            coming = connection.makefile("rb")
            head = b"\n".join(iter(lambda: coming.readline().strip(), b""))
            if not head.startswith(AGREED):
                return Answer(0, head)
            for text in filter(None, (exchange.body, stream.following, stream.last)):
                connection.sendall(frames.written(frames.TEXT, text))
            texts = b"\n".join(_texts(coming, stream))
            connection.sendall(frames.written(frames.CLOSE, frames.NORMAL))
            return Answer(200, texts)
    except OSError as error:
        raise NoAnswer(f"no session on port {port}, {exchange.path}: {error!r}") from error


def drive(wrk: str, url: str, body: Path, *, connections: int, seconds: int) -> Load:
    """POST a file for some seconds over so many connections, one request in flight on each. Raises `BenchError`."""
    command = [wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", f"{PATIENCE}s", "--latency", "--script", str(SCRIPT), url, "--", str(body)]
    return _told(command, b"", seconds=seconds)


def call(order: Order) -> Load:
    """Let our own callers carry out an order. Raises `BenchError`."""
    command = [sys.executable, "-m", "benchmarks.callers"]
    return _told(command, msgspec.json.encode(order), seconds=order.seconds)


def _texts(coming: BufferedReader, stream: Stream) -> Iterator[bytes]:
    """The messages of a session, to the last or to the server's closing."""
    reader = frames.Reader()
    while data := coming.read1():
        for opcode, payload in reader.feed(data):
            if opcode == frames.CLOSE:
                return
            if opcode == frames.TEXT:
                yield payload
            if stream.is_end(payload):
                return


def _told(command: list[str], order: bytes, *, seconds: float) -> Load:
    """Run a program of callers and read the line that it prints; its use of the processor is added."""
    limit, name = seconds + 3 * PATIENCE, Path(command[0]).name
    before, start = _children(), time.perf_counter()
    try:
        done = subprocess.run(
            command,
            input=order,
            capture_output=True,
            check=False,
            start_new_session=True,
            timeout=limit,
            cwd=HERE.parent,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} did not come back within {limit:.0f} s") from error
    cores = (_children() - before) / (time.perf_counter() - start)
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("bench "):
            load = msgspec.json.decode(line.removeprefix("bench "), type=Load)
            return msgspec.structs.replace(load, caller_cores=cores)
    said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
    raise BenchError(f"{name} counted nothing: {said}")


def _children() -> float:
    """CPU seconds of the children that have ended; while callers call, no other child ends."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
