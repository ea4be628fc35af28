"""Methods called by what their parameters are called (wrapper.md 2.1, RULE; 2.4)."""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import pytest

from athena_serving.sdk import Context, DataListCls
from athena_serving.sdk.binding import ORDERS, bind

ALL: Mapping[str, object] = {
    name: f"<{name}>"
    for name in (
        *("params", "request", "tag", "sid", "handle", "person", "persons", "person_count", "errnum", "response_list"),
        *("resource", "config", "code", "context", "pieces"),
    )
}
"""Every value, recognisable."""


def function(signature: str) -> Callable[..., object]:
    """A function that returns what its parameters got."""
    names: dict[str, Any] = {}
    source = (
        f"def function{signature}:\n"
        "    given = dict(locals())\n"
        "    return {name: value for name, value in given.items() if name not in ('self', 'cls')}\n"
    )
    exec(source, names)  # noqa: S102  # signatures are what this is about
    found: Callable[..., object] = names["function"]
    return found


def method(signature: str) -> Callable[..., object]:
    """The same as a method, where it has a `self`, under whichever name; else as a function of a module."""
    if not signature.startswith(("(self", "(cls")):
        return function(signature)
    found: Callable[..., object] = type("Wrapper", (), {"method": function(signature)})().method
    return found


def given(signature: str, role: str) -> object:
    """What each parameter got: `<params>` is the value named params."""
    return bind(method(signature), role)(ALL)


@pytest.mark.parametrize(
    ("signature", "role", "expected"),
    [
        # wrapper.md 2.1, row by row
        ("(self, config)", "init", ["config"]),
        ("(cls, config)", "init", ["config"]),
        ("(config)", "init", ["config"]),
        ("(self, params)", "init", ["config"]),
        ("(self)", "fini", []),
        ("()", "fini", []),
        ("(self, params, reqData)", "once", ["params", "request"]),
        ("(params, reqData)", "once", ["params", "request"]),
        ("(self, params, reqData, persId=0)", "once", ["params", "request", "person"]),
        ("(self, params, reqData, usrTag='', persId=0)", "once", ["params", "request", "tag", "person"]),
        ("(self, params, reqData, usrTag='', psrID=0)", "once", ["params", "request", "tag", "person"]),
        ("(self, params, reqData, usrTag='')", "once", ["params", "request", "tag"]),
        (
            "(usrTag, params, reqData, respData, psrIds, psrCnt)",
            "once",
            ["tag", "params", "request", "response_list", "persons", "person_count"],
        ),
        ("(self, params, reqData, sid, persId=0)", "once_async", ["params", "request", "sid", "person"]),
        ("(self, params, sid)", "create", ["params", "sid"]),
        ("(self, params, sid, persId=0, usrTag='')", "create", ["params", "sid", "person", "tag"]),
        ("(self, params, sid, persId=0)", "create", ["params", "sid", "person"]),
        ("(self, params, sid, userTag='', persId=0)", "create", ["params", "sid", "tag", "person"]),
        ("(self, params, sid, userTag='')", "create", ["params", "sid", "tag"]),
        ("(self, params, errNum, sid, persId=0)", "create", ["params", "errnum", "sid", "person"]),
        ("(usrTag, params, psrIds, psrCnt)", "create", ["tag", "params", "persons", "person_count"]),
        ("(usrTag, params, psrIds, psrCnt, errNum)", "create", ["tag", "params", "persons", "person_count", "errnum"]),
        ("(self, handle, req, sid)", "write", ["handle", "request", "sid"]),
        ("(self, handle, req)", "write", ["handle", "request"]),
        ("(handle, datas)", "write", ["handle", "request"]),
        ("(self, handle, sid)", "read", ["handle", "sid"]),
        ("(self, handle)", "read", ["handle"]),
        ("(handle, respData)", "read", ["handle", "response_list"]),
        ("(self, handle)", "destroy", ["handle"]),
        ("(self, reqData, resId)", "load_res", ["request", "resource"]),
        ("(self, perData, patch_id)", "load_res", ["request", "resource"]),
        ("(self, resId)", "unload_res", ["resource"]),
        ("(self, ret)", "error", ["code"]),
        ("(self, errNum)", "error", ["code"]),
        ("(errCode)", "error", ["code"]),
        # names in any order and spelling, and ours
        ("(self, req_data, PARAMS)", "once", ["request", "params"]),
        ("(self, ctx, datas)", "once", ["context", "request"]),
        ("(self, params, reqData, context)", "once", ["params", "request", "context"]),
        ("(self, psr, user_tag, data)", "once", ["person", "tag", "request"]),
        # names that say nothing, by place
        ("(self, a, b)", "once", ["params", "request"]),
        ("(self, a, b, c, d)", "once", ["params", "request", "tag", "person"]),
        ("(a, b, c, d, e, f)", "once", ["tag", "params", "request", "response_list", "persons", "person_count"]),
        ("(self, a, b, c)", "once_async", ["params", "request", "tag"]),
        ("(self, a, b)", "create", ["params", "sid"]),
        ("(self, a, b, c, d)", "create", ["params", "sid", "person", "tag"]),
        ("(a, params, psrIds, psrCnt)", "create", ["tag", "params", "persons", "person_count"]),
        ("(self, params, e, sid)", "create", ["params", "errnum", "sid"]),
        ("(self, h, d)", "write", ["handle", "request"]),
        ("(self, h, d, s)", "write", ["handle", "request", "sid"]),
        ("(self, number)", "error", ["code"]),
        ("(self, settings)", "init", ["config"]),
        # a name that another parameter has already
        ("(self, reqData, arguments)", "once", ["request", "params"]),
    ],
)
def test_parameters_get_what_they_are_called_after(signature: str, role: str, expected: list[str]) -> None:
    """Each spelling of the field, by name, else by place."""
    got = given(signature, role)
    assert isinstance(got, dict)
    assert [*got.values()] == [f"<{name}>" for name in expected]


