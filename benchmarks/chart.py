"""The chart of a report: what is drawn is decided here, and drawn by `drawing.py` in an environment of its own."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import environments
from benchmarks.errors import PeerMissing
from benchmarks.report import Report
from benchmarks.rounds import Row

DRAWING = Path(__file__).parent / "drawing.py"
ENVIRONMENT = "chart"
TIMEOUT = 120.0
"""Seconds; the first drawing of an environment looks for the machine's fonts."""


class Bar(msgspec.Struct, frozen=True):
    """One server in one case."""

    server: str
    ratio: float
    """How many times its rate Athena's is."""


class Group(msgspec.Struct, frozen=True):
    """One case."""

    name: str
    bars: list[Bar]


class Chart(msgspec.Struct, frozen=True):
    """What there is to draw."""

    title: str
    note: str
    reference: str
    servers: list[str]
    """All of them, in the order of their colours."""
    groups: list[Group]


def of(report: Report) -> Chart:
    """The ratios of a report, by case and peer; cases that only Athena has are left out, as a ratio needs two."""
    peers = [row for row in report.rows if row.rate_ratio is not None and row.server != _reference(report.rows)]
    groups = [
        Group(name, [Bar(row.server, row.rate_ratio or 0.0) for row in peers if row.case == name])
        for name in dict.fromkeys(row.case for row in peers)
    ]
    machine, plan = report.machine, report.plan
    day = machine.time.partition("T")[0]
    return Chart(
        title="Athena Serving beside others: how many times their rate",
        note=f"{day}, {machine.cores} cores of {machine.cpu}, median of {plan.rounds} rounds of {plan.seconds} s",
        reference=_reference(report.rows),
        servers=list(dict.fromkeys(row.server for row in peers)),
        groups=groups,
    )


def draw(report: Report, *paths: Path) -> bool:
    """Write the chart as PNG; False where no two servers were measured. Raises `PeerMissing` if it cannot be drawn."""
    chart = of(report)
    if not chart.groups:
        return False
    command = [str(environments.folder(ENVIRONMENT) / "bin/python"), str(DRAWING), *map(str, paths)]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(chart), capture_output=True, check=False, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"no chart: {error}", help="python -m benchmarks setup") from error
    if done.returncode:
        raise PeerMissing(f"no chart: {done.stderr.decode(errors='replace').strip()}")
    return True


def _reference(rows: Sequence[Row]) -> str:
    """The server whose ratios to itself are all 1: the first of each round."""
    return rows[0].server if rows else ""
