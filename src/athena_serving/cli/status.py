"""`athena status`: how a running server is, from its admin port."""

import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from athena_serving.errors import UsageError
from athena_serving.supervisor.health import Report, WorkerHealth

URL: Final = "http://127.0.0.1:1890"
_PATIENCE: Final = 5.0
"""Seconds that an answer may take: as many as the admin port gives a request."""
_INTERVAL: Final = 1.0
"""Seconds between two looks of `--watch`."""


class NobodyAnswers(UsageError):
    """No server of ours at this address."""

    exit_code = 69  # EX_UNAVAILABLE of sysexits.h


class Sample(NamedTuple):
    """One line of /metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


class Counted(NamedTuple):
    """What a service has counted since its server started."""

    calls: int = 0
    errors: int = 0
    p50: float | None = None
    """Seconds, of calls that user code answered; None before the first."""
    p99: float | None = None


class Status(NamedTuple):
    """A server at one moment."""

    url: str
    report: Report
    counted: Mapping[str, Counted]
    """By service."""


# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena status
  athena status --url http://10.0.0.7:1890
  athena status --watch
  athena status --json"""


@click.command(epilog=EXAMPLES)
@click.option("--url", default=URL, show_default=True, metavar="URL", help="The server's admin port.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
def command(*, url: str, as_json: bool, watch: bool) -> int:
    """Show the services of a running server: workers, seats, calls, restarts, times.

    Calls and errors count from the server's start; p50 and p99 are of answered calls, read off the histogram. The exit
    code is 0 if the server is ready, 1 if it is not, 69 if nobody answers.
    """
    if watch and as_json:
        raise UsageError("--watch draws for people, --json writes for programs", help="choose one of them")
    if watch:
        return _watch(url)
    status = ask(url)
    if as_json:
        click.echo(json.dumps(as_document(status), ensure_ascii=False, indent=2))
    else:
        Console(markup=False, highlight=False).print(shown(status))
    return 0 if status.report.ready else 1


def _watch(url: str) -> int:
    """Redraw until Ctrl-C, which is the way out; a server that is away for a while may come back."""
    is_ready = (status := ask(url)).report.ready
    with Live(shown(status), console=Console(markup=False, highlight=False), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(_INTERVAL)
                try:
                    status = ask(url)
                    is_ready = status.report.ready
                    live.update(shown(status), refresh=True)
                except NobodyAnswers as error:
                    is_ready = False
                    live.update(error.message, refresh=True)
        except KeyboardInterrupt:
            return 0 if is_ready else 1


# ── asking ────────────────────────────────────────────────────────────────────────────────────────


def ask(url: str) -> Status:
    """How the server is whose admin port has this address. Raises NobodyAnswers, UsageError for what is no URL."""
    base = url.rstrip("/")
    if not re.match(r"https?://[^/]", base):
        raise UsageError(f"{url} is no address", where="--url", help=f"athena status --url {URL}")
    try:
        report = msgspec.json.decode(_get(f"{base}/healthz"), type=Report)
        samples = list(parse(_get(f"{base}/metrics").decode()))
    except (msgspec.DecodeError, UnicodeDecodeError, urllib.error.HTTPError) as error:
        remedy = "the admin port, 1890 by default, has health and metrics; the log's first lines name it"
        raise NobodyAnswers(f"{base} is not the admin port of a server ({error})", help=remedy) from error
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        remedy = "is it running, and is this its admin port? `athena serve` names it in its log; --url ADDRESS"
        raise NobodyAnswers(f"nobody answers at {base}: {reason}", help=remedy) from error
    return Status(base, report, {name: counted(samples, name) for name in report.services})


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an admin port is behind no proxy
    with opener.open(url, timeout=_PATIENCE) as answer:
        body: bytes = answer.read()
    return body


_LINE: Final = re.compile(r'(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>(?:[^"}]|"(?:\\.|[^"\\])*")*)\})? (?P<value>\S+)')
_LABEL: Final = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(text: str) -> Iterator[Sample]:
    """The samples of a text in Prometheus' format; other lines are passed over."""
    for line in text.splitlines():
        if (match := _LINE.match(line)) is not None:
            pairs = _LABEL.findall(match["labels"] or "")
            labels = {name: re.sub(r"\\.", lambda one: _ESCAPES.get(one[0], one[0]), value) for name, value in pairs}
            yield Sample(match["name"], labels, float(match["value"]))


def counted(samples: Iterable[Sample], service: str) -> Counted:
    """What the samples say of a service."""
    calls = errors = 0.0
    buckets: list[tuple[float, float]] = []
    for name, labels, value in samples:
        if labels.get("service") != service:
            continue
        if name == "athena_calls_total":
            calls += value
            errors += value if labels.get("code") != "0" else 0.0
        elif name == "athena_call_seconds_bucket" and labels.get("stage") == "total":
            buckets.append((float(labels["le"]), value))
    return Counted(int(calls), int(errors), quantile(buckets, 0.5), quantile(buckets, 0.99))


def quantile(buckets: Iterable[tuple[float, float]], part: float) -> float | None:
    """The seconds that this part of the calls took at most; None without a call.

    `buckets` are upper bounds and cumulative counts. Between two bounds it is taken to grow evenly, as Prometheus'
    `histogram_quantile` does; above the last finite bound it is that bound.
    """
    ordered = sorted(buckets)
    if not ordered or not ordered[-1][1]:
        return None
    rank = part * ordered[-1][1]
    low = below = 0.0
    for bound, count in ordered:
        if count >= rank and count > below:
            return low if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low


# ── showing ───────────────────────────────────────────────────────────────────────────────────────


def as_document(status: Status) -> dict[str, object]:
    """All of it as one value for JSON: what /healthz says, with `counted` for each service."""
    document: dict[str, object] = msgspec.to_builtins(status.report)
    counts = {name: one._asdict() for name, one in status.counted.items()}
    return {"url": status.url, **document, "counted": counts}


def shown(status: Status) -> RenderableType:
    """All of it for people."""
    report = status.report
    lines = [f"{status.url}: {'ready' if report.ready else 'not ready'}"]
    if not report.ready:
        lines += [f"  {reason}" for reason in report.reasons]
    notes = [f"{name}: {one.note}" for name, one in report.services.items() if one.note]
    return Group("\n".join(lines), "", _services(status), "", _workers(status), *notes)


def _services(status: Status) -> Table:
    table = _table("services", "service", "state", "workers", "seats", "running", "calls", "errors", "p50", "p99")
    for name, one in status.report.services.items():
        count = status.counted.get(name, Counted())
        ready = sum(worker.state in ("ready", "busy") for worker in one.workers)
        numbers = (f"{ready}/{len(one.workers)}", one.seats, sum(w.running for w in one.workers))
        times = (_time(count.p50), _time(count.p99))
        state = "ready" if one.ready else "not ready"
        table.add_row(name, state, *map(str, numbers), f"{count.calls:,}", f"{count.errors:,}", *times)
    return table


def _workers(status: Status) -> Table:
    table = _table("workers", "worker", "state", "pid", "running", "longest", "restarts")
    table.add_column("reason", overflow="fold")
    for one in status.report.services.values():
        for worker in one.workers:
            table.add_row(*_worker(worker), style=None if worker.state == "ready" else "bold")
    return table


def _worker(worker: WorkerHealth) -> Sequence[str]:
    longest = _time(worker.longest_seconds) if worker.running else ""
    numbers = (str(worker.pid or ""), str(worker.running), longest, str(worker.restarts))
    reason = worker.reason.removeprefix(f"{worker.state}: ")
    return (worker.name, worker.state, *numbers, "" if reason == worker.state else reason)


def _table(title: str, first: str, second: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold", min_width=8)  # a terminal of 80 columns has room for the rest
    table.add_column(second, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _time(seconds: float | None) -> str:
    """`1.5 ms`, `2.3 s`; empty for none."""
    if seconds is None:
        return ""
    return f"{_short(seconds * 1000)} ms" if seconds < 0.9995 else f"{seconds:,.1f} s"


def _short(number: float) -> str:
    """Two digits where there are fewer before the point: `0.67`, `2.4`, `120`."""
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"