def test_unknown_name_keeps_its_default_and_later_ones_are_filled() -> None:
    """Also where its place must be passed over."""
    got = given("(self, params, limit=5, reqData=None, flag=True)", "once")
    assert got == {"params": "<params>", "limit": 5, "reqData": "<request>", "flag": True}


def test_default_of_a_name_that_the_role_has_not_is_kept() -> None:
    """`data` of `wrapperInit` is the author's own."""
    assert given("(self, config, data='mine')", "init") == {"config": "<config>", "data": "mine"}


def test_positional_only_parameters_are_passed_by_position() -> None:
    """Defaults before them included."""
    got = given("(self, a=1, reqData=None, /, *, params)", "once")
    assert got == {"a": 1, "reqData": "<request>", "params": "<params>"}


def test_keyword_only_parameters_are_passed_by_keyword() -> None:
    """Known names are filled, own defaults stay."""
    got = given("(self, *, sid, reqData, size=3, params)", "once")
    assert got == {"sid": "<sid>", "reqData": "<request>", "size": 3, "params": "<params>"}


@pytest.mark.parametrize(
    ("signature", "role", "expected"),
    [
        ("(self, *args)", "once", {"args": ("<params>", "<request>", "<tag>", "<person>")}),
        (
            "(*args, **kwargs)",
            "create",
            {"args": ("<params>", "<sid>", "<person>", "<tag>"), "kwargs": {}},
        ),
        ("(self, *args, **kwargs)", "write", {"args": ("<handle>", "<request>", "<sid>"), "kwargs": {}}),
        ("(self, params, *args)", "create", {"params": "<params>", "args": ("<sid>", "<person>", "<tag>")}),
        (
            "(self, params, **kw)",
            "create",
            {"params": "<params>", "kw": {"sid": "<sid>", "persId": "<person>", "usrTag": "<tag>"}},
        ),
        ("(self, flag=1, *args)", "destroy", {"flag": 1, "args": ()}),
    ],
)
def test_stars_get_the_rest_of_the_newest_order(signature: str, role: str, expected: dict[str, object]) -> None:
    """`*args` by position, `**kwargs` by ASF's names."""
    assert given(signature, role) == expected


@pytest.mark.parametrize(
    ("kind", "signature"),
    [
        (classmethod, "(cls, params, reqData)"),
        (classmethod, "(k, params, reqData)"),
        (staticmethod, "(params, reqData)"),
    ],
)
def test_class_and_static_methods_are_bound_as_they_stand(kind: Callable[..., object], signature: str) -> None:
    """ASF's wrappers have both."""
    wrapper = type("Wrapper", (), {"once": kind(function(signature))})
    got = bind(wrapper().once, "once")(ALL)
    assert isinstance(got, dict)
    assert (got["params"], got["reqData"]) == ("<params>", "<request>")


