"""Binds a wrapper's method once, by the names of its parameters, so that it can be called with named values.

ASF's loaders passed arguments by position, in orders and numbers that changed with every release; what never changed
is what authors called them (wrapper.md 2.1, the adapter rule). For each parameter:

    its name is one that the role knows ── that value
    else, it has a default ─────────────── the default
    else ───────────────────────────────── the value at its place in the order that ASF had for so many arguments
    *args, or else **kwargs ────────────── the rest of ASF's newest order
"""

from collections.abc import Callable, Mapping, Sequence
from types import MethodType

from athena_serving.sdk.context import running
from athena_serving.sdk.data import DataListCls

TYPE_CHECKING = False  # not typing's: it costs 5 ms of every start
if TYPE_CHECKING:
    from inspect import Parameter
    from typing import Final

Order = tuple[str, ...]

_V1_ONCE: "Final[Order]" = ("tag", "params", "request", "response_list", "persons", "person_count")
_V1_CREATE: "Final[Order]" = ("tag", "params", "persons", "person_count", "errnum")

ORDERS: "Final[Mapping[str, tuple[Order, ...]]]" = {
    "init": (("config",),),
    "fini": ((),),
    "once": (("params", "request", "tag", "person"), _V1_ONCE),
    "once_async": (("params", "request", "tag", "person"), ("params", "request", "sid", "person"), _V1_ONCE),
    "create": (
        ("params", "sid", "person", "tag"),
        ("params", "errnum", "sid"),
        _V1_CREATE,
    ),
    "write": (("handle", "request", "sid"),),
    "read": (("handle", "sid"), ("handle", "response_list")),
    "destroy": (("handle",),),
    "stream": (("params", "pieces"),),
    "load_res": (("request", "resource"),),
    "unload_res": (("resource",),),
    "error": (("code",),),
}
"""Role to the orders in which ASF passed its arguments, newest first (wrapper.md 2.1, 2.4)."""

_CALL: "Final" = frozenset(
    ("params", "request", "tag", "sid", "handle", "person", "persons", "person_count", "errnum", "response_list")
) | {"context"}
"""What a method that answers a call may ask for."""

_OFFERS: "Final[Mapping[str, frozenset[str]]]" = {
    **dict.fromkeys(("once", "once_async"), _CALL - {"handle"}),
    "create": _CALL - {"handle", "request", "response_list"},
    **dict.fromkeys(("write", "read", "destroy"), _CALL),
    "stream": frozenset(("params", "pieces", "sid", "tag", "person", "context")),
    "init": frozenset(("config",)),
    "fini": frozenset(),
    "load_res": frozenset(("request", "resource")),
    "unload_res": frozenset(("resource",)),
    "error": frozenset(("code",)),
}
"""Role to the values that its parameters may be named after. Other names say nothing there: `params` of `wrapperInit`
is the configuration, since that is what has its place."""

_NAMES: "Final[Mapping[str, str]]" = {
    "params": "params",
    **dict.fromkeys(("reqdata", "req", "datas", "data"), "request"),
    **dict.fromkeys(("pieces", "steps"), "pieces"),
    **dict.fromkeys(("usrtag", "usertag", "tag"), "tag"),
    **dict.fromkeys(("persid", "psrid", "psr"), "person"),
    "sid": "sid",
    "handle": "handle",
    "errnum": "errnum",
    "respdata": "response_list",
    "psrids": "persons",
    "psrcnt": "person_count",
    **dict.fromkeys(("resid", "patchid"), "resource"),
    "config": "config",
    **dict.fromkeys(("ret", "code"), "code"),
    **dict.fromkeys(("ctx", "context"), "context"),
}
"""What a parameter is called, in lower case and without underscores, to the value that it is given."""

_KEYWORDS: "Final[Mapping[str, str]]" = {
    "params": "params",
    "request": "reqData",
    "pieces": "pieces",
    "tag": "usrTag",
    "person": "persId",
    "sid": "sid",
    "handle": "handle",
    "resource": "resId",
    "config": "config",
    "code": "ret",
}
"""Values of the newest orders to ASF's names for them, for `**kwargs`."""

_NOTHING: "Final[Mapping[str, Callable[[Mapping[str, object]], object]]]" = {
    "params": lambda _: {},
    "request": lambda _: DataListCls(),
    "pieces": lambda _: iter(()),
    "response_list": lambda _: [],
    "config": lambda _: {},
    **dict.fromkeys(("tag", "sid", "handle", "resource"), lambda _: ""),
    **dict.fromkeys(("person", "errnum", "code"), lambda _: 0),
    "persons": lambda _: (),
    "person_count": lambda values: len(persons) if isinstance(persons := values.get("persons"), Sequence) else 0,
    "context": lambda _: running(),
}
"""What a parameter gets where the caller has no such value. A new one each time: user code may change it."""


class Plan:
    """What a method's parameters are given: names of values, or, where its own default stays, that."""

    def __init__(self) -> None:
        self.positional: list[str] = []
        self.keywords: dict[str, str] = {}
        """Parameter to value."""
        self.kept: dict[str, object] = {}
        """Stand-in for a name to the default that it stands for."""

    def keep(self, default: object) -> None:
        """Pass a parameter's own default, since one after it is filled by position."""
        name = f"={len(self.kept)}"
        self.kept[name] = default
        self.positional.append(name)


