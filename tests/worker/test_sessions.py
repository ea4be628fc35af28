"""Sessions of a worker: created, written to, read from and destroyed once, whatever user code does (wrapper.md 2.3)."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from athena_serving.sdk import DataListCls, Response, ResponseData, SessionCreateResponse, WrapperBase
from athena_serving.sdk.callback import callback
from athena_serving.sdk.context import Context, current
from athena_serving.wire.messages import Call, Piece, Reply
from athena_serving.worker.failures import Failures
from athena_serving.worker.interrupts import CallInterrupted
from athena_serving.worker.sessions import Session, Sessions
from tests.wire.calls import call

FILE = "wrapper.py"
Method = Callable[..., Any]


class Made(WrapperBase):
    """A wrapper of these methods, which counts what it destroys."""

    def __init__(self, **methods: Method) -> None:
        super().__init__()
        self.destroyed: list[object] = []
        kept: dict[str, Method] = {"Create": lambda *_: "handle", "Destroy": self._destroy, **methods}
        self.__dict__.update({f"wrapper{verb}": method for verb, method in kept.items()})

    def _destroy(self, handle: object) -> int:
        self.destroyed.append(handle)
        return 0

    def wrapperError(self, code: int) -> str:
        """Every code has its words."""
        return f"error {code}"


def step(data: bytes = b"data") -> Call:
    """One step of session `sid-1`."""
    asked = call("sid-1")
    asked.params = {"sid": "sid-1", "lang": "zh"}
    asked.pieces = [Piece("data", 0, 0, {}, data)]
    return asked


def context() -> Context:
    """The session's."""
    return Context("sid-1", app="app", service="service", expires=1e9)


def tried(wrapper: object, *, is_old: bool = False, sent: list[Reply] | None = None) -> Session | Reply:
    """What comes of trying to begin a session."""
    found = [] if sent is None else sent
    return Sessions(wrapper, Failures(wrapper, FILE), is_old=is_old).create(step(), context(), found.append)


def begun(wrapper: object, *, is_old: bool = False, sent: list[Reply] | None = None) -> Session:
    """A session that began."""
    session = tried(wrapper, is_old=is_old, sent=sent)
    assert isinstance(session, Session), session
    return session


def raising(error: BaseException) -> Method:
    """A method that raises."""

    def fail(*_: object) -> object:
        raise error

    return fail


def failed(reply: object) -> tuple[int, str]:
    """Code and message of a failure."""
    assert isinstance(reply, Reply)
    assert reply.is_last
    return reply.code, reply.message


# ── create ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("create", "expected"),
    [
        (lambda params, sid: (params, sid), ("params", "sid-1")),
        (lambda params, sid, persId=7, usrTag="": (params, sid, persId, usrTag), ("params", "sid-1", 0, "sid-1")),
        (lambda params, sid, userTag="", persId=7: (params, sid, userTag, persId), ("params", "sid-1", "sid-1", 0)),
        (lambda params, errNum, sid, persId=7: (params, errNum, sid, persId), ("params", 0, "sid-1", 0)),
        (lambda usrTag, params, psrIds, psrCnt: (usrTag, params, psrIds, psrCnt), ("sid-1", "params", (), 0)),
        (lambda params, sid, ctx: (params, sid, ctx is current()), ("params", "sid-1", True)),
    ],
)
def test_create_is_called_in_every_spelling(create: Method, expected: tuple[object, ...]) -> None:
    """By what its parameters are called (wrapper.md 2.1)."""
    got: list[object] = []

    def noting(*args: object) -> str:
        got.extend("params" if isinstance(one, dict) else one for one in create(*args))
        return "handle"

    noting.__wrapped__ = create  # type: ignore[attr-defined]  # its signature
    begun(Made(Create=noting)).destroy()
    assert tuple(got) == expected


