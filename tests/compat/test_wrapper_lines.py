"""Lines 9-17 of wrapper.md, chapter 14: the adapter. What is said here in a line is taken apart in tests/worker."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from athena_serving.sdk import DataListCls, Response, SessionCreateResponse, WrapperBase
from athena_serving.sdk.context import Context
from athena_serving.wire.messages import Call, Piece, Reply
from athena_serving.worker import load
from athena_serving.worker.adapt import Adapter
from athena_serving.worker.sessions import Session
from tests.serving import Server, request_of
from tests.wire.calls import call

Method = Callable[..., Any]
Loaded = Callable[[str], Any]
PARAMS = {"sid": "sid-1", "lang": "zh"}
INPUTS = ("data", b"data", 3, {"encoding": "utf8"})


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loaded]:
    """Load a wrapper from its text, as a worker does."""

    def make(source: str) -> object:
        path = tmp_path / "wrapper.py"
        path.write_text(textwrap.dedent(source))
        return load.construct(load.load(path), path)

    monkeypatch.syspath_prepend(str(tmp_path))  # so that the path is as before afterwards
    yield make
    sys.modules.pop("wrapper", None)


def asked() -> Call:
    """A call with one input that has an attribute."""
    one = call("sid-1")
    one.params = dict(PARAMS)
    one.pieces = [Piece("data", 0, 3, {"encoding": "utf8"}, b"data")]
    return one


def once(wrapper: object) -> Reply:
    """One once-call."""
    return Adapter(wrapper, "wrapper.py").once(asked(), Context("sid-1", app="a", service="s", expires=1e9))


def create(wrapper: object) -> Session | Reply:
    """What comes of beginning a session."""
    context = Context("sid-1", app="a", service="s", expires=1e9)
    return Adapter(wrapper, "wrapper.py").sessions.create(asked(), context)


def begun(wrapper: object) -> Session:
    """A session that began."""
    session = create(wrapper)
    assert isinstance(session, Session)
    return session


def wrapper_of(**methods: Method) -> object:
    """A wrapper of functions; it begins sessions, if nothing else is said."""
    kept = {name: staticmethod(one) for name, one in {"wrapperCreate": lambda *_: "handle", **methods}.items()}
    return type("Wrapper", (WrapperBase,), kept)()


# ── 9 ─────────────────────────────────────────────────────────────────────────────────────────────

NOTING = """
from aiges.dto import Response, ResponseData

got = []


class Wrapper:
    def wrapperCreate(self, params, sid):
        return "handle"

    {decorator}
    def {method}({signature}):
        got[:] = [{names}]
        {answer}
