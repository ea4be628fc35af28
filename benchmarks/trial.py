"""One server, one case, one round: started, checked, warmed, driven, weighed and stopped."""

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path

import msgspec

from benchmarks import load, processes
from benchmarks.callers.orders import HOST, Load, Order, Request
from benchmarks.cases import Case, Drive
from benchmarks.errors import BenchError, NoAnswer
from benchmarks.exchanges import Exchange
from benchmarks.servers import Ports, Server
from benchmarks.streams import FRAME_SECONDS

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
    """Requests a second, or chunks, or frames: what the case counts."""
    p50_ms: float
    """Of the answer, of the first chunk, or from frame to echo."""
    p99_ms: float
    cpu_us: float
    """CPU microseconds of the whole process tree for one of what is counted; 0 where it cannot be told apart."""
    cores: float
    """Cores that the tree kept busy."""
    pss_mib: float
    """Memory of the tree after the run, MiB."""
    start_s: float
    """Seconds from start to ready."""
    errors: int
    caller_cores: float = 0.0
    """Cores that the callers kept busy; near 1 they were the limit."""
    lag_ms: float = 0.0
    """Of paced frames: how late the callers sent them, 99th percentile."""


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


def measure(wrk: str, case: Case, server: Server, length: Length, *, number: int) -> list[Sample]:
    """Measure once: a sample of the case, and one of the calls beside it where it has such.

    Raises `BenchError` if the server does not start, answers wrongly or dies.
    """
    exchange, ports = server.exchange(case), _free_ports()
    with tempfile.NamedTemporaryFile(prefix="bench-") as body:
        body.write(exchange.body)
        body.flush()
        drive = _driver(wrk, case, exchange, ports.http, body=Path(body.name))
        counted, cost = _try(case, server, length, ports, drive)
    samples = [_sample(case.name, server, counted, cost, number=number)]
    if counted.beside:
        # What the processes used was used for the sessions and for these calls together: it stands in the first row.
        samples.append(_sample(case.beside_name, server, counted.beside, replace(cost, cpu=0.0), number=number))
    return samples


def _sample(case: str, server: Server, counted: Load, cost: Cost, *, number: int) -> Sample:
    if counted.requests == 0:
        raise BenchError(f"{server.name} answered nothing in {case}")
    seconds = counted.duration_us / 1e6
    return Sample(
        server=server.name,
        case=case,
        round=number,
        rate=counted.requests / seconds,
        p50_ms=counted.p50_us / 1e3,
        p99_ms=counted.p99_us / 1e3,
        cpu_us=cost.cpu * 1e6 / counted.requests,
        cores=cost.cpu / seconds,
        pss_mib=cost.pss / 2**20,
        start_s=cost.start,
        errors=counted.errors,
        caller_cores=counted.caller_cores,
        lag_ms=counted.lag_us / 1e3,
    )


def _driver(wrk: str, case: Case, exchange: Exchange, port: int, *, body: Path) -> Callable[[int], Load]:
    """Who calls for so many seconds: wrk, or our own callers where answers are streams."""
    stream, beside = exchange.stream, case.beside
    if stream is None:
        url = f"http://{HOST}:{port}{exchange.path}"
        return lambda seconds: load.drive(wrk, url, body, connections=case.concurrency, seconds=seconds)
    order = Order(
        drive=case.drive.value,
        port=port,
        request=Request(exchange.path, exchange.body, exchange.accept),
        stream=stream,
        connections=case.concurrency,
        seconds=0.0,
        pace=FRAME_SECONDS,
        beside=Request(beside.exchange.path, beside.exchange.body, beside.exchange.accept) if beside else None,
    )
    return lambda seconds: load.call(msgspec.structs.replace(order, seconds=float(seconds)))


def _try(case: Case, server: Server, length: Length, ports: Ports, drive: Callable[[int], Load]) -> tuple[Load, Cost]:
    """Start, verify, warm up, drive, weigh and stop."""
    log = LOGS / f"{server.name}-{case.name.replace(' ', '-')}.log"
    start = time.perf_counter()
    command, environ = server.command(case, ports), server.environ(case, ports)
    with processes.started(server.name, command, environ=environ, log=log) as tree:
        ready = _until_ready(tree, server, server.exchange(case), ports.http, since=start)
        _verify(server, case, ports.http)
        drive(length.warm_up)
        before = tree.cpu()
        counted = drive(length.seconds)
        cost = Cost(cpu=tree.cpu() - before, pss=tree.pss(), start=ready)
        tree.check()
    return counted, cost


def _free_ports() -> Ports:
    """Two ports that nobody had a moment ago."""
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        return Ports(http=one.getsockname()[1], admin=other.getsockname()[1])


def _until_ready(tree: processes.Tree, server: Server, exchange: Exchange, port: int, *, since: float) -> float:
    """Wait for the first 200; seconds since the start. Raises `BenchError` if the server exits or takes too long."""
    ask = partial(load.fetch, port, exchange.path, exchange.body, accept=exchange.accept)
    if server.ready:
        ask = partial(load.fetch, port, server.ready)
    while (waited := time.perf_counter() - since) < START_TIMEOUT:
        tree.check()
        with contextlib.suppress(NoAnswer):
            if ask().status == HTTPStatus.OK:
                return time.perf_counter() - since
        time.sleep(GLANCE)
    raise BenchError(f"{server.name} is not ready after {waited:.0f} s; its last words:\n{tree.last_words()}")


def _verify(server: Server, case: Case, port: int) -> None:
    """Numbers of a server that answers wrongly mean nothing: raise `BenchError`."""
    exchange = server.exchange(case)
    if exchange.stream is not None and case.drive is not Drive.EVENTS:
        answer = load.converse(port, exchange, exchange.stream)
    else:
        answer = load.fetch(port, exchange.path, exchange.body, accept=exchange.accept)
    if answer.status != HTTPStatus.OK or not exchange.is_right(answer.body):
        raise BenchError(
            f"{server.name} answers {case.name} wrongly: status {answer.status}, body {answer.body[:300]!r}"
        )
