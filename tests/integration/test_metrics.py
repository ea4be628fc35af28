"""`/metrics` says what happened, exactly, and in the words of Prometheus."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from athena_serving.gateway.meters import STAGES
from athena_serving.supervisor.metrics import CONTENT_TYPE, FAMILIES
from tests.integration.actor import ACTOR
from tests.serving import Server, request_of

SENT = {("0", "200"): 3, ("10909", "502"): 2, ("10163", "400"): 1}
"""How many calls of which code and status `used` has answered."""


class Used(Server):
    """A server that knows how many bytes it was sent and has answered."""

    bytes_in = 0
    bytes_out = 0

    def send(self, document: object) -> None:
        """One call, counted."""
        answer = self.post("actor", document)
        self.bytes_in += len(answer.request.content)
        self.bytes_out += len(answer.content)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """A server after three successes, two failures of user code and one bad request."""
    with Used(tmp_path_factory.mktemp("used"), ACTOR) as server:
        for told in ("a", "b", "c", "code 7", "raise words"):
            server.send(request_of("actor", told))
        server.send({"header": {"app_id": 1}})
        yield server


def test_calls_are_counted_by_code_and_status(used: Used) -> None:
    """athena_calls_total has what was sent, no more and no less."""
    counted = {series: value for series, value in used.metrics().items() if series.startswith("athena_calls_total{")}
    assert counted == {
        f'athena_calls_total{{service="actor",code="{code}",status="{status}"}}': number
        for (code, status), number in SENT.items()
    }


def test_every_stage_of_a_success_is_timed(used: Used) -> None:
    """athena_call_seconds has each call that user code answered once in every stage; the parts fit into the total."""
    metrics = used.metrics()
    labels = {stage: f'{{service="actor",stage="{stage}"}}' for stage in STAGES}
    assert [metrics[f"athena_call_seconds_count{labels[stage]}"] for stage in STAGES] == [3.0] * len(STAGES)
    sums = {stage: metrics[f"athena_call_seconds_sum{labels[stage]}"] for stage in STAGES}
    parts = sum(seconds for stage, seconds in sums.items() if stage != "total")
    assert 0 < parts <= sums["total"] * 1.001


def test_buckets_are_cumulative(used: Used) -> None:
    """Buckets never go down and end, at +Inf, with the count."""
    for stage in STAGES:
        start = f'athena_call_seconds_bucket{{service="actor",stage="{stage}",'
        buckets = [value for series, value in used.metrics().items() if series.startswith(start)]
        assert buckets == sorted(buckets)
        assert buckets[-1] == 3.0


def test_bytes_are_counted(used: Used) -> None:
    """Bytes of bodies, both ways, are what the client saw."""
    assert used.total("athena_request_bytes_total") == used.bytes_in
    assert used.total("athena_response_bytes_total") == used.bytes_out


def test_gauges_show_the_moment(used: Used) -> None:
    """Nothing runs and nothing waits; one worker with one seat is ready."""
    assert used.total("athena_calls_in_flight") == 0
    assert used.total("athena_calls_running") == 0
    assert used.total("athena_queue_depth") == 0
    assert used.total("athena_seats", service="actor") == 1
    assert used.total("athena_workers", service="actor", state="ready") == 1
    assert used.total("athena_workers", service="actor") == 1
    assert used.total("athena_busy_seconds_total", service="actor") > 0


def test_exposition_is_typed_and_explained(used: Used) -> None:
    """Every family that is there has the type and the help of the catalogue, and Prometheus's own parser agrees."""
    answer = used.get("/metrics", admin=True)
    assert answer.headers["content-type"] == CONTENT_TYPE
    for family in text_string_to_metric_families(answer.text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert FAMILIES[name] == (family.type, family.documentation)


def test_both_ports_tell_the_same(used: Used) -> None:
    """The door asks the supervisor: nobody's metrics are one process's own."""
    here, there = used.get("/metrics"), used.get("/metrics", admin=True)
    assert here.headers["content-type"] == there.headers["content-type"]
    assert here.text == there.text


def test_names_cannot_break_the_exposition(tmp_path: Path) -> None:
    """A service's name is checked before it becomes a label, so no name needs escaping."""
    source = ACTOR.replace('serviceId = "actor"', 'serviceId = "a.b-c_d"')
    with Server(tmp_path, source) as server:
        assert server.call("a.b-c_d", "hi")[0] == 200
        assert server.total("athena_calls_total", service="a.b-c_d") == 1