class Bound:
    """A method that is called with named values. Made by `bind`."""

    def __init__(self, method: Callable[..., object], plan: Plan) -> None:
        self._method = method
        self._positional = tuple(plan.positional)
        self._keywords = tuple(plan.keywords.items())
        self._kept = plan.kept

    def __call__(self, values: Mapping[str, object]) -> object:
        """Call the method and return what it returns, or raise what it raises.

        `values`: of params, request, pieces, tag, sid, handle, person, persons, person_count, errnum, response_list,
        resource, config, code and context, those that there are; for the others the method gets something harmless.
        """
        try:
            given = [values[name] for name in self._positional]
        except KeyError:  # before user code runs: its own is not caught here
            given = [self._value(name, values) for name in self._positional]
        if self._keywords:
            return self._method(*given, **{key: self._value(name, values) for key, name in self._keywords})
        return self._method(*given)

    def takes(self, name: str) -> bool:
        """Is the value `name` passed to the method?"""
        return name in self._positional or any(name == value for _, value in self._keywords)

    def _value(self, name: str, values: Mapping[str, object]) -> object:
        if name in values:
            return values[name]
        if name in self._kept:
            return self._kept[name]
        nothing = _NOTHING.get(name)
        return None if nothing is None else nothing(values)


def bind(method: Callable[..., object], role: str) -> Bound:
    """`method` as a function of named values; its signature is looked at here, and not again.

    `role` is one of `ORDERS`: init, fini, once, once_async, create, write, read, destroy, stream, load_res, unload_res,
    error.
    Methods, class and static methods, functions of a class that have forgotten `self`, functions of a module, partials
    and whatever else can be called will do. Raises KeyError for an unknown role.
    """
    newest = ORDERS[role][0]
    plan = Plan()
    method, parameters = _signature(method, role)
    if parameters is None:  # written in C, say
        plan.positional.extend(newest)
        return Bound(method, plan)
    sources = _sources(parameters, role)
    rest = [name for name in newest if name not in sources.values()]
    skipped: list[Parameter] = []
    for parameter in parameters:
        source = sources.get(parameter.name)
        if parameter.kind is parameter.VAR_KEYWORD:
            plan.keywords.update({_KEYWORDS[name]: name for name in rest})
        elif parameter.kind is parameter.VAR_POSITIONAL:
            if not skipped:
                plan.positional.extend(rest)
                rest = []
        elif source is None:
            if parameter.kind is not parameter.KEYWORD_ONLY:
                skipped.append(parameter)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            plan.keywords[parameter.name] = source
        else:
            for one in skipped:
                plan.keep(one.default)
            skipped.clear()
            plan.positional.append(source)
    return Bound(method, plan)


def _sources(parameters: "Sequence[Parameter]", role: str) -> dict[str, str]:
    """Parameter to the value that it is given; those that keep their default, and the starred, are not in it."""
    plain = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    named = {one.name: _named(one.name, role) for one in plain}
    filled = [one.name for one in plain if named[one.name] or one.default is one.empty]
    order = _order([named[name] for name in filled], role)
    sources: dict[str, str] = {}
    taken = {name for name in named.values() if name}
    for place, name in enumerate(filled):
        source = named[name] or _by_place(order, place, taken)
        taken.add(source)
        sources[name] = source
    return sources


def _named(name: str, role: str) -> str:
    """The value that a parameter is named after; empty if its name says nothing in this role."""
    plain = name.replace("_", "").lower()
    found = "code" if role == "error" and plain == "errnum" else _NAMES.get(plain, "")
    return found if found in _OFFERS[role] else ""


def _order(named: list[str], role: str) -> Order:
    """The one of the role's orders that the names agree with most, by place; then the one of so many; then the newest.

    `wrapperCreate(a, params, psrIds, psrCnt)` is ASF's first style, `wrapperCreate(a, sid, b, c)` its last.
    """

    def agreement(order: Order) -> tuple[int, bool]:
        return sum(map(str.__eq__, named, order)), len(order) >= len(named)

    return max(ORDERS[role], key=agreement)


def _by_place(order: Order, place: int, taken: set[str]) -> str:
    """The value at a place of an order; if another parameter is named after it, the first that is left."""
    if place < len(order) and order[place] not in taken:
        return order[place]
    return next((name for name in order if name not in taken), "nothing")


def _signature(method: Callable[..., object], role: str) -> "tuple[Callable[..., object], Sequence[Parameter] | None]":
    """What to call, and its parameters; None if they cannot be known."""
    import inspect  # noqa: PLC0415  # 10 ms, at the start of every wrapper; who binds has loaded it anyway

    try:
        if isinstance(method, MethodType) and not isinstance(method.__self__, type):
            # `def wrapperOnceExec(params, reqData)` in a class: its author forgot `self`, and ASF did not mind.
            function = [*inspect.signature(method.__func__).parameters.values()]
            if not function or (function[0].kind < inspect.Parameter.VAR_POSITIONAL and _named(function[0].name, role)):
                return method.__func__, function
        return method, [*inspect.signature(method).parameters.values()]
    except (TypeError, ValueError):
        return method, None
