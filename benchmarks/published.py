"""What the documents show of a run: the chart and the tables, between two marks of docs/performance.md."""

# ruff: noqa: RUF001  # the sign of multiplication and Chinese are meant

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cases import NO_BATCHES, NO_SESSIONS, NO_SOCKET, Case
from benchmarks.errors import BenchError
from benchmarks.report import Absence, Report, amount, line, lines, ratio
from benchmarks.rounds import Plan, Row

DOCS = Path(__file__).parents[1] / "docs"
CHART = DOCS / "performance.png"
BEGIN, END = "<!-- begin: python -m benchmarks -->", "<!-- end: python -m benchmarks -->"


@dataclass(frozen=True, slots=True)
class Words:
    """How a language says it."""

    page: Path
    chart: str
    """The chart with its path from the page."""
    machine: str
    table: tuple[str, ...]
    aims: tuple[str, str, str]
    reached: str
    missed: str
    legend: str
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a server has no part in a case, for those that are said otherwise than by the case."""


ENGLISH = Words(
    page=DOCS / "performance.md",
    chart="![Athena's rate divided by each server's, by case](performance.png)",
    machine="{day}, {cores} cores of {cpu}, Linux {kernel}, Python {python}, {rounds} × {seconds} s: {packages}.",
    table=("case", "server", "a second", "p50 ms", "p99 ms", "CPU µs", "× rate", "× p50", "× p99", "× CPU", "errors"),
    aims=("case", "aimed at", "measured"),
    reached="reached",
    missed="**missed**",
    legend="The × columns are medians of each round's ratio; above 1 Athena is better.",
)
CHINESE = Words(
    page=DOCS / "zh" / "performance.md",
    chart="![各场景下 Athena 的速率与其他服务器之比](../performance.png)",
    machine="{day}，{cores} 核 {cpu}，Linux {kernel}，Python {python}，{rounds} 轮，每轮 {seconds} 秒。{packages}。",
    table=("场景", "服务器", "每秒", "p50 毫秒", "p99 毫秒", "CPU µs", "× 速率", "× p50", "× p99", "× CPU", "错误"),
    aims=("场景", "目标", "实测"),
    reached="达到",
    missed="**未达到**",
    legend="× 各列是每轮比值的中位数；大于 1 表示 Athena 更好。",
    reasons={NO_BATCHES: "没有批处理", NO_SOCKET: "没有 WebSocket", NO_SESSIONS: "没有会话"},
)


def why_not(report: Report, cases: Iterable[Case], servers: Iterable[str], plan: Plan) -> str:
    """Why the documents should not show this run: it is not of everything, or too short; empty if they should."""
    missing = [case.name for case in cases if case.name not in report.cases]
    missing += [server for server in servers if server not in report.machine.packages]
    if missing:
        return f"not measured: {', '.join(missing)}"
    if report.plan.rounds < plan.rounds or report.plan.seconds < plan.seconds:
        return f"fewer than {plan.rounds} rounds of {plan.seconds} s"
    return "there were errors" if any(row.errors for row in report.rows) else ""


def write(report: Report) -> list[Path]:
    """Put a run into the pages of both languages. Raises `BenchError` if a page has lost its marks."""
    pages = [(words.page, _between(words.page, block(report, words))) for words in (ENGLISH, CHINESE)]
    for page, text in pages:
        page.write_text(text, encoding="utf-8")
    return [page for page, _ in pages]


def block(report: Report, words: Words) -> str:
    """What stands between the marks."""
    machine, plan = report.machine, report.plan
    first = {name: next(iter(found.items())) for name, found in machine.packages.items() if found}
    said = words.machine.format(
        day=machine.time.partition("T")[0],
        cores=machine.cores,
        cpu=machine.cpu,
        kernel=machine.kernel,
        python=machine.python,
        rounds=plan.rounds,
        seconds=plan.seconds,
        packages=", ".join(f"{package} {version}" for package, version in first.values()),
    )
    text = [
        said,
        "",
        words.chart,
        "",
        *_head(words.table, left=2),
        *(line(_cells(row, words)) for row in lines(report)),
    ]
    text += ["", words.legend]
    if report.verdicts:
        text += ["", *_head(words.aims, left=2)]
    for one in report.verdicts:
        verdict = words.reached if one.is_reached else words.missed
        text.append(line((f"`{one.case}`", f"`{one.aim}`", f"{one.value:.2f}: {verdict}")))
    return "\n".join(text)


def _between(page: Path, new: str) -> str:
    """The page with other words between its marks."""
    before, begun, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise BenchError(f"{page.name} has no place for the results", help=f"write {BEGIN} and {END} where they belong")
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def _head(cells: tuple[str, ...], *, left: int) -> list[str]:
    return [line(cells), line((*("---",) * left, *("---:",) * (len(cells) - left)))]


def _cells(row: Row | Absence, words: Words) -> tuple[str, ...]:
    if isinstance(row, Absence):
        left = len(words.table) - len(row)
        return (f"`{row.case}`", row.servers, words.reasons.get(row.why, row.why), *("-",) * left)
    numbers = (f"{row.rate:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", amount(row.cpu_us))
    ratios = (row.rate_ratio, row.p50_ratio, row.p99_ratio, row.cpu_ratio)
    return (f"`{row.case}`", row.server, *numbers, *map(ratio, ratios), str(row.errors))
