# ruff: noqa: ARG002  # methods of a wrapper have the parameters that they have
"""`Wrapper().run()` of the forms that ASF did not have: generators, batches, answers that come later."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from athena_serving.sdk import (
    Context,
    DataListCls,
    DataListNode,
    ImageBodyField,
    Response,
    ResponseData,
    StringBodyField,
    WrapperBase,
    selftest,
)
from athena_serving.sdk.batch import BatchItem
from athena_serving.sdk.callback import callback
from athena_serving.sdk.constants import DataEnd

Shown = pytest.CaptureFixture[str]


class Request:
    """A text."""

    text = StringBodyField("text", "hello")


class Answer:
    """A text and a picture."""

    accept1 = StringBodyField("result")
    accept2 = ImageBodyField("picture")


class Base(WrapperBase):
    """A service with one input and two outputs."""

    serviceId = "forms"
    requestCls = Request()
    responseCls = Answer()


def yielding(*results: Any) -> WrapperBase:
    """A wrapper that yields these."""

    class Yields(Base):
        def wrapperStream(self, params: dict[str, str], pieces: Iterator[DataListNode]) -> Iterator[object]:
            yield from results

    return Yields()


# ── generators ────────────────────────────────────────────────────────────────────────────────────


def test_generator_is_tried_without_being_asked_for(capsys: Shown) -> None:
    """It gets the test values as the last pieces of their streams, and by name what else it wants."""

    class Words(Base):
        def wrapperStream(
            self, params: dict[str, str], pieces: Iterator[DataListNode], ctx: Context, sid: str
        ) -> Iterator[object]:
            for piece in pieces:
                assert (piece.key, piece.status, ctx.sid, params["sid"]) == ("text", DataEnd, sid, sid)
                yield from (bytes([one]) for one in piece.data)

    wrapper = Words()
    assert wrapper.run()
    assert [item.data for item in wrapper.respData] == [b"h", b"e", b"l", b"l", b"o"]
    shown = capsys.readouterr().out
    assert "  ok    wrapperStream: 5 results\n" in shown
    assert shown.count("types are as declared") == 1


def test_async_generator_is_tried(capsys: Shown) -> None:
    """On a loop, with `async for`."""

    class Words(Base):
        async def wrapperStream(
            self, params: dict[str, str], pieces: AsyncIterator[DataListNode]
        ) -> AsyncIterator[object]:
            async for piece in pieces:
                await asyncio.sleep(0)
                yield piece.data.decode()

    wrapper = Words()
    assert wrapper.run_stream()
    assert [item.data for item in wrapper.respData] == [b"hello"]
    assert "wrapperStream: 1 results" in capsys.readouterr().out


def test_every_kind_of_result_is_taken() -> None:
    """Text, bytes and JSON of the first output; one output, several, or a Response."""
    picture = ResponseData("picture", b"PNG", type=2)
    wrapper = yielding("a", b"b", {"c": "ü"}, [1], 2, picture, [ResponseData("result", "d"), picture], Response())
    assert wrapper.run()
    data = [item.data for item in wrapper.respData]
    assert data == [b"a", b"b", '{"c": "ü"}'.encode(), b"[1]", b"2", b"PNG", b"d", b"PNG"]


def test_result_that_says_it_is_the_last_ends_the_generator() -> None:
    """Its `finally` runs, and what it would have yielded is not asked for."""
    seen: list[str] = []

    class Ends(Base):
        def wrapperStream(self, params: dict[str, str], pieces: Iterator[DataListNode]) -> Iterator[object]:
            try:
                yield ResponseData("result", "all", status=DataEnd)
                seen.append("more")
            finally:
                seen.append("closed")

    assert Ends().run()
    assert seen == ["closed"]


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((None,), "FAIL  wrapperStream: it raised TypeError: it yielded NoneType: yield str, bytes, a dict for JSON"),
        ((ResponseData("other", "x"),), "FAIL  keys are declared: 'other' is not among"),
        (("a", ResponseData("picture", b"x")), "FAIL  types are as declared: 'picture' is 0 (text)"),
        ((), "warn  wrapperStream: it yielded nothing"),
        ((Response().response_err(7),), "ok    wrapperError: 7"),
    ],
)
def test_what_is_yielded_is_judged(capsys: Shown, results: tuple[object, ...], words: str) -> None:
    """Each check has one line, whichever result it failed at."""
    assert yielding(*results).run() is not words.startswith("FAIL")
    assert words in capsys.readouterr().out


def test_exception_in_a_generator_has_its_line(capsys: Shown) -> None:
    """And the traceback; it is the wrapper's failure, not ours."""

    class Raises(Base):
        def wrapperStream(self, params: dict[str, str], pieces: Iterator[DataListNode]) -> Iterator[object]:
            yield "a"
            raise ValueError("no model")

    assert not Raises().run()
    shown = capsys.readouterr().out
    assert "FAIL  wrapperStream: it raised ValueError: no model" in shown
    assert 'raise ValueError("no model")' in shown


