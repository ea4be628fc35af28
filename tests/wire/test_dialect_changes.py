"""Keywords that change a request after its check (http-api.md 5.4; docs/schema.md)."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athena_serving.wire import envelope, functions
from tests.wire.documents import compiled, filled, member


def _changed(node: Mapping[str, object], value: object) -> object:
    return filled(member(node), {"a": value})["a"]


def test_defaults_are_filled_in_where_the_parent_is() -> None:
    """Absent members only: null is an answer, and no parent is invented."""
    node = {"properties": {"x": {"defaultVal": [1]}, "y": {"properties": {"z": {"defaultVal": 2}}}}}
    for before, after in [
        ({}, {}),
        ({"a": {}}, {"a": {"x": [1]}}),
        ({"a": {"x": None, "y": {}}}, {"a": {"x": None, "y": {"z": 2}}}),
        ({"a": "no object"}, {"a": "no object"}),
    ]:
        request: dict[str, object] = json.loads(json.dumps(before))
        assert filled(member(node), request) == after


def test_defaults_are_copied() -> None:
    """One request must not change the next one's default."""
    one = member({"defaultVal": {"x": 1}})
    first, second = filled(one, {}), filled(one, {})
    assert first["a"] == second["a"]
    assert first["a"] is not second["a"]


def test_outermost_default_comes_first() -> None:
    """What it brings is completed by those inside."""
    one = compiled({"properties": {"a": {"defaultVal": {}, "properties": {"b": {"defaultVal": 1}}}}})
    assert filled(one, {}) == {"a": {"b": 1}}


def test_g48_default_of_the_old_sdk_is_a_default_value() -> None:
    """G48: `"default": true` refused the whole file in ASF; where it is a branch of `switch`, it stays one."""
    assert filled(member({"type": "boolean", "default": True}), {}) == {"a": True}
    assert filled(member({"default": 1, "defaultVal": 2}), {}) == {"a": 2}
    assert filled(member({"default": {"setVal": {"b": 1}}}), {}) == {}


def test_constants_overwrite() -> None:
    """Whether the member is there or not."""
    node = {"properties": {"x": {"constVal": 1}}}
    assert _changed(node, {"x": 2}) == _changed(node, {}) == {"x": 1}


def test_replaced_key_is_copied() -> None:
    """The old name stays, and a new one that is there already too."""
    node = {"properties": {"x": {"replaceKey": "y"}}}
    assert _changed(node, {"x": 1}) == {"x": 1, "y": 1}
    assert _changed(node, {"x": 1, "y": 2}) == {"x": 1, "y": 2}
    assert _changed(node, {}) == {}


def test_members_are_deleted() -> None:
    """Those that are there."""
    assert _changed({"delete": ["x", "y"]}, {"x": 1, "z": 2}) == {"z": 2}


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("string", 1.5, "1.5"),
        ("string", ["a", 3], "a;3"),
        ("bool", "true", True),
        ("boolean", "yes", False),
        ("bool", 2, True),
        ("bool", 0.5, False),
        ("bool", [], True),
        ("number", "2.50", 2.5),
        ("number", True, 1),
        ("number", "x", "x"),
        ("number", "9" * 400, "9" * 400),
        ("integer", "2.9", 2),
        ("integer", -2.9, -2),
        ("integer", [1], [1]),
        ("string", None, None),
    ],
)
def test_values_are_converted(kind: str, value: object, result: object) -> None:
    """What cannot be stays as it is, and so does null."""
    changed = _changed({"properties": {"x": {"formatVal": kind}}}, {"x": value})
    assert changed == {"x": result}
    assert isinstance(changed, dict)
    assert type(changed["x"]) is type(result)


