# ruff: noqa: ARG002  # methods of a wrapper have the parameters that they have
"""`Wrapper().run()`: the test of a wrapper without a server (wrapper.md 1.6)."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from athena_serving.sdk import (
    AudioBodyField,
    DataListCls,
    DataListNode,
    ImageBodyField,
    IntegerParamField,
    Response,
    ResponseData,
    SessionCreateResponse,
    StringBodyField,
    WrapperBase,
    current,
    selftest,
)
from athena_serving.sdk.callback import callback


class Request:
    """A text and a number."""

    text = StringBodyField("text", "hello")
    count = IntegerParamField("count", value=2)


class Answer:
    """A text and a picture."""

    accept1 = StringBodyField("result")
    accept2 = ImageBodyField("picture")


class Made(WrapperBase):
    """A wrapper in order."""

    serviceId = "made"
    requestCls: object = Request()
    responseCls: object = Answer()
    config: dict[str, str] = {"size": "3"}  # noqa: RUF012  # as wrappers write it
    ended = 0

    def wrapperInit(self, config: dict[str, str]) -> int:
        """Needs its configuration."""
        return 0 if config == {"size": "3"} else 1

    def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
        """Says what it got."""
        node = reqData.get("text")
        assert node is not None
        assert params == {"count": "2", "sid": current().sid}
        return Response([ResponseData("result", node.data * int(params["count"]))])

    def wrapperFini(self) -> int:
        """Counts."""
        self.ended += 1
        return 0


Shown = pytest.CaptureFixture[str]


def answering(answer: Any) -> WrapperBase:
    """A wrapper that answers this."""
    wrapper = Made()
    wrapper.wrapperOnceExec = lambda params, reqData: answer  # type: ignore[method-assign]  # noqa: ARG005
    return wrapper


def last(shown: str) -> str:
    """The last line."""
    return shown.splitlines()[-1]


def test_wrapper_in_order_is_verified(capsys: Shown) -> None:
    """Every check has its line, and the last says so."""
    wrapper = Made()
    assert wrapper.run()
    shown = capsys.readouterr().out
    assert last(shown).startswith("test_selftest.py has been verified: ")
    assert "  ok    wrapperInit" in shown
    assert "  ok    keys are declared" in shown
    assert "FAIL" not in shown
    assert wrapper.ended == 1
    assert [item.data for item in wrapper.respData] == [b"hellohello"]
    assert wrapper.inputs_test_values == {"text": b"hello"}
    assert wrapper.params_test_values["count"] == "2"


@pytest.mark.parametrize(
    ("answer", "about"),
    [
        (None, "the answer is a Response: it is None"),
        ([1], "the answer is a Response: it is of type list"),
        (Response(), "the answer has outputs: its list is empty"),
        (Response([ResponseData()]), "the answer has outputs: its list is empty"),
        (Response([ResponseData("other", b"x")]), "keys are declared: 'other' is not among 'result', 'picture'"),
        (
            Response([ResponseData("picture", b"x")]),
            "types are as declared: 'picture' is 0 (text), declared as 2 (image)",
        ),
        (Response([ResponseData("result", b"x", type=9)]), "types are as declared: 'result' is 9, declared"),
    ],
)
def test_what_the_server_would_refuse_fails(capsys: Shown, answer: object, about: str) -> None:
    """With what it is, and what it should be."""
    wrapper = answering(answer)
    assert not wrapper.run_once()
    shown = capsys.readouterr().out
    assert f"  FAIL  {about}" in shown
    assert "test_selftest.py is not ready: 1 of " in last(shown)
    assert not wrapper.check_resp(answer)


def test_what_the_server_puts_right_is_a_warning(capsys: Shown) -> None:
    """ASF's self-test failed some of its own examples for these."""
    items = [ResponseData("result", b"abc", 2, status=1), ResponseData("result", b"abc", 9)]
    wrapper = answering(Response(items))
    assert wrapper.run()
    shown = capsys.readouterr().out
    assert (
        "lengths are right: 'result' says 2 of 3 bytes; the rest is not delivered; 'result' says 9 of 3 bytes" in shown
    )
    assert "keys differ: 'result' comes 2 times" in shown
    assert "statuses are DataOnce: 'result' has 1; the server takes 3" in shown
    assert "3 warnings" in last(shown)
    assert wrapper.check_resp(Response(items))


