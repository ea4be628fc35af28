"""Batches keep their items apart: whose each is, how long it may take, how it fails. Row T9."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import pytest

from tests.load import Sample, asking
from tests.serving import Json, Server, eventually, request_of, text_of

FULL: Final = 8
"""Calls in a batch; one waits until it has as many."""
PATIENCE: Final = 15.0
"""Seconds that a batch waits to fill up, and a test for anything."""
DEADLINE: Final = 2.0
"""Seconds of `server.limits.call_timeout` where a test waits for a deadline."""
GOOD: Final = [f"echo {number}" for number in range(FULL - 1)]
"""Texts of a batch with room for one more."""

BATCH: Final = '''
import os, time
from pathlib import Path
from athena_serving.sdk import Response, ResponseData, StringBodyField, StringParamField, WrapperBase

HERE = Path(__file__).parent


class UserRequest:
    data = StringBodyField(key="data", value=b"echo warm up")
    name = StringParamField(key="name")


class UserResponse:
    result = StringBodyField(key="result")


def note(words):
    """One write, so that threads do not mix."""
    with (HERE / "trail").open("a", buffering=1) as trail:
        trail.write(f"{words};")


class Wrapper(WrapperBase):
    serviceId = "batch"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperBatchExec(self, batch):
        texts = [item.data.get("data").data.decode() for item in batch]
        note(f"batch {len(batch)} {' '.join(sorted(texts))}")
        for text in texts:
            word, _, rest = text.partition(" ")
            if word == "hold":
                while not (HERE / f"gate-{rest}").exists():
                    time.sleep(0.01)
            elif word == "linger":
                until = time.monotonic() + 10
                while not any(item.context.cancelled for item in batch) and time.monotonic() < until:
                    time.sleep(0.01)
            elif word == "raise":
                raise RuntimeError(f"the owl sleeps on {rest}")
            elif word == "short":
                return []
            elif word == "exit":
                os._exit(3)
        note(f"cancelled {[text for text, item in zip(texts, batch) if item.context.cancelled]}")
        return [self.answer(text, item) for text, item in zip(texts, batch)]

    def answer(self, text, item):
        word, _, rest = text.partition(" ")
        if word == "poison":
            return ValueError(f"the owl sleeps on {rest}")
        if word == "code":
            return Response().response_err(int(rest))
        if word == "who":
            own = (item.params["name"], item.params["uid"], item.context.app, item.sid, item.context.sid)
            text = " ".join((*own, item.params["sid"], str(round(item.context.remaining(), 3))))
        return Response([ResponseData("result", text)])

    def wrapperError(self, code):
        return f"owl {code}"
'''


class Batched(Server):
    """A server whose wrapper notes its batches."""

    def batches(self) -> list[str]:
        """Every batch so far: its size, and its texts in order of the alphabet."""
        return [words.removeprefix("batch ") for words in self._trail() if words.startswith("batch ")]

    def until_noted(self, words: str) -> None:
        """Wait until the wrapper noted this."""
        eventually(lambda: words in self._trail(), timeout=PATIENCE, what=repr(words))

    def open_gate(self, name: str) -> None:
        """Let a batch pass that holds."""
        (self.paths[0] / f"gate-{name}").touch()

    def hold(self, name: str) -> HTTPConnection:
        """A call whose batch has the seat."""
        link = self.begin("batch", f"hold {name}")
        self.until_noted(f"batch 1 hold {name}")
        return link

    def in_flight(self) -> int:
        """Calls that have no answer."""
        return int(self.total("athena_calls_in_flight", service="batch"))

    def _trail(self) -> list[str]:
        path = self.paths[0] / "trail"
        return path.read_text().split(";") if path.exists() else []


def batched(
    folder: Path, *, wait: float = 0.0, seats: int = 1, settings: Mapping[str, object] | None = None
) -> Batched:
    """A server of BATCH; a batch waits so many seconds to fill up."""
    given = {"batch.max": FULL, "batch.max_wait_ms": wait * 1000, "workers.seats": seats, "workers.warmup": False}
    return Batched(folder, BATCH, settings={**given, "service.pass_headers": "uid", **(settings or {})})


@pytest.fixture(scope="module", params=[1, 2], ids=["one seat", "two seats"])
def filling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batched]:
    """A server whose batches wait until they are full: what is asked together runs together."""
    with batched(tmp_path_factory.mktemp("filling"), wait=PATIENCE, seats=request.param) as one:
        yield one


async def together(server: Server, texts: Sequence[str]) -> list[Sample]:
    """Calls at once; what became of each, in their order."""
    async with asking(server, "batch", texts) as tasks:
        pass
    return [task.result() for task in tasks]


def body_of(sample: Sample) -> Json:
    """The answer's document."""
    found: Json = json.loads(sample.body)
    return found


def assert_echoed(samples: Sequence[Sample], texts: Sequence[str]) -> None:
    """Each call has its own answer."""
    assert [sample.status for sample in samples] == [200] * len(texts)
    assert [text_of(body_of(sample)) for sample in samples] == list(texts)


