"""Metrics: the sum over all processes, living and dead, in the form that Prometheus reads."""

import math
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from athena_serving.gateway.meters import Meter, label
from athena_serving.supervisor import metrics
from athena_serving.supervisor.metrics import FAMILIES, Totals
from athena_serving.wire.page import Page

SERVICE = '{service="ocr"}'


def page(**values: float) -> Page:
    """A process's page with counters of service ocr."""
    one = Page(memoryview(bytearray(1 << 16)))
    one.format(0)
    for name, value in values.items():
        one.values[one.counter(f"{name}{SERVICE}")] = value
    return one


def parsed(values: dict[str, float]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples as Prometheus' own parser finds them."""
    found = {}
    for family in text_string_to_metric_families(metrics.render(values).decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def test_living_and_dead_are_summed() -> None:
    """A counter never goes down when a process dies and another takes its place."""
    totals, dying, living = Totals(), page(athena_busy_seconds_total=3.0), page(athena_busy_seconds_total=1.5)
    name = f"athena_busy_seconds_total{SERVICE}"
    assert totals.sum([dying, living], {})[name] == 4.5
    totals.fold(dying)
    assert totals.sum([living], {})[name] == 4.5
    assert totals.sum([living, page(athena_busy_seconds_total=0.25)], {})[name] == 4.75


def test_gauges_of_the_dead_go_with_them() -> None:
    """What a dead door had in flight is in flight no longer."""
    totals, dead = Totals(), page(athena_calls_in_flight=5.0)
    totals.fold(dead)
    assert f"athena_calls_in_flight{SERVICE}" not in totals.sum([], {})


def test_supervisors_own_counts_and_gauges() -> None:
    """Counters add up; a gauge is what it is now."""
    totals = Totals()
    for _ in range(3):
        totals.add('athena_worker_restarts_total{service="ocr",reason="exit"}')
    summed = totals.sum([], {f"athena_seats{SERVICE}": 4})
    assert summed == {'athena_worker_restarts_total{service="ocr",reason="exit"}': 3.0, f"athena_seats{SERVICE}": 4}


def test_every_family_has_its_type_and_meaning() -> None:
    """Once, before its samples."""
    text = metrics.render({"athena_seats": 1, "athena_counters_refused_total": 0.0, "athena_unknown": 2}).decode()
    assert text.splitlines() == [
        "# HELP athena_seats Seats of the workers that are ready.",
        "# TYPE athena_seats gauge",
        "athena_seats 1",
        "# HELP athena_counters_refused_total Counts that found no room in a process's page.",
        "# TYPE athena_counters_refused_total counter",
        "athena_counters_refused_total 0",
        "# HELP athena_unknown ",
        "# TYPE athena_unknown untyped",
        "athena_unknown 2",
    ]
    assert all(text and kind in ("counter", "gauge", "histogram") for kind, text in FAMILIES.values())


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=30))
def test_histogram_is_one(seconds: list[float]) -> None:
    """Buckets grow, the last is the count, and the sum is the sum: what `histogram_quantile` needs."""
    one, spent = page(), []
    meter = Meter(one, "ocr")
    for value in seconds:
        call = SimpleNamespace(code=0, status=200, bytes_in=1, bytes_out=1, user_us=0)
        call.started = call.read_at = call.decoded_at = call.answered_at = 1.0
        meter.entered()
        meter.ended(call, now=1.0 + value)
        spent.append(1.0 + value - 1.0)
    samples = parsed(Totals().sum([one], {}))
    labels = {"service": "ocr", "stage": "total"}
    buckets = [
        (float(dict(key)["le"]), value)
        for (name, key), value in samples.items()
        if name == "athena_call_seconds_bucket" and labels.items() <= dict(key).items()
    ]
    for bound, count in buckets:
        assert count == sum(value <= bound for value in spent)
    key = tuple(sorted(labels.items()))
    assert samples["athena_call_seconds_count", key] == len(spent) == buckets[-1][1]
    assert math.isclose(samples["athena_call_seconds_sum", key], sum(spent), abs_tol=1e-9)


@given(st.floats(), st.text(min_size=1, max_size=20))
def test_any_number_and_any_label_can_be_read(value: float, service: str) -> None:
    """Also a number that a broken process wrote: one bad line would cost all the others."""
    name = f'athena_busy_seconds_total{{service="{label(service)}"}}'
    (key, found), *others = parsed({name: value}).items()
    assert (key, others) == (("athena_busy_seconds_total", (("service", service),)), [])
    assert found == value or (math.isnan(found) and math.isnan(value))
