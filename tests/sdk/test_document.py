"""Classes into a schema document (http-api.md, appendix A), and what its validation then takes."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from athena_serving.errors import UsageError
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
from athena_serving.sdk.fields import Field
from athena_serving.wire import envelope, schema

LIMIT = 1 << 20


class OcrRequest:
    """Inputs and parameters of ASF's demo."""

    category = StringParamField("category", enums=["ai_category"], required=True)
    application_mode = StringParamField("application_mode", enums=["common_gpu"], required=True)
    gpu_id = StringParamField("gpu_id", enums=["first"], required=True)
    gpu_type = StringParamField("gpu_type", enums=["T4G16"], required=True)
    data = ImageBodyField("data", path="missing.jpg")


class OcrResponse:
    """Its output."""

    accept1 = JsonBodyField("boxes")


class Ocr(WrapperBase):
    """The service of ASF's demo."""

    serviceId = "mmocr"
    version = "v1.0"
    requestCls: object = OcrRequest()
    responseCls = OcrResponse()


class KitchenRequest:
    """One of each."""

    text = StringBodyField("text", encoding="latin1")
    sound = AudioBodyField("sound")
    hint = JsonBodyField("hint", {"a": 1})
    word = StringParamField("word", 1, 8, description="a word")
    count = IntegerParamField("count", 1, 9, value=2)
    ratio = NumberParamField("ratio", 0.0, 1.0, value=0.5)
    loud = BooleanParamField("loud", default=True)


class KitchenResponse:
    """Two outputs."""

    accept1 = StringBodyField("said")
    accept2 = ImageBodyField("drawn", encoding="avif")


class Kitchen(WrapperBase):
    """A service with one field of each kind."""

    serviceId = "kitchen"
    requestCls = KitchenRequest()
    responseCls = KitchenResponse()


def _at(node: object, *path: str) -> object:
    for step in path:
        assert isinstance(node, Mapping)
        node = node[step]
    return node


def _demo(**header: object) -> dict[str, object]:
    """The request of ASF's demo."""
    return {
        "header": {
            "app_id": "123456",
            "uid": "39769795890",
            "did": "SR082321940000200",
            "imei": "8664020318693660",
            "imsi": "4600264952729100",
            "mac": "6c:92:bf:65:c6:14",
            "net_type": "wifi",
            "net_isp": "CMCC",
            "status": 3,
            "request_id": None,
            **header,
        },
        "parameter": {
            "mmocr": {
                "category": "ai_category",
                "application_mode": "common_gpu",
                "gpu_id": "first",
                "gpu_type": "T4G16",
                "boxes": {"encoding": "utf8", "compress": "raw", "format": "json"},
            }
        },
        "payload": {"data": {"encoding": "jpg", "image": base64.b64encode(b"IMG").decode(), "status": 3}},
    }


def test_document_of_the_demo_takes_the_demo_request() -> None:
    """The request of ASF's demo validates, nulls and all."""
    compiled = schema.compile(document.build(Ocr, body_limit=LIMIT), body_limit=LIMIT)
    request = envelope.decode(json.dumps(_demo()).encode(), compiled)
    assert [piece.data for piece in request.pieces] == [b"IMG"]


def test_document_survives_json() -> None:
    """It travels from worker to door as JSON."""
    built = document.build(Kitchen, body_limit=LIMIT)
    assert json.loads(json.dumps(built)) == built


def test_meta_has_the_reference_shape() -> None:
    """Keys of ASF's shipped reference schema; the demo's route is there whatever the version says."""
    meta = document.build(Ocr, body_limit=LIMIT)["meta"]
    assert _at(meta, "service") == ["mmocr"]
    assert _at(meta, "route") == ["/v1/private/mmocr", "/v1.0/private/mmocr"]
    assert _at(meta, "mmocr") == {
        "input": {"data": {"dataType": "image"}},
        "accept": {"boxes": {"dataType": "text"}},
    }


def test_name_and_version_can_be_given() -> None:
    """Settings win over the class."""
    meta = document.build(Ocr, name="reader", version="v1", body_limit=LIMIT)["meta"]
    assert (_at(meta, "serviceId"), _at(meta, "route")) == ("reader", "/v1/private/reader")


def test_fields_become_typed_parameters() -> None:
    """Each kind of parameter has its type, bounds and words."""
    built = document.build(Kitchen, body_limit=LIMIT)
    members = _at(built, "schemainput", "properties", "parameter", "properties", "kitchen", "properties")
    assert _at(members, "word") == {"type": "string", "minLength": 1, "maxLength": 8, "description": "a word"}
    assert _at(members, "count") == {"type": "integer", "minimum": 1, "maximum": 9}
    assert _at(members, "ratio") == {"type": "number", "minimum": 0.0, "maximum": 1.0}
    assert _at(members, "loud") == {"type": "boolean", "defaultVal": True}


