"""ASF's schema dialect: what it checks, in which words, and what of it is refused (http-api.md 5.4, 5.5)."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athena_serving.errors import Problem, UsageError
from athena_serving.sdk import ImageBodyField, IntegerParamField, JsonBodyField, StringParamField, document
from athena_serving.wire import dialect, faults, rules, schema
from tests.wire.documents import LIMIT, compiled, member, words


@pytest.mark.parametrize(
    ("node", "value", "said"),
    [
        ({"type": "string"}, 1, "type must be string"),
        ({"type": "object"}, 1, "type should be object"),
        ({"type": "array"}, 1, "type should be array"),
        ({"type": "number"}, "1", "type should be number"),
        ({"type": "boolean"}, 1, "type should be boolean"),
        ({"type": "bool"}, 1, "type should be bool"),
        ({"type": "integer"}, 2.5, "type should be integer, but float:2.5"),
        ({"type": "integer"}, "3", "type should be integer"),
        ({"type": "null"}, 1, "type should be null"),
        ({"type": "string|number"}, True, "type should be one of string|number"),
        ({"type": ["string", "number"]}, True, "type should be one of string|number"),
        ({"enum": ["x", 1, True]}, "y", "must be one of [x 1 true]"),
        ({"enums": ["x"]}, "y", "must be one of [x]"),
        ({"const": "k"}, "y", "value should always be k"),
        ({"maxLength": 2}, "abc", "length must be less or equal than 2"),
        ({"minLength": 2}, "a", "length must be larger or equal than 2"),
        ({"maxLength": 1}, [1, 2], "length must be less or equal than 1"),
        ({"minLength": 1}, [], "length must be larger or equal than 1"),
        ({"maxItems": 1}, [1, 2], "length must be less or equal than 1"),
        ({"minItems": 1}, [], "length must be larger or equal than 1"),
        ({"maximum": 5}, 6, "value must be less or equal than 5"),
        ({"minimum": 0.5}, 0, "value must be larger or equal than 0.5"),
        ({"exclusiveMaximum": 5}, 5, "value must be less than 5"),
        ({"exclusiveMinimum": 5}, 5, "value must be larger than 5"),
        ({"multipleOf": 2}, 3, "value must be multipleOf 2,but:3, divide:1.5"),
        ({"multipleOf": 0.1}, 0.25, "value must be multipleOf 0.1,but:0.25, divide:2.5"),
        ({"pattern": "^a+$"}, "ab", "ab ,value does not match pattern: ^a+$"),
        ({"format": "ipv4"}, "300.1.1.1", "invalid IPv4 address"),
        ({"maxB64DLen": 3}, "QUJDREVG", "length must be less or equal than 3"),
        ({"minB64DLen": 4}, "QUJD", "length must be large or equal than 4"),
        ({"not": {"type": "string"}}, "x", "is not valid"),
        ({"minProperties": 1}, {}, "sub items number at least has 1"),
        ({"minProperties": 1}, [], "sub items number at least has 1"),
        ({"maxProperties": 1}, [1, 2], "sub items number at most has 1"),
        ({"uniqueItems": True}, [1, 1.0], "items must differ from each other"),
        ({"contains": {"const": 1}}, [2], "has no item that it must contain"),
        ({"error": "not today"}, 1, "not today"),
    ],
)
def test_error_has_asfs_words(node: dict[str, object], value: object, said: str) -> None:
    """Path and sentence of ASF's gateway, for each keyword that it has."""
    assert words(member(node), {"a": value}) == f"'$.a' {said}; "


@pytest.mark.parametrize(
    ("node", "request_", "said"),
    [
        ({"properties": {"x": {}}, "required": ["x"]}, {}, "'$.a.x' field is required; "),
        ({"properties": {"x": {}}}, {"y": 1}, "'$.a.y' unknown field; "),
        ({"additionalProperties": False}, {"y": 1}, "'$.a.y' unknown field; "),
        ({"dependencies": {"x": ["y", "z"]}}, {"x": None, "z": 1}, "'$.a.y' is required; "),
        ({"keyMatch": {"x": 1}}, {}, "'$.a.x' value must be 1; "),
        ({"keyMatch": {"x": 1}}, {"x": "1"}, "'$.a.x' value must be 1; "),
        ({"items": {"type": "string"}}, ["a", 1, None], "'$.a[*]' type must be string; "),
    ],
)
def test_error_names_the_member(node: dict[str, object], request_: object, said: str) -> None:
    """The path ends with the name that is missing, too many or wrong."""
    assert words(member(node), {"a": request_}) == said


