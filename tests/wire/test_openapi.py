"""The OpenAPI document: it is well formed, and says exactly what the envelope takes and answers."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.specs.openapi.definitions import OPENAPI_31

from athena_serving.errors import AthenaError, OutputInvalid
from athena_serving.gateway import documents
from athena_serving.sdk import (
    AudioBodyField,
    BooleanParamField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    NumberParamField,
    StringBodyField,
    StringParamField,
    WrapperBase,
    document,
)
from athena_serving.wire import envelope, openapi, request_schema, samples, schema
from athena_serving.wire.messages import DataType, Expect, Piece, Reply
from athena_serving.wire.schema import Schema

GOLDEN = Path(__file__).parents[3] / "shared/golden/webgate"
WORDS = Path(documents.__file__).parent / "pages/words.js"
LIMIT = 1 << 20

Json = dict[str, Any]  # documents are looked at key by key: the edge


class Request:
    """A field of each kind."""

    text = StringBodyField(key="text")
    picture = ImageBodyField(key="picture")
    voice = AudioBodyField(key="voice")
    language = StringParamField(key="language", enums=["zh", "en", 1], required=True)
    note = StringParamField(key="note", minLength=2, maxLength=5, title="Note", description="In a <b>few</b> words.")
    size = IntegerParamField(key="size", minimum=1, maximum=9)
    ratio = NumberParamField(key="ratio", minimum=0.5, maximum=2)
    strict = BooleanParamField(key="strict", default=True)


class Response:
    """Outputs as JSON and as text."""

    boxes = JsonBodyField(key="boxes")
    caption = StringBodyField(key="caption")


class Rich(WrapperBase):
    """A wrapper that declares all that can be declared."""

    serviceId = "rich"
    requestCls = Request()
    responseCls = Response()


def _plain(node: object) -> Json:
    return cast("Json", json.loads(json.dumps(node)))


DOCUMENT = _plain(document.build(Rich, body_limit=LIMIT))


def _compiled(**parts: object) -> Schema:
    return schema.compile({"meta": {"serviceId": "s", "service": ["s"]}, **parts}, body_limit=LIMIT)


def _with_header(**node: object) -> Schema:
    return _compiled(schemainput={"type": "object", "properties": {"header": {"type": "object", **node}}})


def _built(*schemas: Schema) -> Json:
    return _plain(openapi.build(schemas, title="test", version="1", body_limit=LIMIT))


def _published(compiled: Schema) -> jsonschema_rs.Draft202012Validator:
    """A validator for requests, made of the document alone."""
    root = _plain(request_schema.build(compiled, at="#"))
    return jsonschema_rs.Draft202012Validator(root)


def _is_taken(compiled: Schema, request: object) -> bool:
    try:
        envelope.decode(json.dumps(request).encode(), compiled)
    except AthenaError:
        return False
    return True


RICH = schema.compile(DOCUMENT, body_limit=LIMIT)
SAMPLE = samples.request(RICH, request_schema.build(RICH, at="#"))
PUBLISHED = _published(RICH)
ANSWERS = jsonschema_rs.Draft202012Validator(_built(RICH)["components"]["schemas"]["rich.answer"])


# ── well formed ───────────────────────────────────────────────────────────────────────────────────


def _refs(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _refs(child)
    if isinstance(node, list):
        for child in node:
            yield from _refs(child)


def _follow(root: object, ref: str) -> object:
    for step in ref.removeprefix("#/").split("/"):
        assert isinstance(root, dict)
        root = root[step]
    return root


def test_document_is_openapi() -> None:
    """It holds against OpenAPI's own schema, and every reference leads somewhere."""
    built = _built(RICH, _compiled())
    assert [*jsonschema_rs.validator_for(OPENAPI_31).iter_errors(built)] == []
    for ref in _refs(built):
        assert _follow(built, ref)


