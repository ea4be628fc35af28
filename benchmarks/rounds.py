"""Interleaving: in every round each server has its turn, so that a slow minute of the machine is slow for all."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from benchmarks import trial
from benchmarks.cases import Case
from benchmarks.servers import Server
from benchmarks.trial import Sample


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often."""

    rounds: int = 3
    seconds: int = 5
    """Length of a measurement; wrk takes whole seconds."""
    warm_up: int = 1
    """Seconds of load before each measurement, not counted."""


class Row(msgspec.Struct, frozen=True):
    """Medians over the rounds, and medians of the ratios of each round; a ratio above 1 speaks for the reference."""

    server: str
    case: str
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    cores: float
    pss_mib: float
    start_s: float
    errors: int
    """Sum, not median: one is too many."""
    rate_ratio: float | None
    """The reference's rate divided by this server's; none without a reference."""
    p99_ratio: float | None
    """This server's p99 divided by the reference's."""
    cpu_ratio: float | None
    """This server's CPU for one of what is counted divided by the reference's."""
    p50_ratio: float | None = None
    """This server's p50 divided by the reference's."""
    caller_cores: float = 0.0
    """Cores that the callers kept busy, at most."""
    lag_ms: float = 0.0
    """Of paced frames: how late the callers sent them, 99th percentile of the worst round."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of an aim."""

    case: str
    aim: str
    value: float
    is_reached: bool


def run(
    wrk: str, cases: Iterable[Case], servers: Sequence[Server], plan: Plan, tell: Callable[[Sample], None]
) -> list[Sample]:
    """Measure everything; `tell` hears of each sample as it is made. Raises `BenchError` on a wrong answer."""
    samples: list[Sample] = []
    length = trial.Length(warm_up=plan.warm_up, seconds=plan.seconds)
    for case in cases:
        for number in range(plan.rounds):
            for server in [server for server in servers if server.name not in case.absent]:
                made = trial.measure(wrk, case, server, length, number=number)
                samples += made
                for sample in made:
                    tell(sample)
    return samples


def summarise(samples: Sequence[Sample], reference: str) -> list[Row]:
    """One row for each case and server, in the order of the samples."""
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        grouped.setdefault((sample.case, sample.server), []).append(sample)
    return [_row(group, grouped.get((case, reference), [])) for (case, _), group in grouped.items()]


def judge(rows: Sequence[Row], cases: Iterable[Case]) -> list[Verdict]:
    """What became of the aims whose rows are there."""
    found = {(row.case, row.server): row for row in rows}
    verdicts = []
    for case in cases:
        for aim in case.aims:
            row = found.get((case.name, aim.server))
            value: float | None = getattr(row, aim.field, None)
            if value is not None:
                share = value / aim.per
                verdicts.append(Verdict(case.name, aim.text, share, is_reached=aim.least <= share <= aim.most))
    return verdicts


def _row(group: Sequence[Sample], references: Sequence[Sample]) -> Row:
    pairs = list(zip(references, group, strict=True)) if references else []

    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, group))

    def ratio(of: Callable[[Sample], float]) -> float | None:
        """How many times the reference's this server's is."""
        return statistics.median(of(theirs) / of(ours) for ours, theirs in pairs) if pairs and of(pairs[0][0]) else None

    return Row(
        server=group[0].server,
        case=group[0].case,
        rate=median(lambda sample: sample.rate),
        p50_ms=median(lambda sample: sample.p50_ms),
        p99_ms=median(lambda sample: sample.p99_ms),
        cpu_us=median(lambda sample: sample.cpu_us),
        cores=median(lambda sample: sample.cores),
        pss_mib=median(lambda sample: sample.pss_mib),
        start_s=median(lambda sample: sample.start_s),
        errors=sum(sample.errors for sample in group),
        rate_ratio=ratio(lambda sample: 1 / sample.rate),
        p99_ratio=ratio(lambda sample: sample.p99_ms),
        cpu_ratio=ratio(lambda sample: sample.cpu_us),
        p50_ratio=ratio(lambda sample: sample.p50_ms),
        caller_cores=max(sample.caller_cores for sample in group),
        lag_ms=max(sample.lag_ms for sample in group),
    )