def test_objects_are_closed_unless_they_say_otherwise() -> None:
    """`additionalProperties` may open them, or say what else may come; `children` leaves them open."""
    assert words(compiled({"properties": {}, "additionalProperties": True}), {"b": 1}) == ""
    typed = compiled({"properties": {}, "additionalProperties": {"type": "string"}})
    assert words(typed, {"b": 1}) == "'$.b' type must be string; "
    assert words(compiled({"type": "object"}), {"b": 1}) == ""
    children = compiled({"children": {"a": {"type": "string"}}})
    assert words(children, {"a": 1, "b": 1}) == "'$.a' type must be string; "
    patterns = compiled({"properties": {}, "patternProperties": {"^x-": {"type": "string"}}})
    assert words(patterns, {"x-a": 1, "y": 1}) == "'$.x-a' type must be string; '$.y' unknown field; "


def test_all_errors_are_found_in_the_order_of_the_document() -> None:
    """Programs get pointers, people get ASF's paths; items stand as they came."""
    one = compiled(
        {
            "properties": {
                "n": {"type": "integer", "enum": [3]},
                "l": {"type": "array", "items": {"type": "string", "maxLength": 1}},
                "b": {"type": "string"},
            },
            "required": ["b"],
        }
    )
    assert one.check({"z/~": 0, "l": ["ab", "c", 1], "n": 2.5}) == (
        Problem("/n", "type should be integer, but float:2.5"),
        Problem("/n", "must be one of [3]"),
        Problem("/l/0", "length must be less or equal than 1"),
        Problem("/l/2", "type must be string"),
        Problem("/b", "field is required"),
        Problem("/z~1~0", "unknown field"),
    )
    assert faults.explain([Problem("/l/2", "x"), Problem("/z~1~0", "y")]) == "'$.l[*]' x; '$.z/~' y; "


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_any_of_and_one_of_mean_at_least_one(keyword: str) -> None:
    """More than one may be right; if none is, what each of them says is said."""
    branches = {keyword: [{"required": ["a"]}, {"required": ["b"]}]}
    one = compiled({"properties": {"a": {}, "b": {}}, **branches})
    assert words(one, {"a": 1}) == ""
    assert words(one, {"a": 1, "b": 1}) == ""
    assert words(one, {}) == "'$.a' field is required; '$.b' field is required; "


def test_if_decides_between_then_and_else() -> None:
    """A condition takes an enum by string form, whichever validator asks."""
    one = member(
        {
            "if": {"children": {"n": {"enum": ["1"]}}},
            "then": {"children": {"x": {"type": "string"}}},
            "else": {"children": {"x": {"type": "number"}}},
        }
    )
    assert words(one, {"a": {"n": 1, "x": 1}}) == "'$.a.x' type must be string; "
    assert words(one, {"a": {"n": 2, "x": "x"}}) == "'$.a.x' type should be number; "
    assert words(one, {"a": {"n": 2, "x": 1}}) == ""


def test_switch_goes_by_a_members_value() -> None:
    """By string form; without the member, or with null, `default` is the case."""
    case = {"1": {"required": ["x"]}, "true": {"required": ["y"]}, "z": {}}
    one = member({"switch": "n", "case": case, "default": {"required": ["d"]}})
    for value, said in [
        ({"n": 1}, "'$.a.x' field is required; "),
        ({"n": "1"}, "'$.a.x' field is required; "),
        ({"n": True}, "'$.a.y' field is required; "),
        ({"n": "z"}, ""),
        ({"n": "q"}, "'$.a.d' field is required; "),
        ({"n": None}, "'$.a.d' field is required; "),
        ({}, "'$.a.d' field is required; "),
        ("no object", ""),
    ]:
        assert words(one, {"a": value}) == said


@pytest.mark.parametrize(
    "node",
    [
        {"type": "string"},
        {"type": ["integer", "boolean"]},
        {"enum": ["x"]},
        {"const": "x"},
        {"type": "object", "properties": {}},
        {"type": "array", "items": {"type": "string"}},
        {"format": "ipv4", "pattern": "^x", "minLength": 3, "minB64DLen": 1},
        {"minimum": 1, "multipleOf": 2},
        {"type": "string", "nullable": True},
    ],
)
def test_null_passes(node: dict[str, object]) -> None:
    """ASF's own demo sends one."""
    assert words(member(node), {"a": None}) == ""