@pytest.mark.parametrize(
    "answer",
    ["handle", SessionCreateResponse("handle"), SimpleNamespace(handle="handle")],
    ids=lambda one: type(one).__name__,
)
def test_handle_comes_as_text_or_inside_an_answer(answer: object) -> None:
    """And goes back to the wrapper as it was."""
    wrapper = Made(Create=lambda *_: answer)
    session = begun(wrapper)
    assert session.handle == "handle"
    session.destroy()
    assert wrapper.destroyed == ["handle"]


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda *_: None, "wrapperCreate returned NoneType, not a SessionCreateResponse;code=-1"),
        (lambda *_: "", "wrapperCreate returned no handle;code=-1"),
        (lambda *_: -1, "error -1;code=-1"),
        (lambda *_: 0, "wrapperCreate returned int, not a SessionCreateResponse;code=-1"),
        (lambda *_: SessionCreateResponse(), "wrapperCreate returned no handle;code=-1"),
        (lambda *_: SessionCreateResponse("handle", 40001), "error 40001;code=40001"),
        (raising(ValueError("no card")), "ValueError: no card;code=-1"),
        (raising(SystemExit(3)), "SystemExit: 3;code=-1"),
    ],
)
def test_create_that_fails_is_said_and_nothing_is_destroyed(create: Method, message: str) -> None:
    """10905; what was never there needs no end."""
    wrapper = Made(Create=create)
    assert failed(tried(wrapper)) == (10905, message)
    assert wrapper.destroyed == []


@pytest.mark.parametrize("wrapper", [object(), WrapperBase()])
def test_wrapper_without_create_says_so(wrapper: object) -> None:
    """10600, as for a once-call that it cannot answer."""
    assert failed(tried(wrapper)) == (10600, "the wrapper has no wrapperCreate(params, sid)")


def test_interrupted_create_leaves_nothing() -> None:
    """It is the engine's to answer; `callback` finds nobody."""
    sent: list[Reply] = []
    with pytest.raises(CallInterrupted):
        tried(Made(Create=raising(CallInterrupted())), sent=sent)
    assert callback(Response([ResponseData("a", b"x")]), "sid-1") == -1
    assert sent == []


# ── write ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "write",
    [
        lambda handle, req: (handle, req, "sid-1"),
        lambda handle, req, sid: (handle, req, sid),
        lambda handle, datas, sid, ctx: (handle, datas, sid if ctx is current() else ""),
    ],
)
def test_write_is_called_in_every_spelling(write: Method) -> None:
    """Two arguments or three, and the context; None and 0 are well."""
    got: list[tuple[object, ...]] = []

    def noting(*args: object) -> None:
        got.append(write(*args))

    noting.__wrapped__ = write  # type: ignore[attr-defined]  # its signature
    session = begun(Made(Write=noting))
    assert session.write(step(b"one").pieces, {}) is None
    session.destroy()
    ((handle, request, sid),) = got
    assert (handle, sid) == ("handle", "sid-1")
    assert isinstance(request, DataListCls)
    assert [(node.key, node.data, node.status) for node in request.list] == [("data", b"one", 0)]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda *_: -1, "error -1;code=-1"),
        (lambda *_: 5, "error 5;code=5"),
        (lambda *_: Response(), "wrapperWrite returned Response, not a number;code=-1"),
        (raising(ValueError("broken pipe")), "ValueError: broken pipe;code=-1"),
        (raising(SystemExit()), "SystemExit;code=-1"),
    ],
)
def test_write_that_fails_is_said_and_the_session_is_destroyed_once(write: Method, message: str) -> None:
    """10907; the end is the caller's to make, as often as it likes."""
    wrapper = Made(Write=write)
    session = begun(wrapper)
    assert failed(session.write(step().pieces, {})) == (10907, message)
    session.destroy()
    session.destroy()
    assert wrapper.destroyed == ["handle"]


def test_interrupted_write_passes_through() -> None:
    """It is the engine's, no failure of user code's."""
    session = begun(Made(Write=raising(CallInterrupted())))
    with pytest.raises(CallInterrupted):
        session.write(step().pieces, {})
    session.destroy()


# ── read ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer", [None, Response(), Response([ResponseData()]), [], 0])
def test_read_that_has_nothing_yet(answer: object) -> None:
    """None, an empty list, 0."""
    session = begun(Made(Read=lambda *_: answer))
    assert session.read() is None
    session.destroy()