def test_function_that_returns_instead_of_yielding_fails(capsys: Shown) -> None:
    """With what to do."""

    class Returns(Base):
        def wrapperStream(self, params: dict[str, str], pieces: Iterator[DataListNode]) -> Any:
            return "all at once"

    assert not Returns().run()
    assert "it returned str: it must yield its results" in capsys.readouterr().out


# ── batches ───────────────────────────────────────────────────────────────────────────────────────


def answering(answers: Callable[[list[BatchItem]], Any]) -> WrapperBase:
    """A wrapper of batches."""

    class Batches(Base):
        def wrapperBatchExec(self, batch: list[BatchItem]) -> Any:
            return answers(batch)

        def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
            raise AssertionError("batches come first")

    return Batches()


def said(item: BatchItem) -> Response:
    """An item's text."""
    node = item.data.get("text")
    assert node is not None
    return Response([ResponseData("result", node.data + item.params["sid"].encode())])


def test_batch_is_tried_with_two_items(capsys: Shown) -> None:
    """Each has data, parameters and a context; each answer is judged, each check printed once."""
    wrapper = answering(lambda batch: [said(item) for item in batch])
    assert wrapper.run()
    assert [item.data for item in wrapper.respData] == [b"helloself-test"] * 2
    shown = capsys.readouterr().out
    assert "  ok    wrapperBatchExec: 2 answers for 2 items\n" in shown
    assert shown.count("data are bytes") == 1


async def _later(batch: list[BatchItem]) -> list[Response]:
    return [said(item) for item in batch]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda batch: [said(batch[0])], "it returned 1 answers for 2 items"),
        (lambda batch: said(batch[0]), "it returned Response for 2 items"),
        (_later, "it returned coroutine for 2 items"),
        (lambda batch: [said(batch[0]), ValueError("no")], "an item failed: ValueError: no"),
        (lambda batch: [said(batch[0]), None], "the answer is a Response: it is None"),
    ],
)
def test_answers_that_are_not_one_each_fail(
    capsys: Shown, answers: Callable[[list[BatchItem]], Any], words: str
) -> None:
    """With what they are, and what they should be."""
    assert not answering(answers).run()
    assert words in capsys.readouterr().out


# ── answers that come later ───────────────────────────────────────────────────────────────────────


def test_answer_by_callback_is_judged(capsys: Shown) -> None:
    """The method returns 0, and `callback` has the rest."""

    class Later(Base):
        def wrapperOnceExecAsync(self, params: dict[str, str], reqData: DataListCls, sid: str, persId: int = 0) -> int:
            return callback(Response([ResponseData("result", reqData.list[0].data)]), sid)

    wrapper = Later()
    assert wrapper.run()
    assert [item.data for item in wrapper.respData] == [b"hello"]
    assert "  ok    keys are declared" in capsys.readouterr().out


def test_answer_that_never_comes_fails(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while."""
    monkeypatch.setattr(selftest, "PATIENCE", 0.05)

    class Later(Base):
        def wrapperOnceExecAsync(self, params: dict[str, str], reqData: DataListCls, sid: str, persId: int = 0) -> int:
            return 0

    assert not Later().run()
    assert "FAIL  the answer by callback: none came in 0.05 s" in capsys.readouterr().out
