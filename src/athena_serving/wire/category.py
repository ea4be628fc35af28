"""A category: a schema document whose calls go to other services, by what they ask for (http-api.md 5.3).

    {"meta": {"serviceId": "iat", "type": "category", "route": "/v1/private/iat", "routeKey": ["domain"], "subRoute": [
        {"subServiceId": "iat-zh", "priority": 2, "rules": {"$.parameter.iat.language": ["zh", "yue"]}},
        {"subServiceId": "iat-any", "priority": 1, "rules": {}}]}}

A category has no workers. The rules are tried by falling priority; the first of which every one is true decides. The
request is then checked against the schema of the service that it goes to; HTTP statuses of codes (`codeMap`) are the
category's.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from athena_serving.errors import RouteNotFound, UsageError
from athena_serving.wire import meta
from athena_serving.wire.meta import Node, text

_STEP: Final = re.compile(r"\.([^.\[\]'\"]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_MISSING: Final = object()

Step = str | int


class Rule(NamedTuple):
    """True of a request that has a value of `allowed` at `path`, compared by string form."""

    path: str
    """As the document has it: `$.parameter.iat.language`."""
    steps: tuple[Step, ...]
    allowed: frozenset[str]


class Branch(NamedTuple):
    """A service, and when the category's calls go there."""

    target: str
    priority: float
    rules: tuple[Rule, ...]


class Choice(NamedTuple):
    """Where one call goes."""

    target: str
    route_key: str
    """Values of the rules that `routeKey` names, joined by `_`; ASF hands them on as the header `routekey`."""


class Category(NamedTuple):
    """A service that only leads to others."""

    service: str
    sub: str
    """First letters of its calls' sids, whichever service they go to."""
    routes: tuple[str, ...]
    hosts: tuple[str, ...]
    is_exclusive: bool
    """Is its path its only one (`companion_route`), so that its name at the end of another path means nothing?"""
    code_map: dict[int, int]
    branches: tuple[Branch, ...]
    """By falling priority."""
    route_keys: tuple[str, ...]

    def pick(self, request: object) -> Choice:
        """Where a request goes; `request` is its JSON. Raises `RouteNotFound` if no branch is right for it."""
        for branch in self.branches:
            values = [_value(request, rule) for rule in branch.rules]
            if all(value in rule.allowed for value, rule in zip(values, branch.rules, strict=True)):
                found = dict(zip((rule.path for rule in branch.rules), values, strict=True))
                return Choice(branch.target, self._route_key(found))
        raise RouteNotFound("no companion route found")

    def _route_key(self, values: Mapping[str, str | None]) -> str:
        named = (next((value for path, value in values.items() if path.endswith(key)), None) for key in self.route_keys)
        return "_".join(value for value in named if value is not None)


def is_category(document: Node) -> bool:
    """Does a schema document lead to other services instead of to workers?"""
    found = meta.read(document)
    return found.get("type") == "category" or bool(found.get("companion_route"))


def parse(document: Node) -> Category:
    """The category that a schema document describes. Raises `UsageError` with the place."""
    found = meta.read(document)
    companion = found.get("companion_route")
    branches = [_branch(item, index) for index, item in enumerate(meta.array(found.get("subRoute", []), "subRoute"))]
    if not branches:
        raise UsageError(
            "the category leads nowhere",
            where="meta.subRoute",
            help='"subRoute": [{"subServiceId": "ocr", "rules": {}}]',
        )
    return Category(
        service=meta.service(found),
        sub=meta.sub(found),
        routes=(text(companion),) if companion else meta.routes(found),
        hosts=meta.hosts(found),
        is_exclusive=bool(companion),
        code_map=meta.code_map(found),
        branches=tuple(sorted(branches, key=lambda branch: -branch.priority)),
        route_keys=tuple(map(text, meta.array(found.get("routeKey", []), "routeKey"))),
    )


def _branch(item: object, index: int) -> Branch:
    where = f"meta.subRoute.{index}"
    if not isinstance(item, Mapping):
        raise UsageError("sub Route item must be map", where=where, help=f"it is {text(item)!r}")
    target = item.get("subServiceId")
    if not isinstance(target, str) or not target:
        raise UsageError("sub serviceId cannot be empty", where=f"{where}.subServiceId", help="name a service")
    priority = item.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int | float):
        raise UsageError("priority must be a number", where=f"{where}.priority", help=f"it is {text(priority)!r}")
    rules = item.get("rules", {})
    if not isinstance(rules, Mapping):
        raise UsageError("rules must be map", where=f"{where}.rules", help='{"$.parameter.iat.language": ["zh"]}')
    return Branch(target, priority, tuple(_rule(str(path), value, f"{where}.rules") for path, value in rules.items()))


def _rule(path: str, value: object, where: str) -> Rule:
    values = value if isinstance(value, list | tuple) else [value]
    return Rule(path, _steps(path, where), frozenset(map(text, values)))


def _steps(path: str, where: str) -> tuple[Step, ...]:
    """`$.parameter.iat['domain'][0]` as its steps: the part of JSONPath that names one place."""
    steps: list[Step] = []
    at = 1 if path.startswith("$") else -1
    while 0 <= at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            at = -1
            break
        name, index, *quoted = found.groups()
        steps.append(int(index) if index else name or next(one for one in quoted if one is not None))
        at = found.end()
    if at < 0 or not steps:
        raise UsageError(
            f"jsonpath compile error! {path!r}", where=where, help="one place: $.parameter.iat.domain, $.a['b'][0]"
        )
    return tuple(steps)


def _value(request: object, rule: Rule) -> str | None:
    """The string form of what stands at a rule's path; None if nothing does."""
    for step in rule.steps:
        if isinstance(step, str) and type(request) is dict:
            request = request.get(step, _MISSING)
        elif isinstance(step, int) and type(request) is list:
            request = request[step] if step < len(request) else _MISSING
        else:
            return None
        if request is _MISSING:
            return None
    return text(request)