def test_read_is_optional() -> None:
    """A wrapper that answers by `callback` has none."""
    session = begun(Made())
    assert (session.write(step().pieces, {}), session.read()) == (None, None)
    session.destroy()


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_read_gives_a_step_with_its_own_status(status: int) -> None:
    """Not forced to 3, as that of a once-call."""
    session = begun(Made(Read=lambda handle, sid: Response([ResponseData("a", handle + sid, status=status)])))
    reply = session.read()
    assert reply is not None
    assert (reply.status, reply.code, bytes(reply.pieces[0].data)) == (status, 0, b"handlesid-1")
    session.destroy()


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda *_: Response(error_code=5), "error 5;code=5"),
        (lambda *_: 5, "error 5;code=5"),
        (lambda *_: "text", "wrapperRead returned str, not a Response;code=-1"),
        (lambda *_: [b"x"], "TypeError: Response.list holds a bytes, not a ResponseData;code=-1"),
        (raising(ValueError("gone")), "ValueError: gone;code=-1"),
    ],
)
def test_read_that_fails_is_said(read: Method, message: str) -> None:
    """10908."""
    session = begun(Made(Read=read))
    assert failed(session.read()) == (10908, message)
    session.destroy()


# ── destroy ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("destroy", "lines"), [(lambda _: None, 0), (lambda _: 0, 0), (lambda _: -1, 1), (raising(ValueError("twice")), 1)]
)
def test_destroy_may_do_what_it_likes(destroy: Method, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    """What it returns or raises ends in the log, with the sid."""
    begun(Made(Destroy=destroy)).destroy()
    assert [record.__dict__["fields"] for record in caplog.records] == [{"sid": "sid-1"}] * lines


def test_destroy_comes_once_from_many_threads() -> None:
    """Whoever is first."""
    wrapper = Made()
    session = begun(wrapper)
    threads = [threading.Thread(target=session.destroy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrapper.destroyed == ["handle"]


# ── callback ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ids", [("sid-1",), ("handle",), ("handle", "sid-1"), ("unknown", "sid-1")])
def test_callback_brings_steps_until_the_last(ids: tuple[str, ...]) -> None:
    """By tag, sid or handle; afterwards, as for a session that is over, nobody listens (wrapper.md 1.4)."""
    sent: list[Reply] = []
    session = begun(Made(), sent=sent)
    for status in (0, 1, 2):
        assert callback(Response([ResponseData("a", b"x", status=status)]), *ids) == 0
    assert callback(Response([ResponseData("a", b"late")]), *ids) == -1
    assert [reply.status for reply in sent] == [0, 1, 2]
    session.destroy()


def test_callback_may_come_from_create() -> None:
    """Before there is a handle; the session is known by its sid."""
    sent: list[Reply] = []

    def create(params: dict[str, str], sid: str) -> str:
        assert callback(Response([ResponseData("a", params["lang"], status=0)]), sid) == 0
        return "handle"

    session = begun(Made(Create=create), sent=sent)
    assert [bytes(reply.pieces[0].data) for reply in sent] == [b"zh"]
    session.destroy()
    assert callback(Response([ResponseData("a", b"x")]), "sid-1") == -1


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (Response(error_code=5), "error 5;code=5"),
        (Response([SimpleNamespace(key="a", data=5, status=0)]), "TypeError: data must be bytes, "),  # type: ignore[list-item]
    ],
)
def test_callback_that_fails_is_said(response: Response, message: str) -> None:
    """10910, and it is the last."""
    sent: list[Reply] = []
    session = begun(Made(), sent=sent)
    assert callback(response, "sid-1") == 0
    (reply,) = sent
    assert (reply.code, reply.message[: len(message)]) == (10910, message)
    assert callback(response, "sid-1") == -1
    session.destroy()


# ── ASF's first style ─────────────────────────────────────────────────────────────────────────────


def test_functions_get_and_give_dicts() -> None:
    """A tuple of them in; out, what is returned, or what was filled into a list (wrapper.md 2.4)."""
    kept: list[object] = []

    def write(handle: str, datas: tuple[dict[str, object], ...]) -> int:
        kept.append((handle, datas[0]["data"]))
        return 0

    def filling(handle: str, respData: list[object]) -> int:
        respData.append({"key": "a", "data": handle, "len": 2, "status": 2, "type": 0})
        return 0

    def returning(handle: str) -> list[object]:
        return [{"key": "a", "data": handle, "len": 2, "status": 2, "type": 0}]

    for read in (filling, returning):
        wrapper = SimpleNamespace(
            wrapperCreate=lambda *_: "handle",
            wrapperWrite=write,
            wrapperRead=read,
            wrapperDestory=kept.append,
        )
        session = begun(wrapper, is_old=True)
        assert session.write(step(b"one").pieces, {}) is None
        reply = session.read()
        assert reply is not None
        assert (reply.status, bytes(reply.pieces[0].data)) == (2, b"ha")
        session.destroy()
    assert kept == [("handle", b"one"), "handle"] * 2