def test_required_parameters_are_listed() -> None:
    """Only those that say so."""
    built = document.build(Ocr, body_limit=LIMIT)
    block = _at(built, "schemainput", "properties", "parameter", "properties", "mmocr")
    assert _at(block, "required") == ["category", "application_mode", "gpu_id", "gpu_type"]
    assert "required" not in json.dumps(
        _at(document.build(Kitchen, body_limit=LIMIT), "schemainput", "properties", "parameter")
    )


def test_own_encoding_of_a_field_is_allowed() -> None:
    """The default of a field need not be in ASF's list."""
    built = document.build(Kitchen, body_limit=LIMIT)
    text = _at(built, "schemainput", "properties", "payload", "properties", "text", "properties")
    assert _at(text, "encoding", "enum") == ["utf8", "gb2312", "gbk", "latin1"]
    drawn = _at(built, "schemainput", "properties", "parameter", "properties", "kitchen", "properties", "drawn")
    assert "avif" in json.dumps(_at(drawn, "properties", "encoding", "enum"))


def test_data_field_is_bounded_by_the_body() -> None:
    """Not by ASF's 10 MiB."""
    built = document.build(Ocr, body_limit=LIMIT)
    data = _at(built, "schemainput", "properties", "payload", "properties", "data", "properties", "image")
    assert data == {"type": "string", "minLength": 1, "maxLength": LIMIT}


@pytest.mark.parametrize(
    "header",
    [{"appid": "1", "app_id": None}, {"appid": "1"}, {"status": None}, {"device.imei": "x", "patch_id": ["a"]}],
)
def test_header_takes_either_app_id_and_all_known_names(header: dict[str, object]) -> None:
    """The whole table of http-api.md 2.3 is open."""
    compiled = schema.compile(document.build(Ocr, body_limit=LIMIT), body_limit=LIMIT)
    assert compiled.check(_demo(**header)) == ()


def test_status_may_be_left_out() -> None:
    """It is filled in as 3."""
    compiled = schema.compile(document.build(Ocr, body_limit=LIMIT), body_limit=LIMIT)
    request = envelope.decode(b'{"header":{"app_id":"1"}}', compiled)
    assert request.headers["status"] == "3"


@pytest.mark.parametrize("block", [{"data_type": "text"}, {"status": 3, "seq": 0}])
def test_blocks_may_say_type_status_and_place(block: dict[str, object]) -> None:
    """Clients of ASF's loader send them in accept and payload blocks."""
    compiled = schema.compile(document.build(Ocr, body_limit=LIMIT), body_limit=LIMIT)
    request = {"parameter": {"mmocr": {"boxes": block}}, "payload": {"data": block}}
    problems = [p for p in compiled.check(request) if "boxes" in p.pointer or p.pointer.startswith("/payload")]
    assert problems == []


def test_inherited_fields_count() -> None:
    """Classes and their bases, of the wrapper as of its request; the nearest wins."""

    class Request(OcrRequest):
        data = StringBodyField("words")  # type: ignore[assignment]  # wrapper authors do so

    class Child(Ocr):
        requestCls: object = Request()

    declared = document.fields(Child)
    assert [field.key for field in declared.inputs] == ["words"]
    assert len(declared.params) == 4
    assert [field.key for field in declared.outputs] == ["boxes"]


def test_fields_of_an_instance_count() -> None:
    """Also those that its constructor makes."""

    class Request:
        def __init__(self) -> None:
            self.text = StringBodyField("text")

    class Wrapper(WrapperBase):
        serviceId = "w"
        requestCls = Request()

    assert [field.key for field in document.fields(Wrapper).inputs] == ["text"]


def test_class_without_fields_has_a_document() -> None:
    """A plain class will do."""

    class Wrapper:
        serviceId = "bare"

    compiled = schema.compile(document.build(Wrapper, body_limit=LIMIT), body_limit=LIMIT)
    assert (compiled.inputs, compiled.outputs, compiled.version) == ({}, {}, "v1")


@pytest.mark.parametrize("name", ["", "a/b", "a b"])
def test_unusable_name_is_refused(name: str) -> None:
    """A name is part of a path."""

    class Wrapper:
        serviceId = name

    with pytest.raises(UsageError, match=r"class .*Wrapper"):
        document.build(Wrapper, body_limit=LIMIT)


def test_of_two_fields_with_one_key_the_last_counts(caplog: pytest.LogCaptureFixture) -> None:
    """With a warning, as ASF had it without; an output, which shares its object with parameters, hides one."""

    class Request:
        first = StringParamField("mode", required=True)
        second = IntegerParamField("mode", maximum=3)
        boxes = StringParamField("boxes", required=True)

    class Wrapper(Ocr):
        requestCls = Request()

    built = document.build(Wrapper, body_limit=LIMIT)
    block = _at(built, "schemainput", "properties", "parameter", "properties", "mmocr")
    assert _at(block, "properties", "mode", "maximum") == 3
    assert _at(block, "properties", "boxes", "type") == "object"
    assert isinstance(block, dict)
    assert "required" not in block
    assert [record.getMessage().partition("two fields have the key ")[2] for record in caplog.records] == [
        "'mode': the last counts",
        "'boxes': the last counts",
    ]
    schema.compile(built, body_limit=LIMIT)