@pytest.mark.parametrize(
    ("given_", "result"),
    [
        ("text", "text"),
        ([1, "$x"], [1, "$x"]),
        ({"k": 1}, {"k": 1}),
        ("${n}", 5),
        ("${$.o.l[1]}", "b"),
        ("${o['x.y']}", "dotted"),
        ("${o.nothing}", None),
        ("${o.l[9]}", None),
        (["$append", "v", "${n}", "-", "${o.l}"], "v5-a;b"),
        (["$add", "${n}", "2", 0.5], 7.5),
        (["$sub", "${n}", 2], 3),
        (["$mul", "${n}", "${n}"], 25),
        (["$mul", 1 << 62, 4], float(1 << 64)),
        (["$div", "${n}", 2], 2.5),
        (["$div", "${n}", 0], None),
        (["$mod", "${n}", 3], 2),
        (["$add", "${n}", "x"], None),
        (["$split", "a,b,c", ","], ["a", "b", "c"]),
        (["$split", "a,b,c", ",", 2], ["a", "b,c"]),
        (["$split", "a"], None),
        (["$join", "${o.l}", "+"], "a+b"),
        (["$join", "${n}", "+"], None),
        (["$trim", "xxaxx", "x"], "a"),
        (["$trim", " a\n"], "a"),
        (["$trimPrefix", "abab", "ab"], "ab"),
        (["$trimSuffix", "abab", "ab"], "ab"),
        (["$replace", "aaa", "a", "b"], "bbb"),
        (["$replace", "aaa", "a", "b", 2], "bba"),
        (["$replace", "a" * 2000, "a", "b" * 2000], None),
        (["$sprintf", "%s-%03d|%.1f|%v|%q|%%", "x", "${n}", 2.25, None, "y"], 'x-005|2.2||"y"|%'),
        (["$sprintf", "%s" * 3000], None),
        (["$or", "${nothing}", "", "${n}", 1], 5),
        (["$delete", "o", "nothing"], None),
        (["$append", ["$sub", "${n}", 1], ["$join", ["$split", "a b", " "], "_"]], "4a_b"),
    ],
)
def test_values_are_set(given_: object, result: object) -> None:
    """Constants, references, functions of these; where nothing comes out, nothing is set."""
    value = {"n": 5, "o": {"l": ["a", "b"], "x.y": "dotted"}}
    changed = _changed({"setVal": {"r": given_}}, value)
    assert isinstance(changed, dict)
    assert changed.get("r") == result
    assert ("r" in changed) == (result is not None)
    assert ("o" in changed) == (given_ != ["$delete", "o", "nothing"])


def test_values_are_set_along_a_path() -> None:
    """Only where the parents are."""
    node = {"setVal": {"o.p": 1, "l[0].q": 2, "none.r": 3, "['x.y']": 4, "l[7].q": 5}}
    assert _changed(node, {"o": {}, "l": [{}]}) == {"o": {"p": 1}, "l": [{"q": 2}], "x.y": 4}


def test_object_is_never_set_into_itself() -> None:
    """A reference is a copy."""
    changed = _changed({"setVal": {"o.self": "${o}"}}, {"o": {"k": 1}})
    assert changed == {"o": {"k": 1, "self": {"k": 1}}}


def test_changes_of_an_object_have_their_order() -> None:
    """delete, replaceKey, defaultVal, constVal, setVal, formatVal."""
    node = {
        "properties": {
            "f": {"formatVal": "string"},
            "c": {"constVal": 1},
            "d": {"defaultVal": 2},
            "k": {"replaceKey": "d"},
            "g": {"defaultVal": 3},
        },
        "setVal": {"f": ["$add", "${c}", "${d}", "${g}"]},
        "delete": ["k", "g"],
    }
    assert _changed(node, {"k": 9, "g": 9, "c": 9}) == {"c": 1, "d": 2, "g": 3, "f": "6"}


def test_conditions_choose_changes() -> None:
    """As they were when the object came: before its own changes."""
    mode = {"a": {"setVal": {"engine": "A"}}, "b": {"delete": ["x"]}}
    node = {
        "children": {"mode": {"defaultVal": "a"}},
        "switch": "mode",
        "case": mode,
        "default": {"setVal": {"engine": "none"}},
        "if": {"required": ["x"]},
        "then": {"setVal": {"had": True}},
        "else": {"setVal": {"had": False}},
    }
    assert _changed(node, {"mode": "a", "x": 1}) == {"mode": "a", "x": 1, "had": True, "engine": "A"}
    assert _changed(node, {"mode": "b", "x": 1}) == {"mode": "b", "had": True}
    assert _changed(node, {}) == {"mode": "a", "had": False, "engine": "none"}


def test_first_branch_that_is_right_changes() -> None:
    """Of `anyOf` and `oneOf`; all of `allOf`."""
    branches = [{"required": ["x"], "setVal": {"r": 1}}, {"required": ["y"], "setVal": {"r": 2}}]
    assert _changed({"anyOf": branches}, {"x": 0, "y": 0}) == {"x": 0, "y": 0, "r": 1}
    assert _changed({"oneOf": branches}, {"y": 0}) == {"y": 0, "r": 2}
    assert _changed({"anyOf": branches}, {}) == {}
    assert _changed({"allOf": branches}, {}) == {"r": 2}


def test_questions_change_nothing() -> None:
    """What stands in `if` and `not` only asks."""
    node = {"if": {"setVal": {"r": 1}}, "not": {"error": "x", "setVal": {"r": 2}}}
    assert _changed(node, {}) == {}


def test_changes_reach_items_and_other_members() -> None:
    """Each element; members by pattern, and those that nothing names."""
    inner = {"setVal": {"r": 1}}
    assert _changed({"items": inner}, [{}, 1, {"r": 0}]) == [{"r": 1}, 1, {"r": 1}]
    node = {"properties": {"p": {}}, "patternProperties": {"^x": inner}, "additionalProperties": {"delete": ["d"]}}
    before = {"p": {"d": 1}, "x1": {"d": 1}, "q": {"d": 1}}
    assert _changed(node, before) == {"p": {"d": 1}, "x1": {"d": 1, "r": 1}, "q": {}}