def test_schemas_of_the_document_are_json_schema() -> None:
    """What stands in components can be compiled by itself."""
    for name, node in _built(RICH)["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({**node, "$schema": "https://json-schema.org/draft/2020-12/schema"}), name


def test_each_route_is_a_path() -> None:
    """The convention's path first, then the others; all share one operation under names of their own."""
    meta = {"serviceId": "s", "route": ["/v1/private/s", "/v2/{odd} one", "not-a-path", "/x/other"]}
    other = schema.compile({"meta": {"serviceId": "other"}}, body_limit=LIMIT)
    paths = _built(schema.compile({"meta": meta}, body_limit=LIMIT), other)["paths"]
    calls = [path for path, item in paths.items() if "post" in item]
    assert calls == ["/v1/private/s", "/v2/%7Bodd%7D%20one", "/v1/private/other"]  # /x/other leads to the other service
    names = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(names) == len(set(names))


def test_awkward_names_do_not_meet() -> None:
    """Two services whose names differ only in characters that OpenAPI forbids keep their own components."""
    built = _built(*(schema.compile({"meta": {"serviceId": name}}, body_limit=LIMIT) for name in ("a b", "a/b", "ü")))
    assert {"a_b.request", "a_b-2.request", "_.request"} <= built["components"]["schemas"].keys()
    assert [*jsonschema_rs.validator_for(OPENAPI_31).iter_errors(built)] == []


def test_sentences_have_their_chinese() -> None:
    """The page can say all that the document says in Chinese."""
    words = WORDS.read_text(encoding="utf-8")
    own = [operation["get"]["summary"] for operation in _built()["paths"].values()]
    sentences = [*openapi.RULES, *(fault.words for fault in openapi.FAULTS), *request_schema.HEADER_WORDS.values()]
    assert [one for one in [*sentences, *own] if f"{json.dumps(one)}:" not in words] == []


# ── requests ──────────────────────────────────────────────────────────────────────────────────────


def _places(node: object, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield place
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _places(child, (*place, key))


def _changed(place: tuple[str, ...], value: object, extra: str) -> object:
    """The sample with another value at a place, or without what is there, or with one member more."""
    request: Any = copy.deepcopy(SAMPLE)
    if not place:
        return value
    holder = request
    for step in place[:-1]:
        holder = holder[step]
    if value == "gone":
        del holder[place[-1]]
    elif extra and isinstance(holder[place[-1]], dict):
        holder[place[-1]][extra] = value
    else:
        holder[place[-1]] = value
    return request


NEAR = st.sampled_from(
    ["", "zh", "1", 1, 3, 3.0, 0, 9, 10, 0.5, 2, True, None, "AAAA", "AA==", "AA=", "=", "gone", "ab", "abcdef"]
)
ASCII = st.text(st.characters(max_codepoint=127), max_size=8)
FAR = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | ASCII,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ASCII, inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["", "", "app_id", "appid", "status", "zzz", "boxes", "rich", "encoding", "text", "seq"])


@given(st.sampled_from([*_places(SAMPLE)]), NEAR | FAR, NAMES)
def test_published_schema_is_what_the_envelope_takes(place: tuple[str, ...], value: object, extra: str) -> None:
    """A request that is changed somewhere is right by the document if, and only if, the envelope takes it.

    ASCII only: lengths count bytes, which JSON Schema cannot say.
    """
    request = _changed(place, value, extra)
    if request is None:  # which the envelope takes for {}
        request = {}
    assert PUBLISHED.is_valid(request) == _is_taken(RICH, request)


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        ({"app_id": "1"}, True),
        ({"appid": "1"}, True),
        ({"appid": "", "app_id": "1"}, True),
        ({"appid": "1", "app_id": None}, True),
        ({"app_id": ""}, False),
        ({"appid": None}, False),
        ({"app_id": "1" * 51}, False),
        ({"uid": "1"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_some_app_id_must_be_there(header: object, is_taken: bool) -> None:
    """One of the two, not empty and not null: what else the envelope refuses with 10313."""
    request = {"header": header, "parameter": {"rich": {"language": "zh"}}}
    assert _is_taken(RICH, request) == is_taken
    assert PUBLISHED.is_valid(request) == is_taken


@pytest.mark.parametrize(
    "node",
    [
        {"properties": {"app_id": {"type": "string"}}, "required": ["app_id"]},
        {"properties": {"appid": {"type": "string"}}},
        {"properties": {"app_id": {"type": "string", "defaultVal": "me"}}},
        {"properties": {"app_id": {"type": "number"}}},
        {"properties": {"app_id": {}, "x": {}}, "anyOf": [{"required": ["x"]}]},
        {"properties": {}, "additionalProperties": True},
        {"properties": {"uid": {"type": "string"}}},
        {},
    ],
)
@pytest.mark.parametrize("header", [{}, {"app_id": "1"}, {"appid": "1"}, {"app_id": 1, "x": 1}, {"app_id": ""}, None])
def test_app_id_follows_a_hand_written_header(node: dict[str, object], header: object) -> None:
    """Whatever a schema has for app ids, the document asks for what the envelope wants."""
    compiled = _with_header(**node)
    assert _published(compiled).is_valid({"header": header}) == _is_taken(compiled, {"header": header})


@given(st.text(st.sampled_from("Aa9+/=\r\n-_ \u00e9"), max_size=14))
def test_base64_is_what_the_envelope_decodes(text: str) -> None:
    """The pattern takes exactly what the envelope can decode."""
    try:
        envelope._from_base64(text, "data", "text")
        is_taken = True
    except AthenaError:
        is_taken = False
    assert jsonschema_rs.Draft202012Validator({"pattern": request_schema.BASE64}).is_valid(text) == is_taken


def test_data_field_says_its_bounds() -> None:
    """Base64, and how many bytes of it."""
    members = request_schema.build(RICH, at="#")["properties"]
    picture = cast("Json", members)["payload"]["properties"]["picture"]["properties"]["image"]
    assert (picture["contentEncoding"], picture["minLength"], picture["maxLength"]) == ("base64", 1, LIMIT)


def test_data_field_keeps_its_own_pattern() -> None:
    """A pattern of the author's holds beside base64's."""
    payload = {"data": {"type": "object", "properties": {"text": {"type": "string", "description": "Short."}}}}
    asked = {"type": "object", "properties": {"payload": {"type": "object", "properties": payload}}}
    compiled = _compiled(meta={"serviceId": "s", "service": ["s"], "s": {"input": {"data": "text"}}}, schemainput=asked)
    text = cast("Json", request_schema.build(compiled, at="#"))["properties"]["payload"]["properties"]["data"]
    assert text["properties"]["text"]["description"] == "Short."
    assert text["properties"]["text"]["pattern"] == request_schema.BASE64


def test_authors_words_and_defaults_are_in_the_document() -> None:
    """Titles and descriptions as they were written, `defaultVal` as `default`; other types' forms are left out."""
    parameter = cast("Json", request_schema.build(RICH, at="#"))["properties"]["parameter"]["properties"]["rich"]
    members = parameter["properties"]
    assert members["note"] == {
        "type": ["string", "null"],
        "minLength": 2,
        "maxLength": 5,
        "title": "Note",
        "description": "In a <b>few</b> words.",
    }
    assert members["strict"]["default"] is True
    assert members["language"]["enum"] == ["zh", "en", "1", None]
    assert parameter["required"] == ["language"]


DIALECT: Json = {
    "type": "object",
    "properties": {
        "header": {"$ref": "#/definitions/header"},
        "parameter": {
            "type": "object",
            "properties": {
                "s": {
                    "type": "object",
                    "additionalProperties": True,
                    "properties": {
                        "kind": {"type": "string|integer"},
                        "mail": {"type": "string", "format": "email"},
                        "phone": {"format": "phone"},
                        "word": {"type": "string", "pattern": "^[a-z]+$", "not": {"const": "no"}},
                        "step": {"type": "number", "multipleOf": 2, "exclusiveMinimum": 0},
                        "list": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True},
                        "data": {"type": "string", "maxB64DLen": 3},
                    },
                    "dependencies": {"mail": ["word"]},
                    "switch": "kind",
                    "case": {"1": {"required": ["word"]}, "b": {"children": {"step": {"maximum": 4}}}},
                    "default": {"keyMatch": {"other": 1}},
                    "if": {"required": ["list"]},
                    "then": {"minProperties": 3},
                }
            },
        },
    },
    "definitions": {"header": {"type": "object", "properties": {"app_id": {"type": "string", "minLength": 1}}}},
}
BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["1", 1, "b", "c", None, True]),
        "mail": st.sampled_from(["a@example.org", "a", None]),
        "phone": st.sampled_from(["13800138000", "23800138000", 1]),
        "word": st.sampled_from(["no", "yes", "YES", None]),
        "step": st.sampled_from([0, 2, 3, 4, 6, 2.0, "2"]),
        "list": st.lists(st.integers(0, 1), max_size=3),
        "data": st.sampled_from(["AAAA", "AAAAAAAA", ""]),
        "other": st.sampled_from([1, "1", 2]),
    },
)


