"""One server, one case, one round: started, checked, warmed, driven, weighed and stopped."""

import contextlib
import socket
import tempfile
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import msgspec

from benchmarks import load, processes
from benchmarks.cases import Case, Exchange
from benchmarks.errors import BenchError, NoAnswer
from benchmarks.servers import Ports, Server

LOGS = Path(__file__).parent / "results" / "logs"
START_TIMEOUT = 30.0
"""Seconds from start to ready, at most."""
GLANCE = 0.005
"""Seconds between two looks whether a server is ready: the resolution of `start_s`."""


class Sample(msgspec.Struct, frozen=True):
    """One server, one case, one round."""

    server: str
    case: str
    round: int
    rate: float
    """Requests a second."""
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU microseconds a request, of the whole process tree."""
    cores: float
    """Cores that the tree kept busy."""
    pss_mib: float
    """Memory of the tree after the run, MiB."""
    start_s: float
    """Seconds from start to ready."""
    errors: int


@dataclass(frozen=True, slots=True)
class Length:
    """How long a server is driven."""

    warm_up: int
    """Seconds that are not counted."""
    seconds: int
    """Seconds that are; wrk takes whole ones."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a server used."""

    cpu: float
    """CPU seconds while it was driven."""
    pss: int
    """Bytes of memory afterwards."""
    start: float
    """Seconds from start to ready."""


def measure(wrk: str, case: Case, server: Server, length: Length, *, number: int) -> Sample:
    """Measure once. Raises `BenchError` if the server does not start, answers wrongly or dies."""
    exchange = case.exchanges[server.dialect]
    with tempfile.NamedTemporaryFile(prefix="bench-") as body:
        body.write(exchange.body)
        body.flush()
        counted, cost = _try(wrk, case, server, length, body=Path(body.name))
    if counted.requests == 0:
        raise BenchError(f"{server.name} answered nothing in {case.name}")
    seconds = counted.duration_us / 1e6
    return Sample(
        server=server.name,
        case=case.name,
        round=number,
        rate=counted.requests / seconds,
        p50_ms=counted.p50_us / 1e3,
        p99_ms=counted.p99_us / 1e3,
        cpu_us=cost.cpu * 1e6 / counted.requests,
        cores=cost.cpu / seconds,
        pss_mib=cost.pss / 2**20,
        start_s=cost.start,
        errors=counted.errors,
    )


def _try(wrk: str, case: Case, server: Server, length: Length, *, body: Path) -> tuple[load.Load, Cost]:
    """Start, verify, warm up, drive, weigh and stop."""
    exchange, ports = case.exchanges[server.dialect], _free_ports()
    url = f"http://127.0.0.1:{ports.http}{exchange.path}"
    log = LOGS / f"{server.name}-{case.name.replace(' ', '-')}.log"
    start = time.perf_counter()
    command, environ = server.command(case, ports), server.environ(case, ports)
    with processes.started(server.name, command, environ=environ, log=log) as tree:
        ready = _until_ready(tree, server, exchange, ports.http, since=start)
        _verify(server, case, exchange, ports.http)
        load.drive(wrk, url, body, connections=case.concurrency, seconds=length.warm_up)
        before = tree.cpu()
        counted = load.drive(wrk, url, body, connections=case.concurrency, seconds=length.seconds)
        cost = Cost(cpu=tree.cpu() - before, pss=tree.pss(), start=ready)
        tree.check()
    return counted, cost


def _free_ports() -> Ports:
    """Two ports that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return Ports(http=one.getsockname()[1], admin=other.getsockname()[1])


def _until_ready(tree: processes.Tree, server: Server, exchange: Exchange, port: int, *, since: float) -> float:
    """Wait for the first 200; seconds since the start. Raises `BenchError` if the server exits or takes too long."""
    path, body = (server.ready, None) if server.ready else (exchange.path, exchange.body)
    while (waited := time.perf_counter() - since) < START_TIMEOUT:
        tree.check()
        with contextlib.suppress(NoAnswer):
            if load.fetch(port, path, body).status == HTTPStatus.OK:
                return time.perf_counter() - since
        time.sleep(GLANCE)
    raise BenchError(f"{server.name} is not ready after {waited:.0f} s; its last words:\n{tree.last_words()}")


def _verify(server: Server, case: Case, exchange: Exchange, port: int) -> None:
    """Numbers of a server that answers wrongly mean nothing: raise `BenchError`."""
    answer = load.fetch(port, exchange.path, exchange.body)
    if answer.status != HTTPStatus.OK or not exchange.is_right(answer.body):
        raise BenchError(
            f"{server.name} answers {case.name} wrongly: status {answer.status}, body {answer.body[:300]!r}"
        )
