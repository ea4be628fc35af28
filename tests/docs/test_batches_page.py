"""docs/batches.md: its wrapper answers calls together as the page says, and its settings and metrics are the code's."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from athena_serving.settings.catalogue import CATALOGUE
from athena_serving.supervisor.metrics import FAMILIES
from athena_serving.worker.batches import SIZES
from tests.docs.test_pages import page, part, rows
from tests.serving import Json, Server, request_of, text_of

PAGE: Final = page("batches.md")
MOST: Final = 4
"""Calls in a batch of the tests' server."""
BRITTLE: Final = """
from athena_serving.sdk import DataListCls, Response, ResponseData, StringBodyField, WrapperBase, current


class UserRequest:
    text = StringBodyField(key="text", value=b"fine")


class UserResponse:
    size = StringBodyField(key="size")


class Wrapper(WrapperBase):
    serviceId = "brittle"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperBatchExec(self, batch):
        texts = [item.data.get("text").data.decode() for item in batch]
        if "bad" in texts:
            raise RuntimeError("a bad text")
        if "short" in texts:
            return []
        if "code" in texts:
            return [Response().response_err(7) for _ in batch]
        try:
            size = current().sid == batch[0].sid
        except LookupError:
            size = len(batch)
        return [Response([ResponseData(key="size", data=f"{size} {item.params['sid'] == item.sid}")]) for item in batch]

    def wrapperError(self, code):
        return "seven"
"""
"""Service `brittle`: its batches fail as a whole for some texts."""


def block(language: str) -> str:
    """The page's one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def served(folder: Path, **settings: object) -> Server:
    """A server of the page's wrapper and the brittle one. Batches wait for long: a full one goes at once."""
    common = {"batch.max": MOST, "batch.max_wait_ms": 2000}
    return Server(folder, [block("python"), BRITTLE], settings={**common, **settings})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that repeats nothing."""
    with served(tmp_path_factory.mktemp("batches")) as one:
        yield one


def together(server: Server, service: str, texts: Sequence[str]) -> list[tuple[int, Json]]:
    """Statuses and bodies of calls that are sent at once."""
    with ThreadPoolExecutor(len(texts)) as threads:
        return [*threads.map(lambda text: server.call(service, text, key="text"), texts)]


def test_wrapper_of_the_page_answers_calls_together(server: Server) -> None:
    """As many calls as a batch takes are one batch; each gets its own answer, and an item's exception is its own."""
    before = server.metrics()
    answers = together(server, "count", ["one", "one two", " ", "one two three"])
    assert [status for status, _ in answers] == [200, 200, 502, 200]
    assert answers[2][1]["header"]["message"] == "ValueError: no words;code=-1"
    counts = [body["payload"]["count"]["text"] for status, body in answers if status == 200]
    assert counts == [{"words": words, "together": MOST} for words in (1, 2, 3)]
    assert grown(server, before, "athena_batch_size_sum") == MOST
    assert grown(server, before, "athena_batch_size_count") == 1
    assert grown(server, before, "athena_batch_room_total") == MOST
    assert not server.log("the warm-up call failed")


def grown(server: Server, before: dict[str, float], family: str) -> float:
    """By how much a metric of the page's service has grown."""
    series = f'{family}{{service="count"}}'
    return server.metrics()[series] - before.get(series, 0.0)


def test_batch_that_raises_fails_as_a_whole_and_says_so(server: Server) -> None:
    """All its calls get 10909 with how many they were; none is repeated."""
    answers = together(server, "brittle", ["fine", "fine", "bad", "fine"])
    assert {(status, body["header"]["code"]) for status, body in answers} == {(502, 10909)}
    (words,) = {body["header"]["message"] for _, body in answers}
    assert words.startswith("the batch that the call was in has failed (4 calls; none is repeated")
    assert "RuntimeError: a bad text" in words


def test_batch_of_an_idempotent_service_is_halved(tmp_path: Path) -> None:
    """With `service.idempotent` only the bad one fails."""
    with served(tmp_path, **{"service.idempotent": "true"}) as server:
        answers = together(server, "brittle", ["fine", "fine", "bad", "fine"])
    assert [status for status, _ in answers] == [200, 200, 502, 200]
    assert answers[2][1]["header"]["message"] == "RuntimeError: a bad text;code=-1"


def test_answers_that_are_too_few_or_codes_are_failures(server: Server) -> None:
    """A list of another length fails the batch; an error code has the words of `wrapperError`."""
    (short,) = together(server, "brittle", ["short"])
    (coded,) = together(server, "brittle", ["code"])
    assert (short[0], short[1]["header"]["code"]) == (502, 10909)
    assert coded[1]["header"]["message"] == "seven;code=7"


def test_items_have_their_own_sid_and_context(server: Server) -> None:
    """Each item's `sid` is that of its call; no call is the current one in a batch of several."""
    answers = together(server, "brittle", ["fine"] * MOST)
    assert [text_of(body, "size") for _, body in answers] == [f"{MOST} True"] * MOST
    (alone,) = together(server, "brittle", ["fine"])
    assert text_of(alone[1], "size") == "True True"


def test_settings_of_the_page_make_the_batch(tmp_path: Path) -> None:
    """The page's athena.toml holds where it stands beside the wrapper."""
    folder = tmp_path / "count"
    folder.mkdir()
    (folder / "wrapper.py").write_text(block("python"))
    (folder / "athena.toml").write_text(block("toml"))
    with Server(tmp_path, folder) as server:
        assert server.post("count", request_of("count", "a b", key="text")).json()["payload"]["count"]["text"] == {
            "words": 2,
            "together": 1,
        }
        assert server.metrics()['athena_batch_room_total{service="count"}'] == 8


def test_settings_are_those_of_the_code() -> None:
    """Each setting of `[batch]` has its row with its default."""
    shown = {name: default for name, (default, _) in rows(part(PAGE, "Which calls meet")).items()}
    ours = {name: setting for name, setting in CATALOGUE.items() if name.startswith("batch.")}
    assert shown == {name: f"`{setting.kind.show(setting.default)}`" for name, setting in ours.items()}


def test_metrics_are_those_of_the_code() -> None:
    """Each metric of batches has its row, and the histogram its bounds."""
    text = part(PAGE, "Watching")
    assert rows(text).keys() == {name for name in FAMILIES if name.startswith("athena_batch")}
    assert f"bounds {', '.join(map(str, SIZES))} |" in text
