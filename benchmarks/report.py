"""The report: a table for people, the same and every sample as JSON for programs."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import environments
from benchmarks.cases import Case
from benchmarks.rounds import Plan, Row
from benchmarks.servers import Server
from benchmarks.trial import Sample

RESULTS = Path(__file__).parent / "results"

HEADINGS = (
    *("case", "server", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "cores", "PSS MiB", "start s"),
    *("x requests/s", "x p99", "x CPU", "errors"),
)
LEGEND = (
    "Medians of the rounds. CPU, cores and PSS are of the whole process tree. The x columns compare Athena with the "
    "server of the row, as the median of each round's ratio; above 1 Athena is better: so many times its requests a "
    "second, its p99 and CPU so many times Athena's."
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


def markdown(report: Report) -> str:
    """The table with the machine above it and what it means below."""
    lines = [_machine_line(report), ""]
    lines += [
        f"- {name}: {' '.join(f'{key} {value}' for key, value in found.items())}"
        for name, found in report.machine.packages.items()
    ]
    lines += [f"- skipped: {reason}" for reason in report.skipped]
    lines += ["", _line(HEADINGS), _line(("---", "---", *("---:",) * (len(HEADINGS) - 2)))]
    lines += [_line(_cells(row)) for row in report.rows]
    lines += ["", LEGEND, ""]
    lines += [f"- {name}: {title}" for name, title in report.cases.items()]
    return "\n".join(lines) + "\n"


def write(report: Report) -> Path:
    """Store the report as `results/latest.md` and `.json`; the former's path."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    path = RESULTS / "latest.md"
    path.write_text(markdown(report))
    return path


def _machine_line(report: Report) -> str:
    machine, plan = report.machine, report.plan
    return (
        f"{machine.time}: {machine.cores} cores of {machine.cpu}, Linux {machine.kernel}, Python {machine.python}, "
        f"wrk {machine.wrk} on one thread, {plan.rounds} rounds of {plan.seconds} s after {plan.warm_up} s of warm-up, "
        f"load before {machine.load:.2f}"
    )


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (f"{row.rate:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.cpu_us:,.0f}")
    weights = (f"{row.cores:.2f}", f"{row.pss_mib:.0f}", f"{row.start_s:.2f}")
    ratios = (row.rate_ratio, row.p99_ratio, row.cpu_ratio)
    return (row.case, row.server, *numbers, *weights, *map(_ratio, ratios), str(row.errors))


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