def test_data_of_foreign_items_are_looked_at(capsys: Shown) -> None:
    """Wrappers bring classes of their own."""

    class Item:
        key, data, type = "result", {"a": 1}, 0

    assert not answering(Response([Item()])).run()  # type: ignore[list-item]
    assert "data are bytes: 'result': data must be bytes" in capsys.readouterr().out


def test_error_code_is_accepted_and_explained(capsys: Shown) -> None:
    """As ASF has it: a test value may be one that the wrapper refuses."""
    assert answering(Response().response_err(100)).run()
    shown = capsys.readouterr().out
    assert "the answer has an error code: 100" in shown
    assert "wrapperError calls 'user error defined here'" in shown


def test_exceptions_are_shown_with_their_traceback(capsys: Shown) -> None:
    """And fini runs all the same."""

    class Raises(Made):
        def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
            raise ValueError("no such model")

    wrapper = Raises()
    assert not wrapper.run()
    shown = capsys.readouterr().out
    assert "FAIL  wrapperOnceExec: it raised ValueError: no such model" in shown
    assert 'raise ValueError("no such model")' in shown
    assert wrapper.ended == 1


@pytest.mark.parametrize(("code", "words"), [(5, "it returned 5, which wrapperError calls ''"), (False, "")])
def test_init_decides_whether_there_is_more(capsys: Shown, code: int, words: str) -> None:
    """A number that is not 0 ends the test."""
    wrapper = Made()
    wrapper.wrapperInit = lambda config: code  # type: ignore[method-assign]  # noqa: ARG005
    assert wrapper.run() is not bool(code)
    shown = capsys.readouterr().out
    assert words in shown
    assert ("wrapperFini" in shown) is not bool(code)


def test_init_that_returns_nothing_is_warned_of(capsys: Shown) -> None:
    """None counts as 0."""
    wrapper = Made()
    wrapper.wrapperInit = lambda config: None  # type: ignore[assignment, method-assign, return-value]  # noqa: ARG005
    assert wrapper.run()
    assert "warn  wrapperInit: it returned None" in capsys.readouterr().out


def test_methods_are_called_by_the_names_of_their_parameters() -> None:
    """Whatever their order and number; coroutines as well."""

    class Old(Made):
        async def wrapperOnceExec(cls, req, usrTag, params, persId=0, ctx=None) -> Any:  # type: ignore # noqa: ANN001, N805, PGH003
            await asyncio.sleep(0)
            assert (usrTag, persId, ctx.sid, params["count"]) == ("self-test", 0, "self-test", "2")
            return Response([ResponseData("result", req.get("text").data)])

    assert Old().run()


def test_missing_test_value_is_warned_of(capsys: Shown) -> None:
    """Something is sent in its place."""

    class Pictures:
        image = ImageBodyField("image", path="nowhere.png")
        sound = AudioBodyField("sound")
        text = StringBodyField("text", "")

    class Wrapper(Made):
        requestCls = Pictures()

        def wrapperOnceExec(self, params: dict[str, str], reqData: DataListCls) -> Response:
            assert [node.data for node in reqData.list] == [b"test"] * 3
            return Response([ResponseData("result", b"x")])

    assert Wrapper().run()
    shown = capsys.readouterr().out
    assert "warn  input 'image' has a test value: it has none, so b'test' is sent; give the field a path" in shown
    assert "give the field a value" in shown


def test_fields_that_make_no_schema_fail_first(capsys: Shown) -> None:
    """With the remedy."""

    class Slash(Made):
        serviceId = "a/b"

    assert not Slash().run()
    shown = capsys.readouterr().out
    assert "FAIL  the fields make a schema: 'a/b' cannot be a service's name" in shown
    assert "wrapperInit" not in shown


class Stream(Made):
    """Sends what it gets by callback."""

    status = 2

    def wrapperCreate(self, params: dict[str, str], sid: str) -> SessionCreateResponse:
        """A handle."""
        self.sid, self.destroyed = sid, 0
        assert params["sid"] == sid
        return SessionCreateResponse("handle")

    def wrapperWrite(self, handle: str, req: DataListCls) -> int:
        """One result for each input."""
        assert handle == "handle"
        for node in req.list:
            assert callback(Response([ResponseData("result", node.data, status=self.status)]), self.sid) == 0
        return 0

    def wrapperDestroy(self, handle: str) -> int:
        """Counts."""
        self.destroyed += 1
        return 0


