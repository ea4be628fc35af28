"""The schema compiler: ASF's dialect, its words, and what a service is (http-api.md, chapter 5)."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.errors import Problem, UsageError
from athena_serving.wire import schema
from athena_serving.wire.schema import Schema

GOLDEN = Path(__file__).parents[3] / "shared/golden/webgate/schema_svcV2.json"
LIMIT = 1 << 20


def _compiled(root: Mapping[str, object], **meta: object) -> Schema:
    document = {"meta": {"serviceId": "s", **meta}, "schemainput": root}
    return schema.compile(document, body_limit=LIMIT)


def _member(node: Mapping[str, object]) -> Schema:
    return _compiled({"type": "object", "properties": {"a": node}})


def _words(compiled: Schema, request: object) -> str:
    """What is said of a request; the same whichever validator was asked first."""
    problems = compiled.check(request, is_ascii=True)
    assert problems == compiled.check(request)
    return schema.explain(problems)


@pytest.mark.parametrize(
    ("node", "value", "words"),
    [
        ({"type": "string"}, 1, "type must be string"),
        ({"type": "object"}, 1, "type should be object"),
        ({"type": "integer"}, 2.5, "type should be integer, but float:2.5"),
        ({"type": "integer"}, "3", "type should be integer"),
        ({"type": "bool"}, 1, "type should be bool"),
        ({"type": "string|number"}, True, "type should be one of string|number"),
        ({"type": ["string", "number"]}, True, "type should be one of string|number"),
        ({"enum": ["x", 1, True]}, "y", "must be one of [x 1 true]"),
        ({"enums": ["x"]}, "y", "must be one of [x]"),
        ({"maxLength": 2}, "abc", "length must be less or equal than 2"),
        ({"minLength": 2}, "a", "length must be larger or equal than 2"),
        ({"maxLength": 1}, [1, 2], "length must be less or equal than 1"),
        ({"maximum": 5}, 6, "value must be less or equal than 5"),
        ({"minimum": 0.5}, 0, "value must be larger or equal than 0.5"),
    ],
)
def test_error_has_asfs_words(node: dict[str, object], value: object, words: str) -> None:
    """Path and sentence of ASF's gateway, for each keyword."""
    assert _words(_member(node), {"a": value}) == f"'$.a' {words}; "


def test_missing_and_unknown_members_are_named() -> None:
    """The path ends with the name that is missing or too many."""
    compiled = _compiled({"properties": {"h": {"properties": {"x": {}}, "required": ["x"]}}})
    assert _words(compiled, {"h": {}}) == "'$.h.x' field is required; "
    assert _words(compiled, {"extra": 1}) == "'$.extra' unknown field; "


def test_objects_are_closed_unless_they_say_otherwise() -> None:
    """`additionalProperties` may open them, or say what else may come."""
    assert _words(_compiled({"properties": {}, "additionalProperties": True}), {"b": 1}) == ""
    typed = _compiled({"properties": {}, "additionalProperties": {"type": "string"}})
    assert _words(typed, {"b": 1}) == "'$.b' type must be string; "
    assert _words(_compiled({"type": "object"}), {"b": 1}) == ""


def test_all_errors_are_found_each_with_its_place() -> None:
    """Programs get pointers, people get ASF's paths."""
    compiled = _compiled(
        {
            "properties": {
                "n": {"type": "integer", "enum": [3]},
                "l": {"type": "array", "items": {"type": "string", "maxLength": 1}},
            }
        }
    )
    assert compiled.check({"n": 2.5, "l": ["ab", "c", 1], "z/~": 0}) == (
        Problem("/n", "type should be integer, but float:2.5"),
        Problem("/n", "must be one of [3]"),
        Problem("/l/0", "length must be less or equal than 1"),
        Problem("/l/2", "type must be string"),
        Problem("/z~1~0", "unknown field"),
    )
    assert schema.explain([Problem("/l/2", "x"), Problem("/z~1~0", "y")]) == "'$.l[*]' x; '$.z/~' y; "


