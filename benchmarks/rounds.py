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
    """The reference's requests a second divided by this server's; none without a reference."""
    p99_ratio: float | None
    """This server's p99 divided by the reference's."""
    cpu_ratio: float | None
    """This server's CPU a request divided by the reference's."""


def run(
    wrk: str, cases: Iterable[Case], servers: Sequence[Server], plan: Plan, tell: Callable[[Sample], None]
) -> list[Sample]:
    """Measure everything; `tell` hears of each sample as it is made. Raises `BenchError` on a wrong answer."""
    samples = []
    length = trial.Length(warm_up=plan.warm_up, seconds=plan.seconds)
    for case in cases:
        for number in range(plan.rounds):
            for server in servers:
                samples.append(trial.measure(wrk, case, server, length, number=number))
                tell(samples[-1])
    return samples


def summarise(samples: Sequence[Sample], reference: str) -> list[Row]:
    """One row for each case and server, in the order of the samples."""
    grouped: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        grouped.setdefault((sample.case, sample.server), []).append(sample)
    return [_row(group, grouped.get((case, reference), [])) for (case, _), group in grouped.items()]


def _row(group: Sequence[Sample], references: Sequence[Sample]) -> Row:
    pairs = list(zip(references, group, strict=True)) if references else []

    def ratio(of: Callable[[Sample, Sample], float]) -> float | None:
        return statistics.median(of(ours, theirs) for ours, theirs in pairs) if pairs else None

    return Row(
        server=group[0].server,
        case=group[0].case,
        rate=statistics.median(sample.rate for sample in group),
        p50_ms=statistics.median(sample.p50_ms for sample in group),
        p99_ms=statistics.median(sample.p99_ms for sample in group),
        cpu_us=statistics.median(sample.cpu_us for sample in group),
        cores=statistics.median(sample.cores for sample in group),
        pss_mib=statistics.median(sample.pss_mib for sample in group),
        start_s=statistics.median(sample.start_s for sample in group),
        errors=sum(sample.errors for sample in group),
        rate_ratio=ratio(lambda ours, theirs: ours.rate / theirs.rate),
        p99_ratio=ratio(lambda ours, theirs: theirs.p99_ms / ours.p99_ms),
        cpu_ratio=ratio(lambda ours, theirs: theirs.cpu_us / ours.cpu_us),
    )
