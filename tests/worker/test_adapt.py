"""The adapter: wrappers of every age are called with what their parameters are called; what they do wrong is said."""

import asyncio
import functools
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from athena_serving.errors import WrapperNotLoadable
from athena_serving.sdk import DataListCls, DataListNode, Response, ResponseData, WrapperBase
from athena_serving.sdk.context import Context, current
from athena_serving.wire.messages import Piece, Reply
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.interrupts import CallInterrupted
from tests.wire.calls import call

FILE = "wrapper.py"
PARAMS, REQUEST, TAG, PERSON, SID, CONTEXT = "params", "request", "sid-1", 0, "sid-1", "context"


class Made:
    """A wrapper with one method."""

    def __init__(self, method: Callable[..., Any], **others: Callable[..., Any]) -> None:
        self.wrapperOnceExec = method
        self.__dict__.update(others)


def once(wrapper: object) -> Reply:
    """One call with one text."""
    asked = call("sid-1", data=b"data")
    asked.params = {"sid": "sid-1", "word": "w"}
    context = Context(asked.sid, app="app", service="service", expires=1e9)
    return Adapter(wrapper, FILE).once(asked, context)


def answer(*items: object, code: int = 0) -> Response:
    """A wrapper's answer; the list holds what is no output, too."""
    response = Response(error_code=code)
    response.list = list(items)  # type: ignore[arg-type]  # on purpose
    return response


# ── arguments (wrapper.md 2.1) ────────────────────────────────────────────────────────────────────


def _signatures() -> dict[str, tuple[Callable[..., Any], list[object]]]:
    """Every spelling of the field, and what it must be called with."""
    return {
        "the usual": (lambda params, reqData: (params, reqData), [PARAMS, REQUEST]),
        "in lower case": (lambda params, reqdata: (params, reqdata), [PARAMS, REQUEST]),
        "with underscores": (lambda params, req_data: (params, req_data), [PARAMS, REQUEST]),
        "req": (lambda params, req: (params, req), [PARAMS, REQUEST]),
        "datas": (lambda params, datas: (params, datas), [PARAMS, REQUEST]),
        "data": (lambda params, data: (params, data), [PARAMS, REQUEST]),
        "turned round": (lambda reqData, params: (reqData, params), [REQUEST, PARAMS]),
        "persId": (lambda params, reqData, persId=7: (params, reqData, persId), [PARAMS, REQUEST, PERSON]),
        "usrTag and persId": (
            lambda params, reqData, usrTag="", persId=7: (params, reqData, usrTag, persId),
            [PARAMS, REQUEST, TAG, PERSON],
        ),
        "usrTag and psrID": (
            lambda params, reqData, usrTag="", psrID=7: (params, reqData, usrTag, psrID),
            [PARAMS, REQUEST, TAG, PERSON],
        ),
        "userTag": (lambda params, reqData, userTag: (params, reqData, userTag), [PARAMS, REQUEST, TAG]),
        "sid": (lambda params, reqData, sid, persId=7: (params, reqData, sid, persId), [PARAMS, REQUEST, SID, PERSON]),
        "ctx": (lambda params, reqData, ctx: (params, reqData, ctx), [PARAMS, REQUEST, CONTEXT]),
        "context first": (lambda context, reqData, params: (context, reqData, params), [CONTEXT, REQUEST, PARAMS]),
        "names that say nothing": (lambda a, b: (a, b), [PARAMS, REQUEST]),
        "four that say nothing": (lambda a, b, c, d: (a, b, c, d), [PARAMS, REQUEST, TAG, PERSON]),
        "an own one with a default": (lambda params, reqData, own=9: (params, reqData, own), [PARAMS, REQUEST, 9]),
        "all by position": (lambda *args: args, [PARAMS, REQUEST, TAG, PERSON]),
        "the rest by position": (lambda params, *rest: (params, *rest), [PARAMS, REQUEST, TAG, PERSON]),
        "any keywords": (lambda params, reqData, **_: (params, reqData), [PARAMS, REQUEST]),
        "an own keyword": (lambda params, reqData, *, own=9: (params, reqData, own), [PARAMS, REQUEST, 9]),
        "only params": (lambda params: (params,), [PARAMS]),
        "nothing": (lambda: (), []),
    }