def test_null_counts_as_there() -> None:
    """For those who ask for a member, as in ASF."""
    assert words(compiled({"properties": {"a": {}}, "required": ["a"]}), {"a": None}) == ""


@pytest.mark.parametrize("keyword", ["enum", "const"])
@pytest.mark.parametrize(
    ("choice", "value"), [(1, "1"), ("1", 1), ("1.5", 1.5), (True, "true"), ("false", False), ("x", "x"), (1, 1.0)]
)
def test_enum_and_const_match_by_string_form(keyword: str, choice: object, value: object) -> None:
    """1 and "1" are alike."""
    assert words(member({keyword: [choice] if keyword == "enum" else choice}), {"a": value}) == ""


@pytest.mark.parametrize(("choice", "value"), [(1, True), ("01", 1), ("null", False), ("x", "X"), ("1", [1])])
def test_enum_matches_nothing_else(choice: object, value: object) -> None:
    """Only the same string form."""
    assert words(member({"enum": [choice]}), {"a": value}) != ""


def test_lengths_count_bytes() -> None:
    """A letter of two bytes counts twice, for both bounds."""
    one = member({"type": "string", "minLength": 2, "maxLength": 3})
    assert one.check({"a": "é"}) == ()
    assert one.check({"a": "éé"}) == (Problem("/a", "length must be less or equal than 3"),)


@given(st.text(max_size=8), st.integers(0, 12), st.integers(0, 12))
def test_lengths_agree_with_utf8(value: str, least: int, most: int) -> None:
    """Whatever the text and the bounds."""
    size = len(value.encode(errors="surrogatepass"))
    if "\\ud" not in ascii(value):  # half a pair never comes out of JSON
        one = member({"minLength": least, "maxLength": most})
        assert (one.check({"a": value}, is_ascii=value.isascii()) == ()) == (least <= size <= most)


@given(st.integers(0, 40), st.integers(0, 30))
def test_base64_lengths_are_counted_as_asf_does(size: int, bound: int) -> None:
    """`length / 4 * 3`, in whole numbers."""
    rough = size // 4 * 3
    assert (size <= rules.most_base64(bound)) == (rough <= bound)
    assert (size >= rules.least_base64(bound)) == (rough >= bound)


def test_keywords_that_share_a_standard_one_all_count() -> None:
    """`minLength`, `minItems` and `minProperties` of an array; two patterns; two conditions."""
    node = {"minLength": 3, "minItems": 2, "minProperties": 1, "format": "phone", "pattern": "^2", "anyOf": [{}]}
    one = member({**node, "oneOf": [{"type": "string"}, {"type": "array"}]})
    assert words(one, {"a": [1]}) == (
        "'$.a' length must be larger or equal than 3; '$.a' length must be larger or equal than 2; "
    )
    assert words(one, {"a": "12345678901"}) == "'$.a' 12345678901 ,value does not match pattern: ^2; "
    assert words(one, {"a": 1}) == "'$.a' type must be string; '$.a' type should be array; "


# ── text ──────────────────────────────────────────────────────────────────────────────────────────

_FORMATS = {
    "date-time": ("2026-01-31T12:00:00Z", "2026-01-31"),
    "date": ("2026-01-31", "2026-02-31"),
    "time": ("12:00:00Z", "25:00:00Z"),
    "email": ("a@example.org", "a.example.org"),
    "idn-email": ("é@example.org", "é"),
    "hostname": ("a.example.org", "-a"),
    "idn-hostname": ("é.example.org", "-é"),
    "ipv4": ("127.0.0.1", "127.0.0.256"),
    "ipv6": ("::1", ":::1"),
    "uri": ("http://example.org/a", "/a"),
    "uri-reference": ("/a", "\\a"),
    "iri": ("http://example.org/é", "/é"),
    "iri-reference": ("/é", "\\é"),
    "uri-template": ("/a/{b}", "/a/{b"),
    "json-pointer": ("/a/0", "a"),
    "relative-json-pointer": ("1/a", "/a"),
    "regex": ("^a+$", "(a"),
    "phone": ("13800138000", "23800138000"),
}