@given(BLOCKS)
def test_asfs_dialect_is_published_as_it_is_checked(block: Json) -> None:
    """A hand-written schema of ASF's own keywords says the same in the document as in validation."""
    compiled = _compiled(schemainput=DIALECT)
    request = {"header": {"app_id": "1"}, "parameter": {"s": block}}
    built = _built(compiled)
    root = {"$ref": "#/components/schemas/s.request", "components": built["components"]}
    published = jsonschema_rs.Draft202012Validator(root, validate_formats=True)
    assert published.is_valid(request) == _is_taken(compiled, request)


# ── examples ──────────────────────────────────────────────────────────────────────────────────────


def test_example_has_every_parameter_and_input() -> None:
    """The example is full, right by the document, and taken."""
    assert SAMPLE is not None
    parameter, payload = cast("Json", SAMPLE["parameter"]), cast("Json", SAMPLE["payload"])
    assert parameter["rich"].keys() == {"language", "note", "size", "ratio", "strict"}
    assert payload.keys() == {"text", "picture", "voice"}
    assert PUBLISHED.is_valid(SAMPLE)
    assert _is_taken(RICH, SAMPLE)


@pytest.mark.parametrize("name", ["schema_svcName.json", "schema_svcV2.json"])
def test_recorded_schemas_get_an_example(name: str) -> None:
    """ASF's own documents are shown with a request that they take."""
    path = GOLDEN / name
    if not path.exists():
        pytest.skip("there are no recorded schemas beside this repository")
    compiled = schema.compile(json.loads(path.read_text(encoding="utf-8")), body_limit=LIMIT)
    sample = samples.request(compiled, request_schema.build(compiled, at="#"))
    assert _published(compiled).is_valid(sample)
    assert _is_taken(compiled, sample)