@pytest.mark.parametrize("spelling", _signatures())
def test_parameters_get_what_they_are_called(spelling: str) -> None:
    """Whichever version of ASF's loader a wrapper was written for."""
    function, expected = _signatures()[spelling]
    got: list[object] = []
    once(Made(_noting(function, got)))
    assert [_named(value) for value in got] == expected


def _noting(function: Callable[..., Any], got: list[object]) -> Callable[..., Response]:
    @functools.wraps(function)
    def noting(*args: object, **kwargs: object) -> Response:
        got.extend(function(*args, **kwargs))
        return answer(ResponseData("result", b"x"))

    return noting


def _named(value: object) -> object:
    if isinstance(value, dict):
        return PARAMS
    if isinstance(value, DataListCls):
        return REQUEST
    return CONTEXT if isinstance(value, Context) else value


def test_class_and_static_methods_are_called_as_methods() -> None:
    """Bound as Python binds them; a first parameter called `cls` is no argument of ours."""

    class Wrapper:
        @classmethod
        def wrapperOnceExec(cls, params: dict[str, str], _reqData: DataListCls) -> Response:
            return answer(ResponseData("result", params["word"]))

    class Static:
        @staticmethod
        def wrapperOnceExec(params: dict[str, str], _reqData: DataListCls) -> Response:
            return answer(ResponseData("result", params["word"]))

    assert [bytes(once(kind()).pieces[0].data) for kind in (Wrapper, Static)] == [b"w", b"w"]


def test_request_is_a_list_of_nodes() -> None:
    """With key, data, type, status and description, and `get` by key."""
    seen: list[DataListNode] = []

    def look(_: dict[str, str], reqData: DataListCls) -> Response:
        assert reqData.get("picture") is reqData.list[0]
        seen.extend(reqData.list)
        return answer(ResponseData("result", b"x"))

    asked = call()
    asked.pieces = [Piece("picture", 2, 3, {"encoding": "jpg"}, b"jpg")]
    Adapter(Made(look), FILE).once(asked, Context("s", app="", service="", expires=1e9))
    (node,) = seen
    assert (node.key, node.data, node.type, node.status, node.desc) == ("picture", b"jpg", 2, 3, {"encoding": "jpg"})


def test_running_call_is_the_current_one() -> None:
    """`current()` works inside, and not afterwards."""
    got: list[Context] = []

    def look(*_: object) -> Response:
        got.append(current())
        return answer(ResponseData("result", b"x"))

    once(Made(look))
    assert got[0].sid == "sid-1"
    with pytest.raises(LookupError):
        current()


# ── answers (wrapper.md 2.3) ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data", [b"text", bytearray(b"text"), memoryview(b"text"), memoryview(b"t.e.x.t.")[::2], "text"]
)
def test_data_of_any_kind_are_delivered(data: object) -> None:
    """Bytes, bytearray, memoryview, and text as UTF-8."""
    reply = once(Made(lambda *_: answer(ResponseData("result", data))))
    assert (reply.code, bytes(reply.pieces[0].data)) == (0, b"text")


@pytest.mark.parametrize("status", [0, 1, 2, 3, None])
def test_every_output_is_whole(status: Any) -> None:
    """A once-call has one step, whatever an output says of itself."""
    item = ResponseData("result", b"x")
    item.status = status
    assert once(Made(lambda *_: answer(item))).pieces[0].status == 3


class Number:
    """What looks like an int, as numpy's do."""

    def __index__(self) -> int:
        return 2