def test_any_of_reports_every_branch() -> None:
    """Either app id will do; without one both are named."""
    compiled = _compiled(
        {"properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    )
    assert _words(compiled, {"a": 1}) == ""
    assert _words(compiled, {"a": 1, "b": 1}) == ""
    assert _words(compiled, {}) == "'$.a' field is required; '$.b' field is required; "
    assert _words(_compiled({"oneOf": [{"type": "string"}, {"type": "object"}]}), {}) == ""


@pytest.mark.parametrize("node", [{"type": "string"}, {"enum": ["x"]}, {"type": "object", "properties": {}}])
def test_null_passes(node: dict[str, object]) -> None:
    """ASF's own demo sends a null."""
    assert _words(_member(node), {"a": None}) == ""


@pytest.mark.parametrize(
    ("choice", "value"), [(1, "1"), ("1", 1), ("1.5", 1.5), (True, "true"), ("false", False), ("x", "x")]
)
def test_enum_matches_by_string_form(choice: object, value: object) -> None:
    """1 and "1" are alike."""
    assert _words(_member({"enum": [choice]}), {"a": value}) == ""


@pytest.mark.parametrize(("choice", "value"), [(1, True), ("01", 1), ("null", False), ("x", "X")])
def test_enum_matches_nothing_else(choice: object, value: object) -> None:
    """Only the same string form."""
    assert _words(_member({"enum": [choice]}), {"a": value}) != ""


def test_lengths_count_bytes() -> None:
    """A letter of two bytes counts twice, for both bounds."""
    compiled = _member({"type": "string", "minLength": 2, "maxLength": 3})
    assert compiled.check({"a": "é"}) == ()
    assert compiled.check({"a": "éé"}) == (Problem("/a", "length must be less or equal than 3"),)


@given(st.text(max_size=8), st.integers(0, 12), st.integers(0, 12))
def test_lengths_agree_with_utf8(value: str, least: int, most: int) -> None:
    """Whatever the text and the bounds."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return
    compiled = _member({"minLength": least, "maxLength": most})
    assert (compiled.check({"a": value}, is_ascii=value.isascii()) == ()) == (least <= size <= most)


def test_defaults_are_filled_in_where_the_parent_is() -> None:
    """Absent members only: null is an answer, and no parent is invented."""
    node = {"properties": {"x": {"defaultVal": [1]}, "y": {"properties": {"z": {"defaultVal": 2}}}}}
    compiled = _member(node)
    for before, after in [
        ({}, {}),
        ({"a": {}}, {"a": {"x": [1]}}),
        ({"a": {"x": None, "y": {}}}, {"a": {"x": None, "y": {"z": 2}}}),
    ]:
        request: dict[str, object] = json.loads(json.dumps(before))
        compiled.fill(request)
        assert request == after


def test_defaults_are_copied() -> None:
    """One request must not change the next one's default."""
    compiled = _member({"defaultVal": {"x": 1}})
    one: dict[str, object] = {}
    two: dict[str, object] = {}
    compiled.fill(one)
    compiled.fill(two)
    assert one["a"] == two["a"]
    assert one["a"] is not two["a"]


def test_outermost_default_comes_first() -> None:
    """What it brings is completed by those inside."""
    request: dict[str, object] = {}
    _compiled({"properties": {"a": {"defaultVal": {}, "properties": {"b": {"defaultVal": 1}}}}}).fill(request)
    assert request == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("node", "message", "where"),
    [
        ({"if": {}}, "keyword 'if' is unknown", "schemainput.properties.a.if"),
        ({"type": "strin"}, "no type 'strin'", "schemainput.properties.a.type"),
        ({"maxLength": -1}, "a length must be", "schemainput.properties.a.maxLength"),
        ({"maximum": "5"}, "maximum must be a number", "schemainput.properties.a.maximum"),
        ({"enum": "x"}, "enum must be an array", "schemainput.properties.a.enum"),
        ({"items": []}, "items must be an object", "schemainput.properties.a.items"),
        ({"anyOf": [], "oneOf": []}, "there under two names", "schemainput.properties.a"),
        ({"anyOf": []}, "", "anyOf"),
    ],
)
def test_bad_schema_is_refused_by_name_and_place(node: dict[str, object], message: str, where: str) -> None:
    """Whoever wrote it by hand learns where to look."""
    with pytest.raises(UsageError) as caught:
        _member(node)
    assert message in caught.value.message
    assert where in caught.value.where
    assert caught.value.help


@pytest.mark.parametrize("meta", [{}, {"serviceId": ""}, {"serviceId": 5}])
def test_schema_without_a_service_id_is_refused(meta: dict[str, object]) -> None:
    """Nothing could be routed to it."""
    with pytest.raises(UsageError, match="no service id"):
        schema.compile({"meta": meta}, body_limit=LIMIT)


def test_meta_that_is_no_object_is_refused() -> None:
    """So is one that is not there."""
    with pytest.raises(UsageError, match="meta must be an object"):
        schema.compile({}, body_limit=LIMIT)


def test_meta_is_read() -> None:
    """Names, streams, routes and codes; numbers may be strings, bad codes are ignored."""
    compiled = _compiled(
        {},
        version="v2",
        sub="iat",
        service=["s", "t"],
        s={"input": {"i": {"dataType": "image"}, "w": "weird"}, "accept": {"o": "video"}},
        t={"input": {"t": "text"}},
        route=["/a", "/b"],
        codeMap={"10907": 430, "1": "599", "2": 600, "3": 100, "x": 400, "4": "no"},
    )
    assert (compiled.service, compiled.version, compiled.sub, compiled.names) == ("s", "v2", "iat", ("s", "t"))
    assert (compiled.inputs, compiled.outputs) == ({"i": 2, "w": 1, "t": 0}, {"o": 3})
    assert compiled.routes == ("/a", "/b")
    assert compiled.code_map == {10907: 430, 1: 599}
    assert _compiled({}, route="/a").routes == ("/a",)
    assert _compiled({}).routes == ()


def test_stream_without_a_type_is_refused() -> None:
    """ASF refuses it as well."""
    with pytest.raises(UsageError, match="a data type must be a name"):
        _compiled({}, service=["s"], s={"input": {"i": 5}})


def _with_stream(data: Mapping[str, object], **stream: object) -> Schema:
    node = {"type": "object", "properties": {"image": data}, **stream}
    root = {"type": "object", "properties": {"payload": {"type": "object", "properties": {"i": node}}}}
    return _compiled(root, s={"input": {"i": "image"}})


def test_data_fields_are_measured_elsewhere() -> None:
    """Their lengths are taken out of the check; without a bound the body's counts."""
    compiled = _with_stream({"type": "string", "minLength": 1, "maxLength": 5})
    assert compiled.lengths == {"i": (1, 5)}
    assert compiled.check({"payload": {"i": {"image": "x" * 9}}}) == ()
    assert _with_stream({"type": "string"}).lengths == {"i": (0, LIMIT)}


def test_data_is_lifted_only_where_nobody_looks_at_it() -> None:
    """An enum on the data, or a condition around it, must see the real value."""
    assert _with_stream({"type": "string", "maxLength": 5, "description": "a picture"}).is_liftable
    assert not _with_stream({"type": "string", "enum": ["QQ=="]}).is_liftable
    assert not _with_stream({"type": "string"}, anyOf=[{}]).is_liftable


def test_defaults_of_outputs_come_from_accept_blocks() -> None:
    """Members' defaults, then the block's own; not what only a reply can say."""
    block = {
        "defaultVal": {"format": "json", "status": 3, "text": "value", "data_type": "text"},
        "properties": {
            "encoding": {"defaultVal": "utf8"},
            "rate": {"defaultVal": 8000},
            "format": {},
            "seq": {"defaultVal": 0},
        },
    }
    parameter = {"properties": {"s": {"properties": {"o": block}}}}
    compiled = _compiled({"properties": {"parameter": parameter}}, s={"accept": {"o": "text", "p": "text"}})
    assert compiled.defaults == {"o": {"encoding": "utf8", "rate": "8000", "format": "json"}, "p": {}}


def test_a_million_errors_are_not_all_told() -> None:
    """The answer stays small, and so does each name in it."""
    problems = _compiled({"properties": {}}).check({f"{number}{'x' * 1000}": 0 for number in range(1000)})
    assert len(problems) == schema.MOST_PROBLEMS
    assert max(len(problem.pointer) for problem in problems) <= 65


def test_deep_nesting_is_told_as_such() -> None:
    """The validator has a limit of its own."""
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    assert _words(_member({"type": "string"}), {"a": deep}) == "'$' is nested too deeply; "


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("x", "x"),
        (None, ""),
        (True, "true"),
        (16000, "16000"),
        (3.0, "3"),
        (1.50, "1.5"),
        (-0.5, "-0.5"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (["a", 3, None], "a;3;"),
        ({"k": "é", "n": [1, 2.5]}, '{"k":"é","n":[1,2.5]}'),
        (2**70, str(2**70)),
    ],
)
def test_string_form(value: object, form: str) -> None:
    """http-api.md 6.3, case G45."""
    assert schema.text(value) == form


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_string_form_of_a_number_is_exact_and_plain(value: float) -> None:
    """No exponent, and it reads back as the same number."""
    form = schema.text(value)
    assert "e" not in form.lower()
    assert float(form) == value


@pytest.mark.skipif(not GOLDEN.exists(), reason="no recorded schema beside the repository")
def test_recorded_schema_of_the_gateway_compiles() -> None:
    """A document that ASF's own SDK generated."""
    compiled = schema.compile(json.loads(GOLDEN.read_bytes()), body_limit=LIMIT)
    assert (compiled.inputs, compiled.outputs) == ({"text_in": 0, "img_in": 2}, {"result": 0})
    assert compiled.defaults == {"result": {"encoding": "utf8", "compress": "raw", "format": "plain"}}
    assert compiled.casts["result"]["status"] == "integer"