@pytest.mark.parametrize(
    "node",
    [
        {"type": "string", "minLength": 100_000},
        {"type": "array", "minItems": 10**12},
        {"type": "number", "multipleOf": 5e-324},
        {"type": "string", "pattern": "^never$"},
    ],
)
def test_no_example_is_better_than_a_wrong_one(node: Json) -> None:
    """A value that cannot be made up leaves the example out."""
    compiled = _with_header(properties={"app_id": {"type": "string"}, "x": node}, required=["x"])
    assert samples.request(compiled, request_schema.build(compiled, at="#")) is None
    assert (
        "example"
        not in _built(compiled)["paths"]["/v1/private/s"]["post"]["requestBody"]["content"]["application/json"]
    )


# ── answers ───────────────────────────────────────────────────────────────────────────────────────


@given(
    st.sampled_from([b"", b"hello", b"[1]", b"{", b"\xff", b'"x"']),
    st.dictionaries(
        st.sampled_from(["format", "encoding", "status", "seq", "own"]), st.sampled_from(["json", "1", ""])
    ),
    st.sampled_from(["boxes", "caption"]),
)
def test_answers_are_as_published(data: bytes, desc: dict[str, str], key: str) -> None:
    """Whatever user code answers and callers wish for, the answer holds against the document."""
    expects = [Expect(name, kind, RICH.defaults[name]) for name, kind in RICH.outputs.items()]
    for wishes in (expects, [Expect(key, DataType.TEXT, desc)]):
        body = envelope.encode(samples.SID, Reply([Piece(key, DataType.TEXT, desc=desc, data=data)]), wishes, RICH)
        ANSWERS.validate(json.loads(body))


