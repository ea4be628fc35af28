"""A report with invented numbers, as a full run would leave one."""

from benchmarks import cases, report, rounds
from benchmarks.rounds import Plan
from benchmarks.servers import SERVERS
from benchmarks.trial import Sample

RATES = {"athena": 8000.0, "fastapi": 5000.0, "mosec": 9000.0, "litserve": 800.0, "bentoml": 250.0}
"""A second, the same in every case."""


def sample(case: str, server: str, *, number: int = 0, rate: float = 0.0, errors: int = 0) -> Sample:
    """One turn; the slower, the longer and the dearer."""
    rate = rate or RATES[server]
    return Sample(
        server=server,
        case=case,
        round=number,
        rate=rate,
        p50_ms=8000 / rate,
        p99_ms=16000 / rate,
        cpu_us=1e6 / rate,
        cores=1.0,
        pss_mib=60.0,
        start_s=0.5,
        errors=errors,
    )


def full() -> report.Report:
    """Every case, every server that has a part in it."""
    wanted, plan = cases.every_case(), Plan()
    samples = [
        sample(case.name, server.name, number=number)
        for case in wanted
        for number in range(plan.rounds)
        for server in SERVERS
        if server.name not in case.absent
    ]
    rows = rounds.summarise(samples, SERVERS[0].name)
    return report.Report(
        machine=report.Machine(
            time="2026-01-02T03:04:05+00:00",
            cores=2,
            cpu="a processor",
            kernel="6.1",
            python="3.11.7",
            wrk="4.1",
            load=0.1,
            packages={server.name: {server.packages[0]: "1.0"} for server in SERVERS},
        ),
        plan=plan,
        cases=report.titles(wanted),
        rows=rows,
        samples=samples,
        skipped=[],
        absent=report.absences(wanted, SERVERS),
        verdicts=rounds.judge(rows, wanted),
    )
