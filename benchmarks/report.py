"""The report: a table for people, the same and every sample as JSON for programs."""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks import environments
from benchmarks.cases import Case
from benchmarks.errors import BenchError
from benchmarks.rounds import Plan, Row, Verdict
from benchmarks.servers import Server
from benchmarks.trial import Sample

RESULTS = Path(__file__).parent / "results"
LATEST = RESULTS / "latest.json"

HEADINGS = (
    *("case", "server", "a second", "p50 ms", "p99 ms", "CPU µs each", "cores", "PSS MiB", "start s"),
    *("x a second", "x p50", "x p99", "x CPU", "errors", "caller cores"),
)
LEGEND = (
    "Medians of the rounds. CPU, cores and PSS are of the whole process tree. The x columns compare Athena with the "
    "server of the row, as the median of each round's ratio; above 1 Athena is better: so many times its requests a "
    "second, its p50, p99 and CPU so many times Athena's. Caller cores is the most of any round: near 1 the caller was "
    "the limit, not the server."
)


class Machine(msgspec.Struct, frozen=True):
    """Where and with what the numbers were made."""

    time: str
    cores: int
    cpu: str
    kernel: str
    python: str
    wrk: str
    load: float
    """Load average of the minute before; above about 0.3 somebody else was at work."""
    packages: dict[str, dict[str, str]]
    """By server: package and version."""


class Report(msgspec.Struct, frozen=True):
    """Everything that is known of a run."""

    machine: Machine
    plan: Plan
    cases: dict[str, str]
    """By name: what the case is."""
    rows: list[Row]
    samples: list[Sample]
    skipped: list[str]
    """A sentence for each server that was not measured."""
    absent: dict[str, dict[str, str]] = {}
    """By case and server: why it has no part in it."""
    verdicts: list[Verdict] = []


class Absence(NamedTuple):
    """A line of the table for servers that have no part in a case."""

    case: str
    servers: str
    why: str


def describe(wrk: str, servers: Sequence[Server]) -> Machine:
    """Look at this machine; before the run, so that `load` is not our own."""
    banner = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False).stdout
    return Machine(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        cores=len(os.sched_getaffinity(0)),
        cpu=_cpu_model(),
        kernel=platform.release(),
        python=platform.python_version(),
        wrk=banner.removeprefix("wrk ").split(" ")[0].removeprefix("debian/"),
        load=os.getloadavg()[0],
        packages={server.name: environments.versions(server.site, server.packages) for server in servers},
    )


def titles(cases: Sequence[Case]) -> dict[str, str]:
    """What each case is, by its name."""
    return {case.name: case.title for case in cases}


def absences(cases: Sequence[Case], servers: Sequence[Server]) -> dict[str, dict[str, str]]:
    """By case: which of these servers have no part in it, and why."""
    names = {server.name for server in servers}
    found = {case.name: {name: why for name, why in case.absent.items() if name in names} for case in cases}
    return {name: reasons for name, reasons in found.items() if reasons}


def lines(report: Report) -> Iterator[Row | Absence]:
    """The rows in the order of the cases, each case followed by those that have no part in it."""
    for name in dict.fromkeys((*(row.case for row in report.rows), *report.absent)):
        yield from (row for row in report.rows if row.case == name)
        reasons = report.absent.get(name, {})
        for why in dict.fromkeys(reasons.values()):
            yield Absence(name, ", ".join(server for server, reason in reasons.items() if reason == why), why)


def markdown(report: Report) -> str:
    """The table with the machine above it and what it means below."""
    text = [_machine_line(report), ""]
    text += [
        f"- {name}: {' '.join(f'{key} {value}' for key, value in found.items())}"
        for name, found in report.machine.packages.items()
    ]
    text += [f"- skipped: {reason}" for reason in report.skipped]
    text += ["", line(HEADINGS), line(("---", "---", *("---:",) * (len(HEADINGS) - 2)))]
    text += [line(_cells(row)) for row in lines(report)]
    text += ["", LEGEND, ""]
    text += [f"- {name}: {title}" for name, title in report.cases.items()]
    text += [
        f"- {row.case}, {row.server}: the callers sent a hundredth of the frames {row.lag_ms:.1f} ms late or later"
        for row in report.rows
        if row.lag_ms
    ]
    text += [
        f"- {one.case}: {one.aim}: {'reached' if one.is_reached else 'missed'}, {one.value:.2f}"
        for one in report.verdicts
    ]
    return "\n".join(text) + "\n"


def write(report: Report) -> Path:
    """Store the report as `results/latest.md` and `.json`; the former's path."""
    RESULTS.mkdir(exist_ok=True)
    LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    path = LATEST.with_suffix(".md")
    path.write_text(markdown(report))
    return path


def read(path: Path) -> Report:
    """A stored report. Raises `BenchError` if there is none, or one of another version of this program."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise BenchError(f"no report {path}", help="python -m benchmarks") from error
    except msgspec.MsgspecError as error:
        raise BenchError(f"{path} is no report: {error}", help="measure anew: python -m benchmarks") from error


def line(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def ratio(value: float | None) -> str:
    """Two digits, or a stroke."""
    return "-" if value is None else f"{value:.2f}"


def amount(value: float, digits: int = 0) -> str:
    """A number, or a stroke for nothing: what cannot be told apart is not nought."""
    return f"{value:,.{digits}f}" if value else "-"


def _machine_line(report: Report) -> str:
    machine, plan = report.machine, report.plan
    return (
        f"{machine.time}: {machine.cores} cores of {machine.cpu}, Linux {machine.kernel}, Python {machine.python}, "
        f"wrk {machine.wrk} on one thread, {plan.rounds} rounds of {plan.seconds} s after {plan.warm_up} s of warm-up, "
        f"load before {machine.load:.2f}"
    )


def _cells(row: Row | Absence) -> tuple[str, ...]:
    if isinstance(row, Absence):
        return (*row, *("-",) * (len(HEADINGS) - len(row)))
    numbers = (f"{row.rate:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", amount(row.cpu_us))
    weights = (amount(row.cores, 2), f"{row.pss_mib:.0f}", f"{row.start_s:.2f}")
    ratios = (row.rate_ratio, row.p50_ratio, row.p99_ratio, row.cpu_ratio)
    return (row.case, row.server, *numbers, *weights, *map(ratio, ratios), str(row.errors), f"{row.caller_cores:.2f}")


def _cpu_model() -> str:
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        if entry.startswith("model name"):
            return entry.partition(":")[2].strip()
    return platform.machine()
