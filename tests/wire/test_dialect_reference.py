"""What is compiled against a plain interpreter of the dialect, over random schemas and requests."""

import copy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from athena_serving.errors import UsageError
from athena_serving.wire import schema
from athena_serving.wire.faults import MOST_PROBLEMS
from athena_serving.wire.schema import Schema
from tests.wire.reference import Node, Reference

NAMES = st.sampled_from(["a", "b", "c", "d/e"])
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 2, -1, 2.5, 1.0, 0.3, "", "a", "b", "1", "2.5", "true", "ab", "éé", "QUJD", "13800138000"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8
)
COUNTS = st.integers(0, 3)
NUMBERS = st.sampled_from([0, 1, 2, -1, 0.5, 2.5])
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "bool", "object", "array"])

# One strategy a keyword; those with schemas inside are in _inner.
PLAIN: dict[str, st.SearchStrategy[object]] = {
    "type": TYPES | st.sampled_from(["string|number", "object|array"]) | st.lists(TYPES, min_size=1, max_size=3),
    "enum": st.lists(SCALARS, max_size=3),
    "enums": st.lists(SCALARS, min_size=1, max_size=2),
    "const": SCALARS,
    "minLength": COUNTS,
    "maxLength": COUNTS,
    "minB64DLen": COUNTS,
    "maxB64DLen": COUNTS,
    "pattern": st.sampled_from(["^a", "b$", "[0-9]", "é", "^$"]),
    "format": st.sampled_from(["ipv4", "phone"]),
    "minimum": NUMBERS,
    "maximum": NUMBERS,
    "exclusiveMinimum": NUMBERS,
    "exclusiveMaximum": NUMBERS,
    "multipleOf": st.sampled_from([1, 2, 0.5, 0.1]),
    "required": st.lists(NAMES, max_size=2, unique=True),
    "dependencies": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
    "keyMatch": st.dictionaries(NAMES, SCALARS.filter(lambda value: value is not None), max_size=2),
    "minProperties": COUNTS,
    "maxProperties": COUNTS,
    "minItems": COUNTS,
    "maxItems": COUNTS,
    "uniqueItems": st.booleans(),
    "error": st.just("never"),
    "$ref": st.sampled_from(["#", "#/$defs/x", "#/definitions/y"]),
    "description": st.just("words"),
    "delete": st.lists(NAMES, max_size=2),
    "replaceKey": NAMES,
    "defaultVal": VALUES,
    "constVal": SCALARS,
    "setVal": st.dictionaries(st.sampled_from(["a", "b", "c"]), SCALARS.filter(lambda value: value is not None)),
    "formatVal": st.just("string"),
}


def _inner(nodes: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[object]]:
    members = st.dictionaries(NAMES, nodes, max_size=3)
    branches = st.lists(nodes, min_size=1, max_size=2)
    return {
        "properties": members,
        "children": members,
        "additionalProperties": st.booleans() | nodes,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "[bc]", "d/"]), nodes, max_size=2),
        "items": nodes,
        "contains": nodes,
        **dict.fromkeys(("anyOf", "oneOf", "allOf"), branches),
        **dict.fromkeys(("not", "if", "then", "else"), nodes),
        "switch": NAMES,
        "case": st.dictionaries(st.sampled_from(["a", "1", "true", "2.5"]), nodes, max_size=2),
        "default": nodes,
    }


def _node(strategies: dict[str, st.SearchStrategy[object]], *, size: int = 4) -> st.SearchStrategy[Node]:
    names = st.lists(st.sampled_from(sorted(strategies)), max_size=size, unique=True)
    return names.flatmap(lambda found: st.fixed_dictionaries({name: strategies[name] for name in found})).map(_tidy)


def _tidy(node: Node) -> Node:
    """Open where a name is required that is not declared: else it would be refused."""
    if set(node.get("required", [])) - set(node.get("properties", {})):
        node["additionalProperties"] = True
    return node


NODES = st.recursive(_node(PLAIN), lambda inner: _node({**_inner(inner), **PLAIN}), max_leaves=12)
ROOTS = st.builds(
    lambda root, x, y: {**root, "$defs": {"x": x}, "definitions": {"y": y}},
    _node({**_inner(NODES), **PLAIN}),
    NODES,
    NODES,
)


def _compiled(root: Node) -> Schema:
    try:
        return schema.compile({"meta": {"serviceId": "s"}, "schemainput": root}, body_limit=1 << 20)
    except UsageError as error:
        assume("leads back to itself" not in error.message)
        raise


@settings(max_examples=100, deadline=None)
@given(ROOTS, st.lists(VALUES, min_size=1, max_size=4))
def test_what_is_compiled_checks_as_the_interpreter_does(root: Node, requests: list[object]) -> None:
    """The same problems, each with its place and words, whether ASCII or not."""
    compiled = _compiled(root)
    plain = Reference(root)
    for request in requests:
        expected = set(plain.problems(request))
        found = compiled.check(request)
        assert set(found) == expected or len(found) == MOST_PROBLEMS
        assert len(set(found)) == len(found)


_ASCII = VALUES.filter(lambda value: "é" not in str(value))


@settings(max_examples=100, deadline=None)
@given(ROOTS, st.lists(_ASCII, min_size=1, max_size=4))
def test_fast_validator_takes_nothing_that_is_wrong(root: Node, requests: list[object]) -> None:
    """A request of ASCII is right by the fast one only if it is right."""
    compiled = _compiled(root)
    plain = Reference(root)
    for request in requests:
        assert (compiled.check(request, is_ascii=True) == ()) == (plain.problems(request) == [])


@settings(max_examples=100, deadline=None)
@given(ROOTS, st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_compiled_changes_as_the_interpreter_does(root: Node, request: dict[str, object]) -> None:
    """Whatever the schema, whether the request is right or not."""
    compiled = _compiled(root)
    expected = Reference(root).fill(request)
    changed = copy.deepcopy(request)
    compiled.fill(changed)
    assert changed == expected
