"""`python -m benchmarks`: measure. With `setup`: only make the environments. With `draw`: show a stored run anew."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import cases, chart, environments, published, report, rounds
from benchmarks.errors import BenchError, PeerMissing
from benchmarks.rounds import Plan
from benchmarks.servers import SERVERS
from benchmarks.trial import Sample

FULL = Plan()
QUICK = Plan(rounds=1, seconds=2)
GROUPS = tuple(dict.fromkeys(case.group for case in cases.every_case()))
NAMES = tuple(server.name for server in SERVERS)


def main() -> int:
    """Exit status: 0, 1 if a run failed or had errors, 130 after Ctrl-C."""
    options = _parser().parse_args()
    # As Ctrl-C does, a polite kill must unwind, so that no server stays behind.
    signal.signal(signal.SIGTERM, _leave)
    try:
        return VERBS[options.verb](options)
    except BenchError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; all servers are stopped")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("verb", nargs="?", choices=tuple(VERBS), default="run")
    parser.add_argument("--from", dest="stored", type=Path, default=report.LATEST, help="the run that `draw` shows")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds: does it work at all?")
    parser.add_argument("--rounds", type=_count, help=f"rounds of each case (default {FULL.rounds})")
    parser.add_argument("--seconds", type=_count, help=f"length of a measurement (default {FULL.seconds})")
    parser.add_argument("--only", type=_names_of(GROUPS), default=GROUPS, help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--servers", type=_names_of(NAMES), default=NAMES, help=f"of {','.join(NAMES)}")
    return parser


def _bench(options: argparse.Namespace) -> int:
    wrk = environments.wrk()
    chosen = [server for server in SERVERS if server.name in options.servers]
    skipped = _make_missing([server.name for server in chosen])
    servers = [server for server in chosen if server.name not in skipped]
    if not servers:
        raise BenchError("no server is left to measure", help="python -m benchmarks setup")
    wanted = [case for case in cases.every_case() if case.group in options.only]
    plan = _plan(options)
    machine = report.describe(wrk, servers)
    samples = rounds.run(wrk, wanted, servers, plan, _tell)
    rows = rounds.summarise(samples, SERVERS[0].name)
    result = report.Report(
        machine=machine,
        plan=plan,
        cases=report.titles(wanted),
        rows=rows,
        samples=samples,
        skipped=list(skipped.values()),
        absent=report.absences(wanted, servers),
        verdicts=rounds.judge(rows, wanted),
    )
    print(report.markdown(result))
    _say(f"written to {report.write(result)}")
    reason = published.why_not(result, cases.every_case(), NAMES, FULL)
    _show(result, in_documents=not reason)
    if reason:
        _say(f"the documents stay as they are, {reason}; to write them all the same: python -m benchmarks draw")
    return _judge(samples)


def _draw(options: argparse.Namespace) -> int:
    """Show a stored run in the documents, without measuring."""
    _show(report.read(options.stored), in_documents=True)
    return 0


def _show(result: report.Report, *, in_documents: bool) -> None:
    """Draw the chart and, if wanted, write the documents. A run without its chart is still a run."""
    paths = [report.LATEST.with_suffix(".png"), *([published.CHART] if in_documents else [])]
    try:
        drawn = not _make_missing([chart.ENVIRONMENT]) and chart.draw(result, *paths)
    except PeerMissing as error:
        _say(f"skip the chart: {error}")
    else:
        _say(f"drawn: {', '.join(map(str, paths))}" if drawn else "no chart: it takes two servers")
    if in_documents:
        _say(f"written to {', '.join(map(str, published.write(result)))}")


def _setup(_options: argparse.Namespace) -> int:
    """Make every environment anew if its lock has changed, then look for wrk."""
    missing = _make_missing(environments.EVERY)
    environments.wrk()
    return 1 if missing else 0


def _make_missing(names: Iterable[str]) -> dict[str, str]:
    """Make the environments that are absent; by name, why one could not be made."""
    missing = {}
    for name in names:
        if name not in environments.EVERY or environments.is_made(name):
            continue
        _say(f"making the environment of {name} from {environments.lock(name).name}")
        try:
            environments.make(name)
        except PeerMissing as error:
            missing[name] = str(error).partition("\n")[0]
            _say(f"skip {name}: {error}")
    return missing


def _plan(options: argparse.Namespace) -> Plan:
    base = QUICK if options.quick else FULL
    return replace(base, rounds=options.rounds or base.rounds, seconds=options.seconds or base.seconds)


def _judge(samples: Iterable[Sample]) -> int:
    """A run with a single refused, broken or late answer has failed, whatever its numbers."""
    failed = [sample for sample in samples if sample.errors]
    for sample in failed:
        _say(f"failed: {sample.server}, {sample.case}, round {sample.round + 1}: {sample.errors} errors")
    return 1 if failed else 0


def _tell(sample: Sample) -> None:
    _say(
        f"{sample.case:<22} {sample.server:<8} round {sample.round + 1}: {sample.rate:9,.0f} a second, "
        f"p50 {sample.p50_ms:.2f} ms, p99 {sample.p99_ms:.2f} ms, {sample.cpu_us:,.0f} µs CPU"
    )


def _say(line: str) -> None:
    """Progress and complaints go to standard error; the report alone to standard output."""
    print(line, file=sys.stderr, flush=True)


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _names_of(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A parser of `one,two` that refuses names it does not know."""

    def parse(word: str) -> tuple[str, ...]:
        names = tuple(word.split(","))
        strange = [name for name in names if name not in known]
        if strange:
            raise argparse.ArgumentTypeError(f"no {', '.join(strange)}; there is {', '.join(known)}")
        return names

    return parse


VERBS = {"run": _bench, "setup": _setup, "draw": _draw}


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
