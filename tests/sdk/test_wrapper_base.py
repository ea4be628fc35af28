"""The class that wrappers extend: construction, defaults, documents (wrapper.md 1.6)."""

import json
from typing import Any

import pytest

from athena_serving.errors import UsageError
from athena_serving.sdk import DataListCls, JsonBodyField, StringBodyField, WrapperBase, document
from athena_serving.sdk.stream import SessionManager
from athena_serving.wire import meta, schema


class Request:
    """One input."""

    text = StringBodyField("text", "hello")


class Answer:
    """One output."""

    accept1 = JsonBodyField("result")


class Reader(WrapperBase):
    """A service."""

    serviceId = "reader"
    requestCls: object = Request()
    responseCls: object = Answer()


class Forgetful(Reader):
    """Does not construct its base."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """As some old wrappers do."""


def test_methods_that_are_not_written_do_no_harm() -> None:
    """What a loader may call without asking."""
    base = WrapperBase()
    assert (base.wrapperInit({}), base.wrapperFini(), base.wrapperError(7), base.wrapperError(100)) == (
        *(0, 0, ""),
        "user error defined here",
    )
    assert (base.wrapperLoadRes(DataListCls(), "1"), base.wrapperUnloadRes("1")) == (0, 0)
    assert (base.wrapperCreate({}, "s"), base.wrapperWrite("h", DataListCls()), base.wrapperRead("h")) == (None, 0, [])
    assert base.wrapperDestroy("h") == 0


def test_answering_methods_name_what_is_missing() -> None:
    """The error says what to write."""
    with pytest.raises(NotImplementedError, match="Reader has no wrapperOnceExec: def"):
        Reader().wrapperOnceExec({}, DataListCls())
    with pytest.raises(NotImplementedError, match="Reader has no wrapperOnceExecAsync"):
        Reader().wrapperOnceExecAsync({}, DataListCls(), "s")


def test_wrapper_without_its_base_constructed_has_all_attributes() -> None:
    """Each instance its own."""
    first, second = Forgetful(legacy=False), Forgetful()
    assert isinstance(first.session, SessionManager)
    assert first.session is first.session
    assert first.session is not second.session
    assert (first.inputs_test_values, first.params_test_values, first.respData) == ({}, {}, [])
    assert (first.legacy, first.is_aipaas, first.keep_schema_default_value) == (True, True, True)


def test_session_may_be_replaced() -> None:
    """Old wrappers assign their own."""
    wrapper = Reader()
    own = SessionManager()
    wrapper.session = own
    assert wrapper.session is own


def test_schema_is_our_document_as_text() -> None:
    """Both names of it; it compiles, and is what a door would check against."""
    text = Reader().schema()
    assert text == Reader().schema_v2()
    built = json.loads(text)
    assert built == document.build(Reader, body_limit=document.BODY_LIMIT)
    assert schema.compile(built, body_limit=document.BODY_LIMIT).service == "reader"


def test_nameless_wrapper_is_named_after_its_folder() -> None:
    """As the server does it."""

    class Nameless(Reader):
        serviceId = ""

    assert json.loads(Nameless().schema())["meta"]["serviceId"] == "sdk"
    assert json.loads(Nameless().schema_legacy())["meta"]["service"] == ["sdk"]


def test_unusable_schema_is_a_usage_error() -> None:
    """It names the class."""

    class Slash(Reader):
        serviceId = "a/b"

    with pytest.raises(UsageError, match="Slash"):
        Slash().schema()


class Named(Reader):
    """Says all that a class may say of its service."""

    route: Any = ("/v2/ocr", "/ocr")
    hosts = "ocr.example"
    sub = "iat"
    call = "other"
    call_type: Any = 1


class Heir(Named):
    """Says nothing of its own."""


@pytest.mark.parametrize("kind", [Named, Heir])
def test_meta_comes_from_attributes_own_or_inherited(kind: type[WrapperBase]) -> None:
    """ASF looked into the class's own only."""
    found = json.loads(kind().schema())["meta"]
    assert {name: found[name] for name in ("route", "hosts", "sub", "call", "call_type")} == {
        "route": ["/v2/ocr", "/ocr"],
        "hosts": "ocr.example",
        "sub": "iat",
        "call": "other",
        "call_type": "1",
    }
    assert (meta.routes(found), meta.hosts(found)) == (("/v2/ocr", "/ocr"), ("ocr.example",))
    old = json.loads(kind().schema_legacy())["meta"]
    assert (old["route"], old["hosts"], old["call_type"]) == (["/v2/ocr", "/ocr"], "ocr.example", 1)


def test_method_called_like_an_attribute_says_nothing() -> None:
    """`call` is a likely name for a method."""

    class Caller(Reader):
        def call(self) -> None:  # type: ignore[override]
            """Something else."""

    assert json.loads(Caller().schema())["meta"]["call"] == "atmos"


def test_plain_class_has_the_same_document() -> None:
    """A wrapper need not extend anything."""

    class Plain:
        serviceId = "plain"
        requestCls = Request

    assert document.build(Plain, body_limit=1 << 20)["meta"] == {
        "serviceId": "plain",
        "version": "v1",
        "service": ["plain"],
        "sub": "ase",
        "call": "atmos",
        "call_type": "0",
        "webgate_type": 0,
        "hosts": "",
        "route": "/v1/private/plain",
        "routeKey": [],
        "plain": {"input": {"text": {"dataType": "text"}}, "accept": {}},
    }


def test_old_conveniences_say_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    """The page that gradio made, and the interpreter."""
    Reader().gradio()
    Reader().printPythonInfo()
    shown = capsys.readouterr().out
    assert "/docs" in shown
    assert "3." in shown