# ── whose is it ───────────────────────────────────────────────────────────────────────────────────


def test_each_item_knows_its_own_call(filling: Batched) -> None:
    """T9: tenants that meet in one batch see their own parameters, header, app, sid and deadline, and nobody else's."""

    def ask(number: int) -> Json:
        document = request_of("batch", "who", name=f"name-{number}")
        document["header"] |= {"app_id": f"app-{number}", "uid": f"uid-{number}"}
        body: Json = filling.post("batch", document).json()
        return body

    before = len(filling.batches())
    with ThreadPoolExecutor(FULL) as tenants:
        bodies = list(tenants.map(ask, range(FULL)))
    assert filling.batches()[before:] == [f"{FULL} {' '.join(['who'] * FULL)}"]
    for number, body in enumerate(bodies):
        *own, remaining = text_of(body).split()
        sid = body["header"]["sid"]
        assert own == [f"name-{number}", f"uid-{number}", f"app-{number}", sid, sid, sid]
        assert 0 < float(remaining) <= 120
    assert len({body["header"]["sid"] for body in bodies}) == FULL


async def test_counted_is_what_ran(filling: Batched) -> None:
    """T9: size, room and wait of the batches are in the metrics."""

    def counted() -> list[float]:
        names = ("size_count", "size_sum", "room_total", "wait_seconds_total")
        return [filling.total(f"athena_batch_{name}", service="batch") for name in names]

    before = counted()
    texts = [*GOOD, "echo last"]
    assert_echoed(await together(filling, texts), texts)
    count, size, room, wait = (late - early for early, late in zip(before, counted(), strict=True))
    assert (count, size, room) == (1, FULL, FULL)
    assert wait >= 0


# ── how it fails ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("poison", "words"), [("poison it", "ValueError: the owl sleeps on it"), ("code 7", "owl 7")])
async def test_poisonous_item_fails_alone(filling: Batched, poison: str, words: str) -> None:
    """T9: an item for which the wrapper returned an exception, or a code, fails by itself; the others are answered."""
    before = len(filling.batches())
    *good, bad = await together(filling, [*GOOD, poison])
    assert_echoed(good, GOOD)
    assert bad.status == 502
    assert words in body_of(bad)["header"]["message"]
    assert len(filling.batches()) == before + 1


@pytest.mark.parametrize("fault", ["raise it", "short"])
async def test_failed_batch_fails_every_item_and_says_so(filling: Batched, fault: str) -> None:
    """T9: where calls must not be repeated, a batch that raised costs each of its calls a 10909; none runs again."""
    before = len(filling.batches())
    samples = await together(filling, [*GOOD, fault])
    assert {(sample.status, sample.code) for sample in samples} == {(502, 10909)}
    messages = {body_of(sample)["header"]["message"] for sample in samples}
    assert len(messages) == 1
    (message,) = messages
    assert str(FULL) in message
    assert "batch" in message.lower()
    if fault != "short":
        assert "service.idempotent" in message
        assert "the owl sleeps on it" in message
    assert len(filling.batches()) == before + 1
    texts = [*GOOD, "echo after"]
    assert_echoed(await together(filling, texts), texts)


async def test_failed_batch_of_an_idempotent_service_runs_again_by_halves(tmp_path: Path) -> None:
    """T9: the one call that fails alone is the one that is wrong; no half that went well runs twice."""
    with batched(tmp_path, wait=PATIENCE, settings={"service.idempotent": True}) as server:
        *good, bad = await together(server, [*GOOD, "raise it"])
        assert_echoed(good, GOOD)
        assert (bad.status, bad.code) == (502, 10909)
        message = body_of(bad)["header"]["message"]
        assert "the owl sleeps on it" in message
        assert "batch that the call was in" not in message
        sizes = sorted(int(words.split()[0]) for words in server.batches())
        assert sizes == [1, 1, 2, 2, 4, 4, 8], "each time the half with the bad one"


async def test_two_bad_items_of_an_idempotent_service_fail_by_themselves(tmp_path: Path) -> None:
    """T9: by halves of halves, as often as it takes."""
    with batched(tmp_path, wait=PATIENCE, settings={"service.idempotent": True}) as server:
        texts = ["raise one", *GOOD[: FULL - 2], "raise two"]
        first, *good, last = await together(server, texts)
        assert_echoed(good, GOOD[: FULL - 2])
        for sample, name in ((first, "one"), (last, "two")):
            assert (sample.status, sample.code) == (502, 10909)
            assert f"the owl sleeps on {name}" in body_of(sample)["header"]["message"]


async def test_callers_of_a_batch_whose_worker_dies_are_told(tmp_path: Path) -> None:
    """T9, T3: each call of the batch that was running is answered 503 with 10109, and none is repeated."""
    with batched(tmp_path, wait=PATIENCE, settings={"workers.restart_delay": 0}) as server:
        samples = await together(server, [*GOOD, "exit now"])
        assert {(sample.status, sample.code) for sample in samples} == {(503, 10109)}
        await asyncio.to_thread(server.wait_for, lambda health: health["ready"])
        texts = [*GOOD, "echo after"]
        assert_echoed(await together(server, texts), texts)
        assert len(server.batches()) == 2