"""


def noting(method: str, signature: str, answer: str, decorator: str = "") -> str:
    """A wrapper with a method of this signature, which keeps what it is called with."""
    names = [one.partition("=")[0].strip() for one in signature.split(",")]
    kept = ", ".join(name for name in names if name not in ("self", "cls"))
    return NOTING.format(method=method, signature=signature, names=kept, answer=answer, decorator=decorator)


def seen() -> list[object]:
    """What the loaded wrapper was called with; inputs as key, data, status and attributes, in their own container."""
    return [_seen(value) for value in sys.modules["wrapper"].got]


def _seen(value: object) -> object:
    if isinstance(value, DataListCls):
        return [(node.key, node.data, node.status, node.desc) for node in value.list]
    if isinstance(value, tuple) and value and isinstance(value[0], dict):
        return tuple((node["key"], node["data"], node["status"], node["desc"]) for node in value)
    return value


@pytest.mark.parametrize(
    ("signature", "decorator", "expected"),
    [
        ("self, params, reqData", "", [PARAMS, [INPUTS]]),
        ("cls, params, reqData", "", [PARAMS, [INPUTS]]),
        ("cls, params, reqData", "@classmethod", [PARAMS, [INPUTS]]),
        ("params, reqData", "", [PARAMS, [INPUTS]]),
        ("params, reqData", "@staticmethod", [PARAMS, [INPUTS]]),
        ("self, params, reqData, persId=7", "", [PARAMS, [INPUTS], 0]),
        ("self, params, reqData, usrTag='', persId=7", "", [PARAMS, [INPUTS], "sid-1", 0]),
        ("self, params, reqData, usrTag='', psrID=7", "", [PARAMS, [INPUTS], "sid-1", 0]),
        ("self, params, reqData, usrTag=''", "", [PARAMS, [INPUTS], "sid-1"]),
        ("self, params, reqData, sid, persId=7", "", [PARAMS, [INPUTS], "sid-1", 0]),
    ],
)
def test_line_09_once_gets_the_right_values(
    loaded: Loaded, signature: str, decorator: str, expected: list[object]
) -> None:
    """Each signature of `wrapperOnceExec` in the field is called with params, reqData, tag, psrId 0, sid."""
    answer = 'return Response([ResponseData("result", b"x")])'
    assert once(loaded(noting("wrapperOnceExec", signature, answer, decorator))).code == 0
    assert seen() == expected


@pytest.mark.parametrize(("first", "decorator"), [("self, ", ""), ("cls, ", "@classmethod"), ("", "@staticmethod")])
def test_line_09_once_of_the_first_style_gets_the_right_values(loaded: Loaded, first: str, decorator: str) -> None:
    """The six arguments, in a class; the list is empty when it comes."""
    signature = f"{first}usrTag, params, reqData, respData, psrIds, psrCnt"
    answer = 'got[3] = [*respData]; respData.append({"key": "a", "data": b"x"}); return 0'
    assert once(loaded(noting("wrapperOnceExec", signature, answer, decorator))).code == 0
    assert seen() == ["sid-1", PARAMS, (INPUTS,), [], (), 0]


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("self, params, sid", [PARAMS, "sid-1"]),
        ("self, params, sid, persId=7, usrTag=''", [PARAMS, "sid-1", 0, "sid-1"]),
        ("self, params, sid, persId=7", [PARAMS, "sid-1", 0]),
        ("self, params, sid, userTag='', persId=7", [PARAMS, "sid-1", "sid-1", 0]),
        ("self, params, sid, userTag=''", [PARAMS, "sid-1", "sid-1"]),
        ("self, params, errNum, sid, persId=7", [PARAMS, 0, "sid-1", 0]),
        ("self, usrTag, params, psrIds, psrCnt", ["sid-1", PARAMS, (), 0]),
    ],
)
def test_line_09_create_gets_the_right_values(loaded: Loaded, signature: str, expected: list[object]) -> None:
    """Each signature of `wrapperCreate`."""
    begun(loaded(noting("wrapperCreate", signature, 'return "handle"'))).destroy()
    assert seen() == expected


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("self, handle, req, sid", ["handle", [INPUTS], "sid-1"]),
        ("self, handle, req", ["handle", [INPUTS]]),
        ("self, handle, datas", ["handle", [INPUTS]]),
    ],
)
def test_line_09_write_gets_the_right_values(loaded: Loaded, signature: str, expected: list[object]) -> None:
    """Each signature of `wrapperWrite`."""
    session = begun(loaded(noting("wrapperWrite", signature, "return 0")))
    assert session.write(asked().pieces, asked().params) is None
    session.destroy()
    assert seen() == expected


@pytest.mark.parametrize(
    ("method", "signature", "expected"),
    [
        ("wrapperRead", "self, handle, sid", ["handle", "sid-1"]),
        ("wrapperRead", "self, handle", ["handle"]),
        ("wrapperDestroy", "self, handle", ["handle"]),
        ("wrapperDestory", "self, handle", ["handle"]),
    ],
)
def test_line_09_read_and_destroy_get_the_right_values(
    loaded: Loaded, method: str, signature: str, expected: list[object]
) -> None:
    """Each signature of `wrapperRead` and `wrapperDestroy`."""
    session = begun(loaded(noting(method, signature, "return None")))
    assert session.read() is None
    session.destroy()
    assert seen() == expected


# ── 10, 11 ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("item", "data"),
    [
        ('{"key": "result", "data": b"bytes", "len": 2, "status": 3, "type": 0}', b"bytes"),
        ('{"key": "result", "data": "text", "len": 4, "status": 3, "type": 0}', b"text"),
        ('{"key": "result", "data": "text", "len": 2, "status": 3, "type": 0}', b"te"),
        ('{"key": "result", "data": "text", "len": 99, "status": 3, "type": 0, "desc": {"a": "b"}}', b"text"),
    ],
)
def test_line_10_functions_of_a_module_fill_dicts(loaded: Loaded, item: str, data: bytes) -> None:
    """Bytes by their size, a str by the length that it declares."""
    wrapper = loaded(
        f"""
        def wrapperInit(config): return 0
        def wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt):
            respData.append({item})
            return 0
        """
    )
    (piece,) = once(wrapper).pieces
    assert (piece.key, bytes(piece.data), piece.status, piece.type) == ("result", data, 3, 0)


def test_line_11_missing_methods_have_defaults(loaded: Loaded) -> None:
    """One method is enough: no Init, Fini, Error, TestFunc; the words of code 100 are the SDK's."""
    wrapper = loaded(
        """
        from aiges.dto import Response
        class Wrapper:
            def wrapperOnceExec(self, params, reqData): return Response().response_err(100)
        """
    )
    adapter = Adapter(wrapper, "wrapper.py")
    adapter.init({})
    assert once(wrapper).message == "user error defined here;code=100"
    adapter.fini()


# ── 12, 13 ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "handle"), [("ccch", "ccch"), (SessionCreateResponse("h"), "h"), (None, None), (-1, None), ("", None)]
)
def test_line_12_create_returns_a_handle_or_fails(answer: object, handle: str | None) -> None:
    """A str or a SessionCreateResponse begins a session; None, -1 and "" are 10905."""
    found = create(wrapper_of(wrapperCreate=lambda *_: answer))
    if handle is None:
        assert isinstance(found, Reply)
        assert found.code == 10905
    else:
        assert isinstance(found, Session)
        assert found.handle == handle
        found.destroy()