def test_test_values_make_a_call() -> None:
    """Strings for parameters, bytes for inputs."""

    class Request:
        text = StringBodyField("text", b"hello")
        loud = BooleanParamField("loud", default=True)
        count = IntegerParamField("count", value=2)

    class Wrapper(WrapperBase):
        requestCls = Request()

    assert document.test_values(Wrapper) == ({"loud": "true", "count": "2"}, [("text", 0, b"hello")])


def test_missing_test_value_means_no_call() -> None:
    """A picture that is not there, or nothing to send at all."""
    assert document.test_values(Ocr) is None
    assert document.test_values(WrapperBase) is None


def test_test_picture_is_found_beside_the_wrapper() -> None:
    """Wherever the service is started from."""

    class Request:
        data = ImageBodyField("data", path=Path(__file__).name)

    class Wrapper(WrapperBase):
        requestCls = Request()

    values = document.test_values(Wrapper)
    assert values is not None
    assert values[1] == [("data", 2, Path(__file__).read_bytes())]


KEYS = some.from_regex(r"[A-Za-z_][\w.$-]{0,8}", fullmatch=True)
WORDS = some.text(max_size=8)
SCALARS = some.one_of(WORDS, some.integers(), some.booleans(), some.binary(max_size=4), some.none())
BOUNDS = some.none() | some.integers(-(2**60), 2**60) | some.floats(allow_nan=False)
NUMBERS = BOUNDS | BOUNDS.map(str).filter(lambda text: text != "None")
LENGTHS = some.none() | some.integers(-1, 2**40) | some.integers(0, 99).map(float) | some.integers(0, 99).map(str)
FIELDS = some.one_of(
    some.builds(StringBodyField, KEYS, WORDS, encoding=WORDS, format=WORDS, compress=WORDS),
    some.builds(JsonBodyField, KEYS),
    some.builds(AudioBodyField, KEYS, encoding=WORDS),
    some.builds(ImageBodyField, KEYS, encoding=WORDS),
    some.builds(
        StringParamField, KEYS, LENGTHS, LENGTHS, some.lists(SCALARS, max_size=4), some.booleans(), WORDS, WORDS
    ),
    some.builds(NumberParamField, KEYS, NUMBERS, NUMBERS, some.lists(SCALARS, max_size=4), some.booleans()),
    some.builds(IntegerParamField, KEYS, NUMBERS, NUMBERS, some.lists(SCALARS, max_size=4), some.booleans()),
    some.builds(BooleanParamField, KEYS, WORDS, some.booleans(), some.booleans()),
)


@given(
    asked=some.lists(FIELDS, max_size=6, unique_by=lambda field: field.key),
    answered=some.lists(FIELDS, max_size=3, unique_by=lambda field: field.key),
)
def test_whatever_fields_say_compiles(asked: list[Field], answered: list[Field]) -> None:
    """No field that can be made stops the start, but for two of one key."""
    taken = {field.key for field in asked}
    holders = (
        type("Request", (), {f"field{place}": field for place, field in enumerate(asked)}),
        type("Answer", (), {f"accept{place}": one for place, one in enumerate(answered) if one.key not in taken}),
    )
    kind = type("Wrapper", (WrapperBase,), {"serviceId": "any", "requestCls": holders[0], "responseCls": holders[1]})
    compiled = schema.compile(json.loads(document.text(kind)), body_limit=LIMIT)
    declared = document.fields(kind)
    assert compiled.inputs == {field.key: field.data_type for field in declared.inputs}
    assert compiled.outputs == {field.key: field.data_type for field in declared.outputs}
    assert json.loads(kind().schema_legacy())["meta"]["serviceId"] == "any"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (NumberParamField("p", maximum=float("nan")), "maximum of field 'p' must be a finite number"),
        (NumberParamField("p", maximum=10**400), "maximum of field 'p' must be a finite number"),
        (IntegerParamField("p", minimum="low"), "minimum of field 'p' must be a finite number"),  # type: ignore[arg-type]
        (StringParamField("p", maxLength=4.5), "maxLength of field 'p' must be a whole number"),  # type: ignore[arg-type]
        (StringParamField("p", enums=[["a"]]), "enum of field 'p' must be a list of"),  # type: ignore[list-item]
    ],
)
def test_rule_that_no_schema_can_hold_is_refused_by_name(field: Field, words: str) -> None:
    """Before anybody is served."""

    class Wrapper(WrapperBase):
        serviceId = "w"
        requestCls = type("Request", (), {"field": field})

    with pytest.raises(UsageError, match=words):
        document.text(Wrapper)