# ── how long it may take ──────────────────────────────────────────────────────────────────────────


def test_expired_item_is_not_in_the_batch(tmp_path: Path) -> None:
    """T9: whose time is up before a seat is free is told 10102 and never seen; who came later is answered."""
    with batched(tmp_path, settings={"server.limits.call_timeout": DEADLINE}) as server:
        held = server.hold("seat")
        early = server.begin("batch", "echo early")
        assert held.getresponse().status == 504
        late = server.begin("batch", "echo late")
        answer = early.getresponse()
        assert (answer.status, json.load(answer)["header"]["code"]) == (504, 10102)
        server.open_gate("seat")
        answer = late.getresponse()
        assert (answer.status, text_of(json.load(answer))) == (200, "echo late")
        assert server.batches() == ["1 hold seat", "1 echo late"]
        for link in (held, early, late):
            link.close()


def test_item_that_expires_in_the_batch_leaves_the_others_alone(tmp_path: Path) -> None:
    """T9: within a running batch each item's deadline is its own: only the older one is cancelled and answered 504."""
    settings = {"batch.max": 2, "server.limits.call_timeout": DEADLINE}
    with batched(tmp_path, wait=DEADLINE / 2, settings=settings) as server:
        early = server.begin("batch", "linger")
        eventually(lambda: server.in_flight() == 1, what="the first call")
        late = server.begin("batch", "echo late")
        server.until_noted("batch 2 echo late linger")
        answer = early.getresponse()
        assert (answer.status, json.load(answer)["header"]["code"]) == (504, 10102)
        answer = late.getresponse()
        assert (answer.status, text_of(json.load(answer))) == (200, "echo late")
        server.until_noted("cancelled ['linger']")
        for link in (early, late):
            link.close()


# ── who leaves ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seats", [1, 2])
def test_who_leaves_before_the_batch_is_not_in_it(tmp_path: Path, seats: int) -> None:
    """T9, T2: a call whose caller has left is dropped out of what gathers, and user code never sees it."""
    with batched(tmp_path, seats=seats) as server:
        held = [server.hold(f"seat-{number}") for number in range(seats)]
        links = {text: server.begin("batch", text) for text in ("echo stays", "echo leaves")}
        eventually(lambda: server.in_flight() == seats + 2, what="the calls that wait")
        links["echo leaves"].close()
        eventually(lambda: server.total("athena_dropped_calls_total", service="batch") == 1, what="the drop")
        for number in range(seats):
            server.open_gate(f"seat-{number}")
        for link in (*held, links["echo stays"]):
            assert link.getresponse().status == 200
            link.close()
        assert server.batches()[seats:] == ["1 echo stays"]


def test_who_leaves_in_the_batch_is_the_only_one_cancelled(tmp_path: Path) -> None:
    """T9, T1: user code is not interrupted for one of several; that one's context says that nobody waits."""
    with batched(tmp_path, wait=PATIENCE, settings={"batch.max": 3}) as server:
        links = {text: server.begin("batch", text) for text in ("echo a", "echo b", "linger")}
        server.until_noted("batch 3 echo a echo b linger")
        links["echo a"].close()
        for text in ("echo b", "linger"):
            answer = links[text].getresponse()
            assert (answer.status, text_of(json.load(answer))) == (200, text)
            links[text].close()
        server.until_noted("cancelled ['echo a']")


async def test_killed_worker_in_a_batch_serves_what_it_had_not_seen_elsewhere(tmp_path: Path) -> None:
    """T9, T3: of what a dead worker had, only the batch that user code had is lost; what gathered goes to another."""
    settings = {"workers.count": 2, "workers.restart_delay": 0, "batch.max": 4}
    with batched(tmp_path, settings=settings) as server:
        held = [await asyncio.to_thread(server.hold, f"seat-{number}") for number in range(2)]
        async with asking(server, "batch", GOOD) as tasks:
            await asyncio.to_thread(eventually, lambda: server.in_flight() == 2 + len(GOOD), what="all calls")
            os.kill(server.workers()["batch-0"], signal.SIGKILL)
            await asyncio.to_thread(server.wait_for, lambda health: len(server.workers()) == 2 and health["ready"])
            for number in range(2):
                server.open_gate(f"seat-{number}")
        answers = [await asyncio.to_thread(link.getresponse) for link in held]
        statuses = sorted(answer.status for answer in answers)
        assert statuses == [200, 503]
        assert_echoed([task.result() for task in tasks], GOOD)
        seen = [number for words in server.batches() if "echo" in words for number in words.split(" echo ")[1:]]
        assert sorted(seen) == sorted(text.removeprefix("echo ") for text in GOOD), "no call was seen twice"
        for link in held:
            link.close()