def test_line_12_error_code_of_create_is_explained() -> None:
    """10905 with the words of `wrapperError`, and nothing to destroy."""
    destroyed: list[object] = []
    found = create(
        wrapper_of(
            wrapperCreate=lambda *_: SessionCreateResponse("h", 40001),
            wrapperError=lambda _: "pool is full",
            wrapperDestroy=destroyed.append,
        )
    )
    assert isinstance(found, Reply)
    assert (found.code, found.message, destroyed) == (10905, "pool is full;code=40001", [])


def _raise(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda *_: None, None),
        (lambda *_: 0, None),
        (lambda *_: -1, (10907, "no more;code=-1")),
        (lambda *_: _raise(ValueError("broken")), (10907, "ValueError: broken;code=-1")),
    ],
)
def test_line_13_write_returns_nothing_or_fails(write: Method, expected: tuple[int, str] | None) -> None:
    """None is well; -1 is 10907 with the words of `wrapperError`, an exception 10907 with its own."""
    session = begun(wrapper_of(wrapperWrite=write, wrapperError=lambda _: "no more"))
    reply = session.write(asked().pieces, asked().params)
    session.destroy()
    assert (None if reply is None else (reply.code, reply.message)) == expected


# ── 14, 15 ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda *_: _raise(ValueError("no face")), "ValueError: no face;code=-1"),
        (lambda *_: None, "wrapperOnceExec returned NoneType, not a Response;code=-1"),
        (lambda *_: Response().response_err(100), "user error defined here;code=100"),
    ],
)
def test_line_14_once_that_fails_is_said(method: Method, message: str) -> None:
    """10909 in all three ways: an exception, nothing, an error code."""
    reply = once(wrapper_of(wrapperOnceExec=method))
    assert (reply.code, reply.message) == (10909, message)


@pytest.mark.parametrize("explain", [lambda _: None, lambda _: 1 / 0])
def test_line_15_error_that_says_nothing_leaves_the_code(explain: Method) -> None:
    """`wrapperError` that raises or returns None: `;code=7` remains."""
    wrapper = wrapper_of(wrapperOnceExec=lambda *_: Response().response_err(7), wrapperError=explain)
    assert once(wrapper).message == ";code=7"


# ── 16 ────────────────────────────────────────────────────────────────────────────────────────────

STUBBORN = """
import threading
from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"x")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "stubborn"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        threading.Thread(target=threading.Event().wait).start()
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=b"x")])

    def wrapperFini(self):
        {last}
"""


@pytest.mark.parametrize("last", ["raise RuntimeError('not now')", "raise SystemExit(9)"])
def test_line_16_fini_that_raises_and_threads_that_stay_keep_nobody(tmp_path: Path, last: str) -> None:
    """The server ends with exit code 0, well within the time it gives a worker, and leaves no process."""
    with Server(tmp_path, STUBBORN.format(last=last), settings={"server.drain_timeout": 60}) as server:
        assert server.call("stubborn", "x")[0] == 200
        assert server.stop(timeout=20.0) == 0
        assert server.log("wrapperFini raised")
    assert not server.tree()


# ── 17 ────────────────────────────────────────────────────────────────────────────────────────────


MIRROR = """
import json
from aiges.dto import Response, ResponseData
from aiges.sdk import BooleanParamField, IntegerParamField, JsonBodyField, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"x")
    times = IntegerParamField(key="times", value=1)
    flag = BooleanParamField(key="flag", default=True)


class UserResponse:
    params = JsonBodyField(key="params")
    nodes = JsonBodyField(key="nodes")


class Wrapper(WrapperBase):
    serviceId = "mirror"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        nodes = [[node.key, node.len, node.type, node.status, node.desc["encoding"]] for node in reqData.list]
        return Response([ResponseData("params", json.dumps(params)), ResponseData("nodes", json.dumps(nodes))])
"""


def test_line_17_params_and_nodes_are_complete(tmp_path: Path) -> None:
    """From the socket to the wrapper: params are all str, the sid among them; nodes have desc, and status 3."""
    with Server(tmp_path, MIRROR) as server:
        request = request_of("mirror", "hello")
        request["parameter"]["mirror"] = {"times": 5}
        request["payload"]["data"] = {"text": "aGVsbG8=", "encoding": "gbk"}
        body = server.post("mirror", request).json()
    params = body["payload"]["params"]["text"]
    assert (params["sid"], params["times"], params["flag"]) == (body["header"]["sid"], "5", "true")
    assert {type(value) for value in params.values()} == {str}
    assert body["payload"]["nodes"]["text"] == [["data", 5, 0, 3, "gbk"]]