def test_session_is_tried_from_create_to_destroy(capsys: Shown) -> None:
    """Results come by callback."""
    wrapper = Stream()
    assert wrapper.run(stream=True)
    shown = capsys.readouterr().out
    for step in ("wrapperCreate: handle 'handle'", "wrapperWrite", "wrapperDestroy", "wrapperFini"):
        assert f"  ok    {step}" in shown
    assert (wrapper.destroyed, wrapper.ended) == (1, 1)
    assert callback(Response([ResponseData("result", b"late")]), wrapper.sid) == -1
    assert wrapper.run_stream()


def test_session_that_never_ends_fails(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last result must say that it is."""
    monkeypatch.setattr(selftest, "PATIENCE", 0.05)
    wrapper = Stream()
    wrapper.status = 1
    assert not wrapper.run_stream()
    assert "FAIL  the last result: none in 0.05 s has status DataEnd" in capsys.readouterr().out
    assert wrapper.destroyed == 1


def test_session_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the last result."""
    monkeypatch.setattr(selftest, "READ_PAUSE", 0.001)

    class Reads(Stream):
        waiting: list[Any] = [None, [], Response(), Response([ResponseData("result", b"1", status=1)])]  # noqa: RUF012

        def wrapperWrite(self, handle: str, req: DataListCls) -> int | None:  # type: ignore[override]
            self.left = [*self.waiting, [ResponseData("result", b"2", status=2)]]
            return None

        def wrapperRead(self, handle: str, sid: str = "") -> Any:
            return self.left.pop(0)

    wrapper = Reads()
    assert wrapper.run_stream()
    assert [item.data for item in wrapper.respData] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "it returned no handle but None"),
        (-1, "it returned no handle but -1"),
        (SessionCreateResponse("", 40001), "its error code is 40001, which wrapperError calls ''"),
    ],
)
def test_create_that_gives_no_handle_fails(capsys: Shown, answer: Any, words: str) -> None:
    """There is nothing to write to, nor to destroy."""
    wrapper = Stream()
    wrapper.wrapperCreate = lambda params, sid: answer  # type: ignore[method-assign]  # noqa: ARG005
    assert not wrapper.run_stream()
    assert f"FAIL  wrapperCreate: {words}" in capsys.readouterr().out
    assert wrapper.ended == 1


def test_wrapper_of_sessions_only_is_tried_as_one(capsys: Shown) -> None:
    """Without being asked for."""

    class Only(WrapperBase):
        serviceId = "only"
        requestCls = Request()
        responseCls = Answer()
        wrapperCreate = Stream.wrapperCreate
        wrapperWrite = Stream.wrapperWrite  # type: ignore[assignment]
        status = 3

    assert Only().run()
    assert "wrapperCreate: handle" in capsys.readouterr().out


def test_inputs_of_a_session_are_the_last_of_their_stream() -> None:
    """One step holds all."""
    seen: list[DataListNode] = []

    class Looks(Stream):
        def wrapperWrite(self, handle: str, req: DataListCls) -> int:
            seen.extend(req.list)
            return super().wrapperWrite(handle, req)

    assert Looks().run_stream()
    assert [(node.key, node.status) for node in seen] == [("text", 2)]


def test_script_of_a_wrapper_prints_the_report(tmp_path: Path) -> None:
    """`python wrapper.py`, from another folder: its test picture is found beside it."""
    (tmp_path / "a.png").write_bytes(b"PNG")
    (tmp_path / "wrapper.py").write_text(
        "from aiges.dto import Response, ResponseData\n"
        "from aiges.sdk import WrapperBase, ImageBodyField, StringBodyField\n"
        "from aiges.utils.log import log\n"
        "class Req(object):\n    a = ImageBodyField(key='a', path='a.png')\n"
        "class Res(object):\n    accept1 = StringBodyField(key='b')\n"
        "class Wrapper(WrapperBase):\n    serviceId = 'x'\n    requestCls = Req()\n    responseCls = Res()\n"
        "    def wrapperInit(self, config):\n        log.info('loading')\n        return 0\n"
        "    def wrapperOnceExec(self, params, reqData):\n"
        "        return Response([ResponseData('b', reqData.list[0].data)])\n"
        "if __name__ == '__main__':\n    m = Wrapper()\n    m.run()\n",
        encoding="utf-8",
    )
    command = [sys.executable, str(tmp_path / "wrapper.py")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.sep, timeout=60)
    assert last(ran.stdout).startswith("wrapper.py has been verified: ")
    assert last(ran.stdout).endswith(f" 0 warnings. Serve it: athena serve {tmp_path / 'wrapper.py'}")
    assert "INFO:  loading" in ran.stderr
