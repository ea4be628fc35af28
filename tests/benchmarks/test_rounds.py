"""Ratios, and what became of the aims."""

from benchmarks import cases, rounds

from tests.benchmarks.reports import RATES, full, sample


def test_ratios_are_medians_of_each_round() -> None:
    """A slow minute that hits both servers of a round leaves the ratio alone."""
    minutes = (1.0, 0.5, 0.9)
    samples = [
        sample("c", server, number=number, rate=RATES[server] * speed)
        for number, speed in enumerate(minutes)
        for server in ("athena", "fastapi")
    ]
    ours, theirs = rounds.summarise(samples, "athena")
    assert (ours.rate_ratio, ours.p50_ratio) == (1.0, 1.0)
    assert round(theirs.rate_ratio or 0, 6) == round(theirs.p50_ratio or 0, 6) == 1.6


def test_without_a_reference_there_is_no_ratio() -> None:
    """A run of peers alone has rates, but nothing to compare them with."""
    (row,) = rounds.summarise([sample("c", "mosec")], "athena")
    assert row.rate_ratio is None


def test_aims_are_judged_by_their_row() -> None:
    """What is enough is reached, what is not is missed, what was not measured is not judged."""
    verdicts = {(one.case, one.aim): one.is_reached for one in full().verdicts}
    assert verdicts["chunks at 16", "rate / rate(fastapi) ≥ 1.4"]
    assert not verdicts["chunks at 16", "rate / rate(mosec) ≥ 4"]
    assert rounds.judge([], cases.every_case()) == []


def test_every_aim_names_a_field_and_a_server_that_takes_part() -> None:
    """An aim that no row could ever answer would never be missed."""
    judged = {(one.case, one.aim) for one in full().verdicts}
    assert judged == {(case.name, aim.text) for case in cases.every_case() for aim in case.aims}