@pytest.mark.parametrize(
    ("signature", "role", "expected"),
    [
        ("(params, reqData)", "once", {"params": "<params>", "reqData": "<request>"}),
        ("(usrTag, params)", "create", {"usrTag": "<tag>", "params": "<params>"}),
        ("(config)", "init", {"config": "<config>"}),
        ("()", "fini", {}),
        ("(handle)", "destroy", {"handle": "<handle>"}),
    ],
)
def test_method_without_self_is_called_as_a_function(signature: str, role: str, expected: dict[str, object]) -> None:
    """Its author forgot it, and ASF did not mind (wrapper.md 2.1: one `wrapperOnceExec` is so)."""
    wrapper = type("Wrapper", (), {"method": function(signature)})
    assert bind(wrapper().method, role)(ALL) == expected


def test_decorated_method_is_known_by_what_it_wraps() -> None:
    """`functools.wraps` keeps the names."""

    def twice(function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def inner(*args: object, **kwargs: object) -> object:
            return [function(*args, **kwargs)] * 2

        return inner

    class Wrapper:
        @twice
        def wrapperOnceExec(self, reqData: object, params: object) -> object:
            return reqData, params

    assert bind(Wrapper().wrapperOnceExec, "once")(ALL) == [("<request>", "<params>")] * 2


def test_partials_and_callable_objects_will_do() -> None:
    """Whatever can be called."""

    def answer(model: str, params: object, reqData: object, *, top: int = 1) -> object:
        return model, params, reqData, top

    class Model:
        def __call__(self, data: object) -> object:
            return data

    assert bind(functools.partial(answer, "m", top=2), "once")(ALL) == ("m", "<params>", "<request>", 2)
    assert bind(Model(), "once")(ALL) == "<request>"


def test_callable_without_a_signature_gets_the_newest_order() -> None:
    """Functions written in C have none."""
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(min)
    assert bind(min, "once")({"params": 4, "request": 2, "tag": 3, "person": 9}) == 2
    assert bind(MethodType(min, 5), "once")({"params": 6, "request": 7, "tag": 8, "person": 9}) == 5


def test_missing_values_are_harmless_and_new_each_time() -> None:
    """User code may change what it gets."""
    bound = bind(method("(params, data, tag, sid, psr, errnum, respdata, psrids, psrcnt, ctx)"), "once")
    first, second = bound({}), bound({})
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert isinstance(first["data"], DataListCls)
    assert [
        first[name] for name in ("params", "tag", "sid", "psr", "errnum", "respdata", "psrids", "psrcnt", "ctx")
    ] == [
        *({}, "", "", 0, 0, [], (), 0, None),
    ]
    assert all(first[name] is not second[name] for name in ("params", "data", "respdata"))


def test_persons_are_counted() -> None:
    """`psrCnt` is the length of `psrIds` where nobody says it."""
    got = bind(method("(psrIds, psrCnt)"), "once")({"persons": (7, 8)})
    assert got == {"psrIds": (7, 8), "psrCnt": 2}


def test_missing_context_is_the_running_one() -> None:
    """`ctx` works wherever a call runs."""
    bound = bind(method("(self, ctx)"), "once")
    with Context("s", app="a", service="v", expires=0.0) as context:
        assert bound({}) == {"ctx": context}


def test_what_is_beyond_every_order_gets_none() -> None:
    """A method with more parameters than ASF ever passed is called all the same."""
    got = given("(handle, a, b, c, d)", "write")
    assert got == {"handle": "<handle>", "a": "<request>", "b": "<sid>", "c": None, "d": None}


def test_takes_knows_what_is_passed() -> None:
    """The worker asks whether a method fills a list of its own."""
    assert bind(method("(usrTag, params, reqData, respData, psrIds, psrCnt)"), "once").takes("response_list")
    assert bind(method("(self, *, respData)"), "once").takes("response_list")
    assert not bind(method("(self, params, reqData)"), "once").takes("response_list")


def test_errors_of_user_code_come_through() -> None:
    """A KeyError of the method's own is not taken for a missing value."""

    def once(params: dict[str, str]) -> str:
        return params["nothing"]

    with pytest.raises(KeyError, match="nothing"):
        bind(once, "once")({"params": {}})


@pytest.mark.parametrize("role", ORDERS)
def test_every_role_can_be_bound(role: str) -> None:
    """A method of stars gets ASF's newest order in each."""
    got = given("(self, *args)", role)
    assert got == {"args": tuple(f"<{name}>" for name in ORDERS[role][0])}


def test_unknown_role_is_refused() -> None:
    """A slip of ours."""
    with pytest.raises(KeyError, match="other"):
        bind(min, "other")