@pytest.mark.parametrize("name", rules.FORMATS)
def test_formats_are_asserted(name: str) -> None:
    """Every one that ASF knows; on text only."""
    good, bad = _FORMATS[name]
    one = member({"format": name})
    assert words(one, {"a": good}) == ""
    assert words(one, {"a": bad}) == f"'$.a' invalid {rules.FORMATS[name]}; "
    assert words(one, {"a": 1}) == ""


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("b", "abc", "ac"),
        ("^[[:alpha:]_]+$", "a_B", "a1"),
        ("^[^[:digit:][:space:]]$", "a", "1"),
        (r"^[]\][:upper:]]$", "]", "a"),
        (r"^\[[:alp]:\]$", "[a:]", "[x:]"),
        ("^[:alpha:]$", "p", "z"),
        (r"^\d$", "1", "٣"),
        (r"\p{Han}", "中", "a"),
        (r"\Aa\z", "a", "ab"),
        ("(?i)^A(?P<n>b)$", "aB", "c"),
    ],
)
def test_patterns_are_searched_as_go_does(pattern: str, good: str, bad: str) -> None:
    """Unanchored; digits are those of ASCII, classes have names."""
    one = member({"pattern": pattern})
    assert words(one, {"a": good}) == ""
    assert words(one, {"a": bad}) == f"'$.a' {bad} ,value does not match pattern: {pattern}; "


def test_callers_text_is_not_said_back_whole() -> None:
    """An answer stays small."""
    assert (
        words(member({"pattern": "^b"}), {"a": "a" * 9000}) == f"'$.a' {'a' * 64} ,value does not match pattern: ^b; "
    )


def test_patterns_take_linear_time() -> None:
    """What would keep a backtracking engine busy for years is decided at once."""
    assert words(member({"pattern": "^(a+)+$"}), {"a": "a" * 5000 + "b"}).startswith("'$.a' aaa")


# ── references ────────────────────────────────────────────────────────────────────────────────────


def test_references_lead_within_the_document() -> None:
    """Also to what contains them; problems have their own places."""
    tree = {"properties": {"n": {"type": "string"}, "next": {"$ref": "#/$defs/tree"}}}
    one = compiled(
        {
            "properties": {"t": {"$ref": "#/$defs/tree"}, "w": {"$ref": "#/definitions/a~1b"}},
            "$defs": {"tree": tree},
            "definitions": {"a/b": {"enum": ["1"]}},
        }
    )
    assert words(one, {"t": {"next": {"next": {"n": "x"}}}, "w": 1}) == ""
    assert words(one, {"t": {"next": {"n": 1, "y": 1}}, "w": 2}) == (
        "'$.t.next.n' type must be string; '$.t.next.y' unknown field; '$.w' must be one of [1]; "
    )


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:9/x", "other.json", "#/$defs/nothing", "#/properties/a", "#name", "", "#/$defs", "#/$defs/x/y"],
)
def test_references_elsewhere_are_refused(reference: str) -> None:
    """Nothing is ever fetched."""
    with pytest.raises(UsageError, match="is no schema in this document") as caught:
        compiled({"properties": {"a": {"$ref": reference}}, "$defs": {"x": {}}})
    assert caught.value.where == "schemainput.properties.a.$ref"


_THROUGH_Y = {"properties": {"p": {"$ref": "#/$defs/y"}}, "if": {"$ref": "#/$defs/y"}}