def test_changes_follow_references() -> None:
    """Also into themselves, as deep as the request goes; a condition may refer as well."""
    tree = {"properties": {"n": {"defaultVal": 1}, "next": {"$ref": "#/$defs/tree"}}}
    one = compiled({"properties": {"t": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}})
    assert filled(one, {"t": {"next": {"next": {}}}}) == {"t": {"n": 1, "next": {"n": 1, "next": {"n": 1}}}}
    root = {
        "if": {"properties": {"a": {"$ref": "#/definitions/one"}, "b": {"$ref": "#"}}},
        "then": {"setVal": {"r": 1}},
        "definitions": {"one": {"const": 1}},
    }
    assert filled(compiled(root), {"a": "1", "b": {"a": 1}}) == {"a": "1", "b": {"a": 1}, "r": 1}
    assert filled(compiled(root), {"a": 2}) == {"a": 2}


def test_member_has_the_default_of_its_definition() -> None:
    """Unless it says its own."""
    definitions = {"n": {"$ref": "#/$defs/m"}, "m": {"defaultVal": 1}}
    one = compiled(
        {"properties": {"a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#/$defs/n", "defaultVal": 2}}, "$defs": definitions}
    )
    assert filled(one, {}) == {"a": 1, "b": 2}  # fmt: skip


def test_schema_without_changes_walks_nothing() -> None:
    """It costs a request nothing."""
    assert member({"type": "object", "properties": {"x": {"items": {"not": {}}}}, "anyOf": [{}]})._plan == ()


# ── in the envelope ───────────────────────────────────────────────────────────────────────────────


def _service(image: Mapping[str, object], **block: object) -> dict[str, object]:
    stream = {"properties": {"image": image, "encoding": {}}, **block}
    return {"properties": {"header": {}, "parameter": {}, "payload": {"properties": {"i": stream}}}}


@pytest.mark.parametrize(
    ("root", "is_liftable"),
    [
        (_service({"type": "string", "maxB64DLen": 100, "defaultVal": "QUJD"}), True),
        (_service({"type": "string"}, additionalProperties=True), True),
        (_service({"constVal": "QUJD"}), False),
        (_service({"formatVal": "string"}), False),
        (_service({}, setVal={"image": "QUJD"}), False),
        (_service({}, delete=["image"]), False),
        (_service({}, additionalProperties={}), False),
        ({**_service({}), "switch": "x"}, False),
    ],
)
def test_changes_of_data_are_not_lifted(root: dict[str, object], is_liftable: bool) -> None:
    """Whoever changes a data field must see it."""
    assert compiled(root, s={"input": {"i": "image"}}).is_liftable == is_liftable


def test_changed_data_are_sent() -> None:
    """A constant in place of the data; a default where there are none."""
    for image, sent in (({"constVal": "QUJD"}, b"ABC"), ({"defaultVal": "QUJD"}, b"IMG")):
        one = compiled(_service(image), s={"input": {"i": "image"}})
        body = b'{"header":{"appid":"1"},"payload":{"i":{"image":"SU1H"}}}'
        for _ in range(2):
            assert envelope.decode(body, one).pieces[0].data == sent
        empty = body.replace(b'"image":"SU1H"', b"")
        assert envelope.decode(empty, one).pieces[0].data == b"ABC"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["QUJD", "REVG", ""]), st.sampled_from(["x", "y"])), max_size=6))
def test_recalled_requests_are_changed_alike(requests: list[tuple[str, str]]) -> None:
    """What is remembered of a skeleton is what came out of the changes."""
    root = _service({"type": "string"})
    parameter = {
        "children": {"s": {"setVal": {"both": ["$append", "${m}", "!"]}, "children": {"m": {"replaceKey": "w"}}}}
    }
    root["properties"] = {**root["properties"], "parameter": parameter}  # type: ignore[dict-item]
    one = compiled(root, s={"input": {"i": "image"}})
    for image, mode in requests:
        raw = {"header": {"appid": "1"}, "parameter": {"s": {"m": mode}}, "payload": {"i": {"image": image}}}
        request = envelope.decode(json.dumps(raw).encode(), one)
        assert request == envelope._read(json.dumps(raw).encode(), one, {})
        assert request.params == {"m": mode, "w": mode, "both": f"{mode}!"}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([*functions.FUNCTIONS, "delete"]), st.lists(_VALUES, max_size=4))
def test_functions_take_anything(name: str, arguments: list[object]) -> None:
    """What a caller sends never makes one raise."""
    references = [f"${{p{number}}}" for number in range(len(arguments))]
    value = functions.value([f"${name}", *references], ())
    value({f"p{number}": argument for number, argument in enumerate(arguments)})


@given(_VALUES, st.sampled_from(sorted(functions.CONVERSIONS)))
def test_conversions_take_anything(value: object, kind: str) -> None:
    """So do these, and what they make is JSON."""
    json.dumps(functions.CONVERSIONS[kind](value), allow_nan=False)