@pytest.mark.parametrize(("kind", "number"), [(None, 0), (0, 0), (3, 3), (Number(), 2), (99, 99)])
def test_type_of_an_output_is_a_number(kind: Any, number: int) -> None:
    """None is text; one that no schema knows is the door's to refuse."""
    item = ResponseData("result", b"x")
    item.type = kind
    assert once(Made(lambda *_: answer(item))).pieces[0].type == number


def test_what_looks_like_an_output_will_do() -> None:
    """Wrappers bring classes of their own; one alone in its list, too."""
    for count in (1, 2):
        items = [SimpleNamespace(key="result", data="text") for _ in range(count)]
        reply = once(Made(lambda *_, items=items: answer(*items)))
        assert (reply.code, [bytes(piece.data) for piece in reply.pieces]) == (0, [b"text"] * count)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "wrapperOnceExec returned NoneType, not a Response;code=-1"),
        (0, "wrapperOnceExec returned int, not a Response;code=-1"),
        ({"result": b"x"}, "wrapperOnceExec returned dict, not a Response;code=-1"),
        (ResponseData("result", b"x"), "wrapperOnceExec returned ResponseData, not a Response;code=-1"),
        (answer(), "wrapperOnceExec returned a Response with an empty list;code=-1"),
        (answer(ResponseData()), "wrapperOnceExec returned a Response with an empty list;code=-1"),
        (answer({"key": "result"}), "TypeError: Response.list holds a dict, not a ResponseData;code=-1"),
        (answer(b"x", b"y"), "TypeError: Response.list holds a bytes, not a ResponseData;code=-1"),
        (answer(DataListNode("a"), DataListNode("b")), "TypeError: Response.list holds a DataListNode, not a"),
        (answer(ResponseData(5, b"x")), "TypeError: the key of a ResponseData must be a str, not int;code=-1"),  # type: ignore[arg-type]
        (answer(ResponseData("\ud800", b"x")), "UnicodeEncodeError: "),
        (answer(ResponseData("a", b"x", type="text")), "TypeError: a type must be DataText 0, DataAudio 1, "),  # type: ignore[arg-type]
        (answer(ResponseData("a", b"x", type=-1)), "TypeError: a type must be DataText 0, DataAudio 1, "),
        (answer(ResponseData("a", b"x", type=2**70)), "TypeError: a type must be DataText 0, DataAudio 1, "),
        (answer(SimpleNamespace(key="a", data=5)), "TypeError: data must be bytes, bytearray, memoryview or str"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_answer_that_is_none_is_said(result: object, message: str) -> None:
    """As a failure of the wrapper's, in words for its author; nothing of it reaches the door."""
    reply = once(Made(lambda *_: result))
    assert (reply.code, reply.pieces, reply.message[: len(message)]) == (10909, [], message)


@pytest.mark.parametrize(
    ("explain", "text"),
    [
        (lambda code: f"no face ({code})", "no face (7)"),
        (lambda _: None, ""),
        (lambda _: 5, "5"),
        (lambda _: 1 / 0, ""),
        (lambda _: "\ud800", "\\ud800"),
    ],
)
def test_error_code_is_explained_by_the_wrapper(explain: Callable[[int], Any], text: str) -> None:
    """ASF's form: `<wrapperError(n)>;code=n`, whatever `wrapperError` makes of it."""
    reply = once(Made(lambda *_: answer(code=7), wrapperError=explain))
    assert (reply.code, reply.message) == (10909, f"{text};code=7")


def test_error_code_without_an_explanation() -> None:
    """A wrapper need not have `wrapperError`."""
    assert once(Made(lambda *_: Response().response_err(7))).message == ";code=7"


class Mute(Exception):
    """An error that cannot be written."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no such model"), "ValueError: no such model;code=-1"),
        (ValueError(), "ValueError;code=-1"),
        (SystemExit(3), "SystemExit: 3;code=-1"),
        (KeyboardInterrupt(), "KeyboardInterrupt;code=-1"),
        (GeneratorExit(), "GeneratorExit;code=-1"),
        (
            FileNotFoundError(2, "No such file", "\udcff"),
            "FileNotFoundError: [Errno 2] No such file: '\\udcff';code=-1",
        ),
        (Mute(), "Mute;code=-1"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_user_code_raises_ends_one_call(error: BaseException, message: str) -> None:
    """It becomes an answer that every link can carry; the worker lives on."""

    def fail(*_: object) -> Response:
        raise error

    reply = once(Made(fail))
    assert (reply.code, reply.message) == (10909, message)
    reply.message.encode()


def test_error_is_logged_with_its_place_in_the_users_file(caplog: pytest.LogCaptureFixture) -> None:
    """And the traceback, and the sid."""

    def fail(*_: object) -> Response:
        raise ValueError("no such model")

    line = fail.__code__.co_firstlineno + 1
    asked = call("sid-1")
    with caplog.at_level(logging.ERROR):
        Adapter(Made(fail), __file__).once(asked, Context("sid-1", app="", service="", expires=1e9))
    (record,) = caplog.records
    assert record.message == f"wrapperOnceExec raised ValueError ({__file__} line {line})"
    assert record.exc_info is not None
    assert record.__dict__["fields"] == {"sid": "sid-1"}


def test_interruption_passes_through() -> None:
    """It is the engine's, no failure of user code's."""

    def interrupted(*_: object) -> Response:
        raise CallInterrupted

    with pytest.raises(CallInterrupted):
        once(Made(interrupted))


@pytest.mark.parametrize("wrapper", [object(), WrapperBase()])
def test_wrapper_without_the_method_says_so(wrapper: object) -> None:
    """10600 for a once-call to a wrapper that has only streams, say; the base class's own method counts for none."""
    reply = once(wrapper)
    assert (reply.code, reply.message) == (10600, "the wrapper has no wrapperOnceExec(params, reqData)")


# ── ASF's first style (wrapper.md 2.4) ────────────────────────────────────────────────────────────


def old(code: object, *items: object) -> Reply:
    """The answer of a function that fills a list and returns a code."""

    def method(
        usrTag: str, params: object, reqData: object, respData: list[object], psrIds: object, psrCnt: int
    ) -> Any:
        assert (usrTag, params, psrIds, psrCnt) == ("sid-1", {"sid": "sid-1", "word": "w"}, (), 0)
        assert reqData == ({"key": "data", "data": b"data", "len": 4, "status": 3, "type": 0, "desc": {}},)
        assert respData == []
        respData.extend(items)
        return code

    return once(Made(method, wrapperError=lambda code: f"error {code}"))


def test_old_style_is_known_by_the_list_it_fills() -> None:
    """In a class or not: a tuple of dicts goes in, dicts come out; every status is 3."""
    for _ in range(2):  # each call has a list of its own
        reply = old(0, {"key": "a", "data": b"x", "status": 1}, {"key": "b", "data": "text", "len": 2, "type": 2})
        assert [(p.key, bytes(p.data), p.status, p.type) for p in reply.pieces] == [
            ("a", b"x", 3, 0),
            ("b", b"te", 3, 2),
        ]


@pytest.mark.parametrize(
    ("code", "items", "message"),
    [
        (5, [{"key": "a", "data": b"x"}], "error 5;code=5"),
        (-1, [], "error -1;code=-1"),
        (0, [], "wrapperOnceExec left respData empty;code=-1"),
        (None, [{"key": "a", "data": b"x"}], "wrapperOnceExec returned NoneType, not a number;code=-1"),
        (0, [b"x"], "TypeError: Response.list holds a bytes, not a ResponseData;code=-1"),
        (0, [{"key": "a"}], "ValueError: an item of respData has no data: it has key;code=-1"),
    ],
)
def test_old_style_that_fails_is_said(code: object, items: list[object], message: str) -> None:
    """With the code that it returned, or what was wrong with the list."""
    reply = old(code, *items)
    assert (reply.code, reply.message, reply.pieces) == (10909, message, [])


def test_old_style_may_answer_as_the_later_ones() -> None:
    """With a `Response`, though it was given a list."""
    assert old(Response().response_err(7)).message == "error 7;code=7"
    assert bytes(old(answer(ResponseData("a", b"x"))).pieces[0].data) == b"x"


# ── coroutines ────────────────────────────────────────────────────────────────────────────────────


async def test_coroutine_is_awaited() -> None:
    """Its result is treated as any other."""

    class Wrapper:
        async def wrapperOnceExec(self, *_: object) -> Response:
            await asyncio.sleep(0)
            return answer(ResponseData("result", current().sid))

    adapter = Adapter(Wrapper(), FILE)
    assert adapter.is_async
    reply = await adapter.once_async(call("sid-1"), Context("sid-1", app="", service="", expires=1e9))
    assert bytes(reply.pieces[0].data) == b"sid-1"


async def test_cancelled_coroutine_is_cancelled() -> None:
    """Where the engine did it; where user code did it itself, it failed."""

    class Wrapper:
        async def wrapperOnceExec(self, *_: object) -> Response:
            raise asyncio.CancelledError

    adapter, context = Adapter(Wrapper(), FILE), Context("sid-1", app="", service="", expires=1e9)
    assert (await adapter.once_async(call(), context)).message == "CancelledError;code=-1"
    context.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adapter.once_async(call(), context)


# ── init and fini ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [0, None, False])
def test_init_that_says_nothing_bad_is_good(code: object) -> None:
    """0 is success; None is what forgetful authors return."""
    got: list[object] = []

    class Wrapper:
        def wrapperInit(self, config: dict[str, str]) -> object:
            got.append(config)
            return code

    Adapter(Wrapper(), FILE).init({"model": "small"})
    assert got == [{"model": "small"}]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda config: (config,), ({"a": "b"},)),
        (lambda cfg: (cfg,), ({"a": "b"},)),
        (lambda settings: (settings,), ({"a": "b"},)),
        (lambda *rest: rest, ({"a": "b"},)),
        (lambda *, config: (config,), ({"a": "b"},)),
        (lambda: (), ()),
    ],
)
def test_init_gets_its_settings_in_every_spelling(method: Callable[..., Any], expected: tuple[object, ...]) -> None:
    """By name, by position, or not at all."""
    got: list[object] = []

    @functools.wraps(method)
    def noting(*args: object, **kwargs: object) -> None:
        got.extend(method(*args, **kwargs))

    Adapter(SimpleNamespace(wrapperInit=noting), FILE).init({"a": "b"})
    assert tuple(got) == expected


@pytest.mark.parametrize("code", [1, -1, "bad"])
def test_init_that_fails_stops_the_start(code: object) -> None:
    """With its number, what the wrapper says of it, and what to do."""

    class Wrapper:
        def wrapperInit(self, _: dict[str, str]) -> object:
            return code

        def wrapperError(self, _: int) -> str:
            return "no card"

    with pytest.raises(WrapperNotLoadable) as failed:
        Adapter(Wrapper(), FILE).init({})
    said = ": no card" if isinstance(code, int) else ""
    assert failed.value.message == f"wrapperInit returned {code!r}{said}"
    assert (failed.value.where, failed.value.exit_code) == (FILE, 3)


def test_wrapper_may_have_neither_init_nor_fini() -> None:
    """Both are optional."""
    adapter = Adapter(object(), FILE)
    adapter.init({})
    adapter.fini()


@pytest.mark.parametrize("error", [TypeError("log.info() got flush"), SystemExit(1)])
def test_fini_that_raises_stops_nothing(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """We are on the way out and must get there (wrapper.md 1.7)."""

    class Wrapper:
        def wrapperFini(self) -> int:
            raise error

    Adapter(Wrapper(), FILE).fini()
    assert "wrapperFini raised" in caplog.text