@pytest.mark.parametrize(
    "root",
    [
        {"$ref": "#"},
        {"anyOf": [{"allOf": [{"$ref": "#"}]}]},
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"not": {"$ref": "#/$defs/x"}}}},
        {"items": {"contains": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"else": {}, "oneOf": [{"$ref": "#/$defs/x"}]}}},
        {"$ref": "#/$defs/x", "$defs": {"x": _THROUGH_Y, "y": {"$ref": "#/$defs/x"}}},
    ],
)
def test_reference_to_itself_is_refused(root: dict[str, object]) -> None:
    """It would say nothing."""
    with pytest.raises(UsageError, match="leads back to itself"):
        compiled(root)


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("node", "message", "where"),
    [
        ({"maxLenght": 1}, "keyword 'maxLenght' is unknown", "maxLenght"),
        ({"type": "strin"}, "type 'strin' is unknown", "type"),
        ({"format": "ipv5"}, "format 'ipv5' is unknown", "format"),
        ({"maxLength": -1}, "must be a whole number, not negative", "maxLength"),
        ({"minItems": True}, "must be a whole number, not negative", "minItems"),
        ({"maxB64DLen": 1.5}, "must be a whole number, not negative", "maxB64DLen"),
        ({"maximum": "5"}, "maximum must be a number", "maximum"),
        ({"exclusiveMaximum": True}, "must be a number", "exclusiveMaximum"),
        ({"multipleOf": 0}, "must be a number above 0", "multipleOf"),
        ({"uniqueItems": 1}, "must be true or false", "uniqueItems"),
        ({"enum": "x"}, "enum must be an array", "enum"),
        ({"items": []}, "items must be an object", "items"),
        ({"anyOf": []}, "must be a list of schemas, not empty", "anyOf"),
        ({"allOf": [{}, {"oneOf": 1}]}, "must be an array", "allOf.1.oneOf"),
        ({"pattern": "(?=a)"}, "'(?=a)' is no pattern", "pattern"),
        ({"pattern": r"(a)\1"}, "is no pattern", "pattern"),
        ({"pattern": r"\Qa\E"}, "is no pattern", "pattern"),
        ({"pattern": "[[:^alpha:]]"}, "is no pattern", "pattern"),
        ({"pattern": "[[:alfa:]]"}, "is no pattern", "pattern"),
        ({"patternProperties": {"(": {}}}, "'(' is no pattern", "patternProperties.("),
        ({"properties": {"x": {}}, "required": ["y"]}, "'y' is required, but not among the properties", "required"),
        ({"switch": 1}, "switch must be a string", "switch"),
        ({"switch": "x", "case": {"y": {"type": "z"}}}, "type 'z' is unknown", "case.y.type"),
        ({"dependencies": {"x": "y"}}, "must be an array", "dependencies.x"),
        ({"keyMatch": 1}, "keyMatch must be an object", "keyMatch"),
        ({"delete": "x"}, "delete must be an array", "delete"),
        ({"setVal": []}, "setVal must be an object", "setVal"),
        ({"setVal": {"x": ["$appendd"]}}, "function '$appendd' is unknown", "setVal.x"),
        ({"setVal": {"x..": 1}}, "'x..' is no path", "setVal.x.."),
        ({"setVal": {"": 1}}, "must be a path", "setVal."),
        ({"properties": {"x": {"formatVal": "strin"}}}, "formatVal 'strin' is unknown", "properties.x.formatVal"),
        ({"properties": {"x": {"replaceKey": 1}}}, "replaceKey must be a string", "properties.x.replaceKey"),
        ({"not": {"delete": 1}}, "delete must be an array", "not.delete"),
    ],
)
def test_bad_schema_is_refused_by_name_and_place(node: dict[str, object], message: str, where: str) -> None:
    """Whoever wrote it by hand learns where to look."""
    with pytest.raises(UsageError) as caught:
        member(node)
    assert message in caught.value.message
    assert caught.value.where == f"schemainput.properties.a.{where}"
    assert caught.value.help


@pytest.mark.parametrize(
    ("node", "near"),
    [({"maxLenght": 1}, "maxLength"), ({"type": "strin"}, "string"), ({"setVal": {"x": ["$appendd"]}}, "$append")],
)
def test_refusal_offers_the_nearest_name(node: dict[str, object], near: str) -> None:
    """Most unknown names are misspelt ones."""
    with pytest.raises(UsageError) as caught:
        member(node)
    assert caught.value.help.startswith(f"did you mean {near!r}? known are ")


@pytest.mark.parametrize("depth", [300, 100_000])
def test_document_nested_too_deeply_is_refused(depth: int) -> None:
    """Whether it is the validator's limit or the interpreter's."""
    node: dict[str, object] = {}
    for _ in range(depth):
        node = {"not": node}
    with pytest.raises(UsageError, match=r"nested too deeply|does not compile"):
        compiled(node)


@pytest.mark.parametrize("node", [{"enum": ["\ud800"]}, {"properties": {"\ud800": {}}}, {"pattern": "\ud800"}])
def test_document_that_is_no_unicode_is_refused(node: dict[str, object]) -> None:
    """JSON can say half a surrogate pair; nobody can send one."""
    with pytest.raises(UsageError):
        compiled(node)


