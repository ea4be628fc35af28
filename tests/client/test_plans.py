"""Plans without a network: what is sent when, on a clock of the test's."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from athena_serving.client.answer import Answer
from athena_serving.client.faults import (
    BadRequest,
    Busy,
    CallError,
    NotReachable,
    ServerFailed,
    ServiceNotFound,
    TimedOut,
)
from athena_serving.client.plans import LONGEST_PAUSE, Pause, Peer, Plan, Plans, Send
from athena_serving.client.request import Ask, load
from tests.client.scripted import BUSY, SUCCESS

Outcome = Answer | CallError
GOOD = Answer(200, {}, SUCCESS)
MISSING = Answer(404, {}, b'{"message":"not found","services":["echo"]}')
STARTING = Answer(503, {"retry-after": "1"}, b'{"message":"starting"}')
NO_APP = Answer(400, {}, b'{"header":{"code":10313,"message":"appid cannot be empty","sid":"s"}}')


def refused(seconds: str = "0") -> Answer:
    """429, with Retry-After."""
    return Answer(429, {"retry-after": seconds}, BUSY)


def described(**services: Mapping[str, str]) -> Answer:
    """An OpenAPI document of services with these inputs."""
    paths = {}
    for name, inputs in services.items():
        blocks = {key: {"properties": {kind: {"contentEncoding": "base64"}}} for key, kind in inputs.items()}
        schema = {"properties": {"payload": {"properties": blocks}}}
        content = {"content": {"application/json": {"schema": schema}}}
        paths[f"/v1/private/{name}"] = {"post": {"tags": [name], "requestBody": content}}
    return Answer(200, {}, json.dumps({"paths": paths}).encode())


class World:
    """Carries plans out: `outcomes` come in turn, each after `took` seconds."""

    def __init__(self, *outcomes: Outcome, took: float = 0.0, chance: float = 1.0, retries: int = 2) -> None:
        self.now = 100.0
        self.sent: list[Send] = []
        self.pauses: list[float] = []
        self.plans = Plans(
            Peer("http://h:1", "app", "", "", timeout=10.0, retries=retries),
            clock=lambda: self.now,
            chance=lambda: chance,
            today=lambda: datetime(2025, 1, 1, tzinfo=UTC),
        )
        self._outcomes = [*outcomes]
        self._took = took

    def run(self, plan: Plan[Any]) -> Any:
        """The result of a plan."""
        step = next(plan)
        try:
            while True:
                step = self._act(plan, step)
        except StopIteration as end:
            return end.value

    def _act(self, plan: Plan[Any], step: Send | Pause) -> Send | Pause:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
            return plan.send(None)
        self.sent.append(step)
        self.now += self._took
        outcome = self._outcomes.pop(0)
        return plan.throw(outcome) if isinstance(outcome, CallError) else plan.send(outcome)

    def call(self, *, kind: str = "text", timeout: float | None = None, service: str = "echo") -> Any:
        """A call with one input; without a `kind` it must be looked up."""
        inputs = load({"data": "hello"})
        ask = Ask(service, inputs, {}, {}, {})
        return self.run(self.plans.call(ask.typed({"data": kind}) if kind else ask, timeout))

    @property
    def paths(self) -> list[str]:
        """Method and path of what was sent."""
        return [f"{one.method} {one.url.removeprefix('http://h:1')}" for one in self.sent]


def test_pauses_double_and_are_spread_by_chance() -> None:
    """On top of what the server asks: half by right, half by chance, up to a limit."""
    world = World(*[refused("2")] * 2, GOOD)
    world.call()
    assert world.pauses == [2.1, 2.2]
    calm = World(*[NotReachable("", retry_after=0.0)] * 12, GOOD, chance=0.0, retries=12)
    calm.call(timeout=1000.0)
    assert calm.pauses[:3] == [0.05, 0.1, 0.2]
    assert max(calm.pauses) == LONGEST_PAUSE / 2


def test_time_left_shrinks_and_ends_the_tries() -> None:
    """Every try has what is left of the call's time; a pause that would outlast it is not begun."""
    world = World(refused("3"), refused("3"), took=3.0, retries=9)
    with pytest.raises(Busy):
        world.call()
    assert [one.timeout for one in world.sent] == [10.0, pytest.approx(3.9)]
    assert world.pauses == [3.1]


def test_result_has_the_seconds_of_the_whole_call() -> None:
    """Tries, pauses and looking up included."""
    world = World(described(echo={"data": "text"}), refused("2"), GOOD, took=1.0)
    assert world.call(kind="").seconds == pytest.approx(5.1)


def test_no_time_sends_nothing() -> None:
    """A timeout of 0 is over before the first try."""
    world = World()
    with pytest.raises(TimedOut, match="before it was sent"):
        world.call(timeout=0.0)
    assert not world.sent


def test_types_are_looked_up_once() -> None:
    """The first call asks for the document; the second knows; with types given nobody asks."""
    world = World(described(echo={"data": "image"}), GOOD, GOOD, GOOD)
    for kind in ("", "", "text"):
        world.call(kind=kind)
    assert world.paths == ["GET /openapi.json", *["POST /v1/private/echo"] * 3]
    assert json.loads(world.sent[1].body) == {
        "header": {"app_id": "app", "status": 3},
        "parameter": {},
        "payload": {"data": {"image": "aGVsbG8=", "status": 3}},
    }
    assert "text" in json.loads(world.sent[3].body)["payload"]["data"]


def test_refused_request_forgets_the_schema() -> None:
    """The service may have another by now: the next call asks again."""
    document = described(echo={"data": "text"})
    world = World(document, NO_APP, document, GOOD)
    with pytest.raises(BadRequest):
        world.call(kind="")
    world.call(kind="")
    assert world.paths[2] == "GET /openapi.json"


def test_new_input_is_asked_for_before_it_is_refused() -> None:
    """What a remembered schema lacks, the present one may have."""
    world = World(described(echo={"old": "text"}), described(echo={"data": "text"}), GOOD)
    world.run(world.plans.services())
    world.call(kind="")
    assert world.paths == ["GET /openapi.json", "GET /openapi.json", "POST /v1/private/echo"]


def test_service_that_is_still_starting_is_waited_for() -> None:
    """It is not in the document yet, and its path says 503: ask again, then look it up again."""
    world = World(described(), STARTING, NO_APP, described(echo={"data": "text"}), GOOD)
    world.call(kind="")
    assert world.paths[1:3] == ["POST /v1/private/echo"] * 2
    assert world.sent[1].body == b"{}"


def test_service_that_is_nowhere_is_not_found() -> None:
    """The server's 404 has the names of the others."""
    with pytest.raises(ServiceNotFound, match="no service 'ecko' at http://h:1") as caught:
        World(described(), MISSING).call(kind="", service="ecko")
    assert caught.value.services == ("echo",)


@pytest.mark.parametrize("outcomes", [[described(), NO_APP, described()], [MISSING]], ids=["hidden", "no document"])
def test_server_that_describes_nothing_wants_types(outcomes: list[Outcome]) -> None:
    """The error says how to give them."""
    with pytest.raises(ServerFailed, match=r"type=…"):
        World(*outcomes).call(kind="")


def test_document_that_is_none_is_told() -> None:
    """A proxy's page, say."""
    with pytest.raises(ServerFailed, match="no OpenAPI document"):
        World(Answer(200, {}, b"[]")).run(World().plans.services())
