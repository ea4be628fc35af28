"""Schema documents of the tests: the least around what a test is about."""

from collections.abc import Mapping

from athena_serving.wire import faults, schema
from athena_serving.wire.schema import Schema

LIMIT = 1 << 20


def compiled(root: Mapping[str, object], **meta: object) -> Schema:
    """A schema of requests, compiled."""
    document = {"meta": {"serviceId": "s", **meta}, "schemainput": root}
    return schema.compile(document, body_limit=LIMIT)


def member(node: Mapping[str, object]) -> Schema:
    """A schema of requests with one member, `a`."""
    return compiled({"type": "object", "properties": {"a": node}})


def words(one: Schema, request: object) -> str:
    """What is said of a request; the same whichever validator was asked first."""
    problems = one.check(request)
    if str(request).isascii():
        assert one.check(request, is_ascii=True) == problems
    return faults.explain(problems)


def filled(one: Schema, request: dict[str, object]) -> dict[str, object]:
    """A request after its changes."""
    one.fill(request)
    return request