# ── bounds of what is said ────────────────────────────────────────────────────────────────────────


def test_a_million_errors_are_not_all_told() -> None:
    """The answer stays small, and so does each name in it."""
    problems = compiled({"properties": {}}).check({f"{number}{'x' * 1000}": 0 for number in range(1000)})
    assert len(problems) == faults.MOST_PROBLEMS
    assert max(len(problem.pointer) for problem in problems) <= 65


def test_deep_nesting_is_told_as_such() -> None:
    """The validator has a limit of its own."""
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    assert words(member({"type": "string"}), {"a": deep}) == "'$' is nested too deeply; "


# ── documents that are damaged ────────────────────────────────────────────────────────────────────


class _Request:
    image = ImageBodyField("image")
    word = StringParamField("word", maxLength=8)
    count = IntegerParamField("count")


class _Response:
    accept1 = JsonBodyField("boxes")


class _Wrapper:
    serviceId = "t17"
    requestCls = _Request()
    responseCls = _Response()


EVERY = {
    "meta": {"serviceId": "s", "s": {"input": {"i": "image"}, "accept": {"o": {"dataType": "text"}}}},
    "schemainput": {
        "properties": {
            "a": {"type": "string|null", "pattern": "^a", "format": "date", "formatVal": "string", "defaultVal": ""},
            "b": {"type": ["integer"], "minimum": 1, "multipleOf": 2, "enum": [1, "2", None], "default": 2},
            "c": {"items": {"$ref": "#/$defs/x"}, "minItems": 1, "uniqueItems": True, "contains": {}},
            "payload": {"properties": {"i": {"properties": {"image": {"maxB64DLen": 9, "minLength": 1}}}}},
        },
        "anyOf": [{"required": ["a"]}, {"not": {"error": "x"}}],
        "switch": "a",
        "case": {"1": {"delete": ["c"]}},
        "default": {"setVal": {"d": ["$append", "${a}", 1]}, "keyMatch": {"a": 1}},
        "patternProperties": {"^x": {"replaceKey": "y"}},
        "if": {"children": {"b": {"const": 1}}},
        "then": {"dependencies": {"a": ["b"]}},
        "$defs": {"x": {"additionalProperties": True, "maxProperties": 3}},
    },
    "schemaoutput": {"properties": {"payload": {"properties": {"o": {"properties": {"n": {"type": "number"}}}}}}},
}
DOCUMENTS = [json.dumps(one, separators=(",", ":")).encode() for one in (EVERY, document.build(_Wrapper, body_limit=9))]


def _compiles_or_is_refused(raw: bytes) -> bool:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    if isinstance(parsed, dict):
        try:
            schema.compile(parsed, body_limit=LIMIT)
        except UsageError as error:
            assert error.where  # noqa: PT017  # it is either this or a schema
    return True


def test_every_byte_flipped_and_cut_t17() -> None:
    """T17: whatever one byte becomes, a document compiles or is refused with a place."""
    raw = DOCUMENTS[0]
    assert _compiles_or_is_refused(raw)
    tried = sum(
        _compiles_or_is_refused(raw[:place] + bytes([raw[place] ^ flip]) + raw[place + 1 :])
        for place in range(len(raw))
        for flip in (0x01, 0x20)
    )
    assert tried > len(raw)
    assert not any(_compiles_or_is_refused(raw[:place]) for place in range(len(raw)))


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["#", "a|b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(dialect.KEYWORDS)), inner),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(dialect.KEYWORDS)), _JSON, max_size=5))
def test_any_values_of_keywords_compile_or_are_refused(root: dict[str, object]) -> None:
    """No keyword trusts what it is given."""
    try:
        compiled(root)
    except UsageError as error:
        assert error.where  # noqa: PT017  # it is either this or a schema


def test_order_does_not_depend_on_the_request() -> None:
    """The same mistakes in other order are told alike."""
    one = compiled({"properties": {name: {"type": "string"} for name in "dbca"}, "required": ["d"]})
    told = [words(one, dict.fromkeys(names, 1)) for names in ("abcd", "dcba", "bdac")]
    assert all(before == after for before, after in pairwise(told))
    assert told[0].index("$.d") < told[0].index("$.b") < told[0].index("$.c") < told[0].index("$.a")
