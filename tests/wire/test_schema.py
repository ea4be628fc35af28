"""The schema document: what a service is, and how its data are treated (http-api.md, chapter 5)."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.errors import UsageError
from athena_serving.wire import meta, schema
from athena_serving.wire.schema import Schema
from tests.wire.documents import LIMIT, compiled

GOLDEN = Path(__file__).parents[3] / "shared/golden"


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
    one = compiled(
        {},
        version="v2",
        sub="iat",
        service=["s", "t"],
        s={"input": {"i": {"dataType": "image"}, "w": "weird"}, "accept": {"o": "video"}},
        t={"input": {"t": "text"}},
        route=["/a", "/b"],
        codeMap={"10907": 430, "1": "599", "2": 600, "3": 100, "x": 400, "4": "no"},
    )
    assert (one.service, one.version, one.sub, one.names) == ("s", "v2", "iat", ("s", "t"))
    assert (one.inputs, one.outputs) == ({"i": 2, "w": 1, "t": 0}, {"o": 3})
    assert one.routes == ("/a", "/b")
    assert one.code_map == {10907: 430, 1: 599}
    assert compiled({}, route="/a").routes == ("/a",)
    assert compiled({}).routes == ()


@pytest.mark.parametrize(
    ("hosts", "names"),
    [("api.xf-yun.com", ("api.xf-yun.com",)), (["a", "b"], ("a", "b")), ("", ()), ([], ()), (None, ())],
)
def test_hosts_are_one_or_many(hosts: object, names: tuple[str, ...]) -> None:
    """As routes are."""
    assert compiled({}, hosts=hosts).hosts == names


def test_what_is_routed_elsewhere_is_no_obstacle() -> None:
    """Keys of categories and clouds are read by others, or by nobody."""
    one = compiled({}, type="category", subRoute=[{"subServiceId": "x"}], routeKey=[], cloudId="0", webgate_type=0)
    assert one.service == "s"


def test_document_is_kept_and_what_it_was_compiled_to() -> None:
    """For those who publish it; the lengths of data are apart."""
    document = {"meta": {"serviceId": "s", "s": {"input": {"i": "image"}}}, "schemainput": _root({"maxLength": 5})}
    one = schema.compile(document, body_limit=LIMIT)
    assert one.document is document
    block = {"type": ["object", "null"], "properties": {"image": {}}, "additionalProperties": False}
    payload = {"type": ["object", "null"], "properties": {"i": block}, "additionalProperties": False}
    assert one.standard == {
        "type": ["object", "null"],
        "properties": {"payload": payload},
        "additionalProperties": False,
    }


def test_session_token_is_not_offered(caplog: pytest.LogCaptureFixture) -> None:
    """A schema that asks for it is served, with a word in the log."""
    assert compiled({}, enable_client_session="true").service == "s"
    assert "enable_client_session is ignored" in caplog.text


def test_stream_without_a_type_is_refused() -> None:
    """ASF refuses it as well."""
    with pytest.raises(UsageError, match="a data type must be a name"):
        compiled({}, service=["s"], s={"input": {"i": 5}})


def _root(data: Mapping[str, object], **stream: object) -> dict[str, object]:
    node = {"type": "object", "properties": {"image": data}, **stream}
    return {"type": "object", "properties": {"payload": {"type": "object", "properties": {"i": node}}}}


def _with_stream(data: Mapping[str, object], **stream: object) -> Schema:
    return compiled(_root(data, **stream), s={"input": {"i": "image"}})


@pytest.mark.parametrize(
    ("bounds", "lengths"),
    [
        ({}, (0, LIMIT)),
        ({"minLength": 1, "maxLength": 5}, (1, 5)),
        ({"minB64DLen": 4, "maxB64DLen": 9}, (8, 15)),
        ({"minB64DLen": 4, "minLength": 9, "maxB64DLen": 9, "maxLength": 12}, (9, 12)),
    ],
)
def test_data_fields_are_measured_elsewhere(bounds: dict[str, object], lengths: tuple[int, int]) -> None:
    """Their lengths are taken out of the check; without a bound the body's counts."""
    one = _with_stream({"type": "string", **bounds})
    assert one.lengths == {"i": lengths}
    assert one.is_liftable
    assert one.check({"payload": {"i": {"image": "x" * 99}}}) == ()


@pytest.mark.parametrize("keyword", ["minLength", "maxLength", "minB64DLen", "maxB64DLen"])
def test_bad_length_of_data_is_refused_with_its_place(keyword: str) -> None:
    """As anywhere else."""
    with pytest.raises(UsageError) as caught:
        _with_stream({keyword: "5"})
    place = "schemainput.properties.payload.properties.i.properties.image"
    assert caught.value.where == f"{place}.{keyword}"


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
    one = compiled({"properties": {"parameter": parameter}}, s={"accept": {"o": "text", "p": "text"}})
    assert one.defaults == {"o": {"encoding": "utf8", "rate": "8000", "format": "json"}, "p": {}}


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
    assert meta.text(value) == form


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_string_form_of_a_number_is_exact_and_plain(value: float) -> None:
    """No exponent, and it reads back as the same number."""
    form = meta.text(value)
    assert "e" not in form.lower()
    assert float(form) == value


_RECORDED = sorted([*GOLDEN.glob("webgate/schema_*.json"), *GOLDEN.glob("schema/*.json")])


@pytest.mark.skipif(not _RECORDED, reason="no recorded schemas beside the repository")
@pytest.mark.parametrize("path", _RECORDED, ids=lambda path: path.stem)
def test_recorded_schema_compiles(path: Path) -> None:
    """Documents that ASF's own SDK generated."""
    one = schema.compile(json.loads(path.read_bytes()), body_limit=LIMIT)
    if path.stem == "schema_v2_sdk0.16":  # it lost the fields
        assert (one.inputs, one.outputs) == ({}, {})
        return
    assert (one.inputs, one.outputs) == ({"text_in": 0, "img_in": 2}, {"result": 0})
    assert one.is_liftable


@pytest.mark.skipif(not _RECORDED, reason="no recorded schemas beside the repository")
def test_recorded_schema_of_the_gateway_has_its_defaults_and_types() -> None:
    """The one of the public dialect."""
    one = schema.compile(json.loads((GOLDEN / "webgate/schema_svcV2.json").read_bytes()), body_limit=LIMIT)
    assert one.defaults == {"result": {"encoding": "utf8", "compress": "raw", "format": "plain"}}
    assert one.casts["result"]["status"] == "integer"


@pytest.mark.parametrize("sub", ["a\nb", "讯飞", "s" * 17])
def test_business_type_must_fit_into_a_header(sub: str) -> None:
    """Sids begin with it, and stand in headers and logs."""
    with pytest.raises(UsageError, match="cannot begin a sid"):
        compiled({}, sub=sub)