def test_example_answer_is_as_published() -> None:
    """The example shows JSON for an output that is JSON, and base64 for text."""
    answer = _plain(samples.answer(RICH))
    ANSWERS.validate(answer)
    assert answer["payload"]["boxes"]["text"] == {"example": True}
    assert answer["payload"]["caption"]["text"] == "aGVsbG8="


def test_header_of_the_answer_says_what_is_said_again() -> None:
    """With `build_header` the request's own members come back, typed as the schema has it."""
    output = {"properties": {"header": {"properties": {"task": {"type": "integer"}, "sid": {"type": "string"}}}}}
    compiled = _compiled(
        meta={"serviceId": "s", "build_header": True}, schemaoutput=output, schemainput={"type": "object"}
    )
    header = _built(compiled)["components"]["schemas"]["s.answer"]["properties"]["header"]["properties"]
    assert header["task"]["type"] == ["integer", "string"]
    assert header["code"]["const"] == 0


def test_output_that_is_not_declared_is_against_the_document() -> None:
    """What the envelope refuses to answer, the document does not have either."""
    with pytest.raises(OutputInvalid):
        envelope.encode(samples.SID, Reply([Piece("other")]), [], RICH)
    assert not ANSWERS.is_valid({**samples.answer(RICH), "payload": {"other": {}}})


# ── failures ──────────────────────────────────────────────────────────────────────────────────────


def _responses(**meta: object) -> Json:
    built = _built(schema.compile({"meta": {"serviceId": "s", **meta}}, body_limit=LIMIT))
    responses = built["paths"]["/v1/private/s"]["post"]["responses"]
    return {status: _follow(built, one["$ref"]) if "$ref" in one else one for status, one in responses.items()}


def _codes(response: Json) -> list[int]:
    return [one["code"] for one in response["x-codes"]]


def test_each_failure_has_its_status_and_codes() -> None:
    """The statuses of errors.py, each with its codes; those that may be tried again say when."""
    responses = _responses()
    assert [*responses] == ["200", "400", "408", "413", "429", "431", "500", "501", "502", "503", "504"]
    assert _codes(responses["400"]) == [10163, 10313]
    assert _codes(responses["503"]) == [10110, 10109]
    assert [status for status, one in responses.items() if "Retry-After" in one["headers"]] == ["429", "503"]


def test_statuses_that_a_service_chose_are_in_the_document() -> None:
    """`codeMap` moves a code, known or not; what the HTTP engine answers by itself stays."""
    responses = _responses(codeMap={"10909": 430, "777": 499, "10163": 422})
    assert _codes(responses["430"]) == [10909]
    assert _codes(responses["499"]) == [777]
    assert _codes(responses["422"]) == [10163, 10163]
    assert _codes(responses["431"]) == [10163]
    assert re.search("Content-Type", responses["422"]["description"])
    assert 10163 not in _codes(responses["400"])
