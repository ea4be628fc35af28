"""The JSON envelope: conformance (http-api.md 12.1, G), recorded traffic, and lifting against the plain way."""

import base64
import functools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from athena_serving.errors import BadAppId, BadRequest, CallerError, OnceFailed, OutputInvalid
from athena_serving.sdk import (
    AudioBodyField,
    ImageBodyField,
    IntegerParamField,
    JsonBodyField,
    StringBodyField,
    StringParamField,
    WrapperBase,
    document,
)
from athena_serving.wire import envelope, lifting, schema
from athena_serving.wire.messages import DataType, Expect, Piece, Reply
from athena_serving.wire.schema import Schema

GOLDEN = Path(__file__).parents[3] / "shared/golden/webgate"
LIMIT = 64 << 20
SID = "ase00190001@dx1a207f509d30001182"


class Request:
    """Three inputs, two parameters."""

    data = ImageBodyField("data")
    note = StringBodyField("note")
    sound = AudioBodyField("sound")
    category = StringParamField("category", maxLength=1 << 20)
    count = IntegerParamField("count", maximum=1 << 40)


class Response:
    """Two outputs."""

    accept1 = JsonBodyField("boxes")
    accept2 = ImageBodyField("drawn", encoding="png")


class Wrapper(WrapperBase):
    """The service under test."""

    serviceId = "mmocr"
    requestCls = Request()
    responseCls = Response()


SCHEMA = schema.compile(document.build(Wrapper, body_limit=LIMIT), body_limit=LIMIT)


def _hand_written(root: object, **meta: object) -> Schema:
    """A schema that checks little, for what the generated one forbids."""
    mine = {"input": {"data": "image"}, "accept": {"boxes": "text", "pic": "image"}}
    return schema.compile({"meta": {"serviceId": "s", "s": mine, **meta}, "schemainput": root}, body_limit=LIMIT)


LOOSE = _hand_written({})


def _request(**payload: object) -> dict[str, object]:
    return {
        "header": {"app_id": "123456", "status": 3, "request_id": None},
        "parameter": {"mmocr": {"category": "a", "boxes": {"encoding": "utf8", "format": "json"}}},
        "payload": payload or {"data": {"encoding": "jpg", "image": "SU1H", "status": 3}},
    }


def _image(image: object) -> dict[str, object]:
    return _request(data={"encoding": "jpg", "image": image})


def _decode(request: object, compiled: Schema = SCHEMA) -> envelope.Request:
    return envelope.decode(json.dumps(request).encode(), compiled)


def _refusal(body: object, compiled: Schema = SCHEMA) -> CallerError:
    with pytest.raises(CallerError) as caught:
        envelope.decode(body if isinstance(body, bytes) else json.dumps(body).encode(), compiled)
    assert type(caught.value) in (BadRequest, BadAppId)
    assert caught.value.problems
    return caught.value


# ── in ────────────────────────────────────────────────────────────────────────────────────────────


def test_request_becomes_strings_pieces_and_expects() -> None:
    """Everything as it travels inside; every output is expected, asked for or not."""
    request = _decode(_request())
    assert request.app == "123456"
    assert request.headers == {"app_id": "123456", "appid": "123456", "status": "3", "request_id": ""}
    assert request.params == {"category": "a"}
    assert request.pieces == [Piece("data", DataType.IMAGE, desc={"encoding": "jpg", "status": "3"}, data=b"IMG")]
    assert request.expects == [
        Expect("boxes", DataType.TEXT, {"encoding": "utf8", "format": "json", "compress": "raw"}),
        Expect("drawn", DataType.IMAGE, {"encoding": "png"}),
    ]


@pytest.mark.parametrize(
    "body", [b"{bad", b"", b"[1]", b"3", b'"x"', b"\xef\xbb\xbf{}", b'{"a":NaN}', b"{}x", b'{"a":"\xff"}']
)
def test_g9_what_is_no_object_is_refused(body: bytes) -> None:
    """G9, and what else is not JSON."""
    error = _refusal(body)
    assert (error.code, error.message, error.problems[0].pointer) == (10163, "request body must be json", "")


@pytest.mark.parametrize("depth", [3000, 100_000])
def test_deep_nesting_is_refused_not_a_crash(depth: int) -> None:
    """Neither parser nor validator nor conversion overflows."""
    error = _refusal(b'{"header":' + b"[" * depth + b"]" * depth + b"}", LOOSE)
    assert (error.message, error.problems[0].message) == ("request body must be json", "is nested too deeply")


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b'{"header":{"app_id":""}}', b'{"header":{"app_id":null,"appid":""}}']
)
def test_g10_g12_empty_app_id_is_refused(body: bytes) -> None:
    """G10, G12; null is as good as empty."""
    error = _refusal(body)
    assert (type(error), error.code, error.message) == (BadAppId, 10313, "appid cannot be empty")


def test_g11_missing_app_id_is_named() -> None:
    """G11: with either name it would do."""
    error = _refusal({"header": {}})
    assert "'$.header.app_id' field is required; " in error.message
    assert [problem.pointer for problem in error.problems] == ["/header/app_id", "/header/appid"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"app_id": 123}, "'$.header.app_id' type must be string; "),
        ({"app_id": "x" * 51}, "'$.header.app_id' length must be less or equal than 50; "),
        ({"status": 2}, "'$.header.status' must be one of [3]; "),
        ({"status": "3"}, "'$.header.status' type should be integer; "),
        ({"zzz": 1}, "'$.header.zzz' unknown field; "),
    ],
)
def test_g13_to_g17_bad_header_is_named(header: dict[str, object], words: str) -> None:
    """G13 to G17, word by word."""
    request = _request()
    request["header"] = {"app_id": "1", **header}
    error = _refusal(request)
    assert (error.code, error.message) == (10163, f"parameter schema validate error: {words}")


def test_g18_g26_wrong_top_level_is_named() -> None:
    """G18, G26."""
    assert "'$.extra' unknown field; " in _refusal({**_request(), "extra": 1}).message
    assert "'$.header' type should be object; " in _refusal({**_request(), "header": "x"}).message


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("@@@", 0),
        ("SU1", 0),
        ("SU1HS", 4),
        ("SU1H@A==", 4),
        ("SU1HQQ=", 7),
        ("SU1HQQ=x", 6),
        ("SU1HQQ==x", 8),
        ("SU1HQ===", 5),
        ("SU1=SU1H", 4),
        ("SU-_", 2),
        ("SU1Hé", 4),
        ("QQ\n", 1),
        ("====", 0),
    ],
)
def test_g20_g21_bad_base64_is_refused_with_its_place(data: str, place: int) -> None:
    """G20, G21: the place is the one that Go's decoder names."""
    error = _refusal(_image(data))
    assert error.message == (
        "base64 decode error,input stream,field : 'data' must be encode to base64 string. "
        f"error:illegal base64 data at input byte {place}"
    )
    assert error.problems[0].pointer == "/payload/data/image"


@given(st.text("AQ+/=\r\n-é", max_size=14))
def test_base64_is_refused_exactly_where_a_fault_is_named(data: str) -> None:
    """The decoder and the search for the place never disagree."""
    bare = data.replace("\r", "").replace("\n", "")
    try:
        expected: object = base64.b64decode(bare, validate=True)
        is_right = len(bare) % 4 == 0 and len(bare) - len(bare.rstrip("=")) <= 2
    except ValueError:
        is_right = False
    if is_right:
        assert _decode(_image(data or None)).pieces[0].data == expected
    else:
        assert "illegal base64 data" in _refusal(_image(data)).message


@pytest.mark.parametrize("data", ["SU\n1H", "SU1H\r\n", "\nSU1H", "SU1HQQ=\n=\n", "SU1HQR=="])
def test_g22_line_ends_and_loose_bits_are_tolerated(data: str) -> None:
    """G22, and whatever else Go's decoder takes."""
    assert bytes(_decode(_image(data)).pieces[0].data)[:3] == b"IMG"


def test_g23_stream_without_data_is_sent_empty() -> None:
    """G23; null is as good as absent."""
    assert _decode(_request(data={"encoding": "jpg"})).pieces[0].data == b""
    assert _decode(_image(None)).pieces[0].data == b""


def test_g24_absent_stream_is_skipped() -> None:
    """G24; so is one that is null."""
    request = _request()
    del request["payload"]
    assert _decode(request).pieces == []
    assert _decode(_request(data=None, note={"text": "QQ=="})).pieces == [Piece("note", data=b"A")]


def test_undeclared_stream_is_refused() -> None:
    """The schema is closed."""
    assert "'$.payload.other' unknown field; " in _refusal(_request(other={})).message


def test_number_as_data_is_decoded_as_its_text() -> None:
    """Where a hand-written schema lets it pass (http-api.md 2.7)."""
    request = {"header": {"appid": "1"}, "payload": {"data": {"image": 1234}}}
    assert _decode(request, LOOSE).pieces[0].data == base64.b64decode("1234")


def test_g25_missing_parameter_is_named() -> None:
    """G25."""

    class Strict(Request):
        word = StringParamField("word", required=True)

    class Service(WrapperBase):
        serviceId = "mmocr"
        requestCls = Strict()
        responseCls = Response()

    compiled = schema.compile(document.build(Service, body_limit=LIMIT), body_limit=LIMIT)
    assert "'$.parameter.mmocr.word' field is required; " in _refusal(_request(), compiled).message


def test_g45_parameters_become_strings() -> None:
    """G45."""
    given_ = {"a": 16000, "b": 0.5, "c": True, "d": None, "e": ["a", 3], "f": {"k": 1}, "boxes": "not an object"}
    request = {"header": {"appid": "1"}, "parameter": {"s": given_, "unknown": {"z": 1}}}
    assert _decode(request, LOOSE).params == {
        "a": "16000",
        "b": "0.5",
        "c": "true",
        "d": "",
        "e": "a;3",
        "f": '{"k":1}',
    }


def test_integers_keep_their_digits() -> None:
    """ASF rounds beyond 2**53; a number with a fraction is one of 64 bits in both."""
    raw = b'{"header":{"appid":"1"},"parameter":{"s":{"i":12345678901234567890,"f":1.50,"e":1e21}}}'
    assert envelope.decode(raw, LOOSE).params == {
        "i": "12345678901234567890",
        "f": "1.5",
        "e": "1000000000000000000000",
    }


@pytest.mark.parametrize("number", ["1" * 5000, "1e400"])
def test_number_beyond_all_bounds_is_refused(number: str) -> None:
    """In words."""
    error = _refusal(f'{{"header":{{"appid":"1","x":{number}}}}}'.encode(), LOOSE)
    assert (error.message, error.problems[0].pointer) == ("request body must be json", "")


def test_of_two_members_of_one_name_the_last_counts() -> None:
    """As in ASF."""
    raw = b'{"header":{"appid":"1"},"header":{"appid":"2"},"parameter":{"s":{"p":"x","p":"y"}}}'
    request = envelope.decode(raw, LOOSE)
    assert (request.app, request.params) == ("2", {"p": "y"})


def test_blocks_of_generated_documents_may_say_type_and_status() -> None:
    """The loader's own front wanted a `data_type`, and gave it back to nobody; a header without a status has 3."""
    request = _request(data={"encoding": "jpg", "image": "SU1H", "status": 3, "data_type": "image"})
    request["header"] = {"appid": "1"}
    request["parameter"] = {"mmocr": {"boxes": {"data_type": "text", "status": 3}}}
    decoded = _decode(request)
    assert decoded.headers["status"] == "3"
    assert decoded.pieces[0].desc == {"encoding": "jpg", "status": "3", "data_type": "image"}
    assert decoded.expects[0].desc == {
        "status": "3",
        "encoding": "utf8",
        "compress": "raw",
        "format": "json",
    }


def test_wrong_top_level_members_count_as_absent() -> None:
    """Where no schema refuses them."""
    request = envelope.decode(b'{"header":{"appid":"1"},"parameter":[1],"payload":"x","more":1}', LOOSE)
    assert (request.params, request.pieces) == ({}, [])


def test_body_is_parsed_for_categories() -> None:
    """An object, unchecked; null is an empty one."""
    assert envelope.parse(b'{"parameter":{"iat":{"domain":"x"}}}') == {"parameter": {"iat": {"domain": "x"}}}
    assert envelope.parse(b"null") == {}
    with pytest.raises(BadRequest, match="request body must be json"):
        envelope.parse(b"[1]")


def test_g46_defaults_are_forwarded() -> None:
    """G46: `defaultVal` takes effect."""
    root = {"properties": {"header": {"additionalProperties": True, "properties": {"uid": {"defaultVal": 7}}}}}
    assert _decode({"header": {"appid": "1"}}, _hand_written(root)).headers["uid"] == "7"


def test_appid_beats_app_id() -> None:
    """As in ASF; an empty one does not."""
    assert _decode({"header": {"appid": "b", "app_id": "a"}}).app == "b"
    assert _decode({"header": {"appid": None, "app_id": "a"}}).app == "a"


def test_schema_comes_before_base64_and_base64_before_app_id() -> None:
    """The order of http-api.md 3.6."""
    request = _image("@@@")
    request["header"] = {"app_id": "", "zzz": 1}
    assert "unknown field" in _refusal(request).message
    request["header"] = {"app_id": ""}
    assert "base64" in _refusal(request).message


@pytest.mark.parametrize("escape", [True, False])
def test_lengths_count_bytes_however_they_are_written(escape: bool) -> None:
    """52 bytes in 26 letters, as they are or as escapes."""
    request = _request()
    request["header"] = {"app_id": "é" * 26}
    error = _refusal(json.dumps(request, ensure_ascii=escape).encode())
    assert "'$.header.app_id' length must be less or equal than 50; " in error.message
    request["header"] = {"app_id": "é" * 25}
    assert _decode(request).app == "é" * 25


@pytest.mark.parametrize("size", [60, 30_000])
def test_data_is_measured_as_base64(size: int) -> None:
    """Lifted or not, the text counts, and the problem stands with the others."""
    compiled = schema.compile(document.build(Wrapper, body_limit=50), body_limit=50)
    error = _refusal({**_image("A" * size), "extra": 1}, compiled)
    assert [problem.message for problem in error.problems] == ["unknown field", "length must be less or equal than 50"]
    assert "larger or equal than 1" in _refusal(_image(""), compiled).message


def test_bodies_may_be_bytearrays() -> None:
    """The door collects them in one, which stays its own."""
    body = bytearray(json.dumps(_image("A" * 40_000)).encode())
    assert len(envelope.decode(body, SCHEMA).pieces[0].data) == 30_000
    body.clear()


# ── lifting ───────────────────────────────────────────────────────────────────────────────────────


def _outcome(body: bytes, *, plain: bool = False) -> object:
    try:
        return envelope._read(body, SCHEMA, {}) if plain else envelope.decode(body, SCHEMA)
    except CallerError as error:
        return type(error), error.message, error.problems


def test_long_data_is_lifted() -> None:
    """What is left to parse is small; this is what makes big bodies cheap."""
    body = json.dumps(_image("A" * 300_000)).encode()
    skeleton, strings = lifting.lift(body)
    assert len(skeleton) < 500
    assert [lifted.length for lifted in strings.values()] == [300_000]
    assert len(envelope.decode(body, SCHEMA).pieces[0].data) == 225_000


def test_long_string_elsewhere_is_not_lost() -> None:
    """A parameter that looks like base64 stays a parameter."""
    request = _image("A" * 20_000)
    request["parameter"] = {"mmocr": {"category": "B" * 20_000}}
    decoded = _decode(request)
    assert decoded.params["category"] == "B" * 20_000
    assert len(decoded.pieces[0].data) == 15_000


def test_of_two_alike_keys_the_last_counts() -> None:
    """Also where the first one was lifted."""
    body = b'{"header":{"appid":"1"},"payload":{"data":{"image":"%b","image":"SU1H"}}}' % (b"A" * 20_000)
    assert envelope.decode(body, SCHEMA).pieces[0].data == b"IMG"


def test_escaped_quote_does_not_open_a_string() -> None:
    r"""After `\"` a long run of base64 is the middle of a string, not the whole of one."""
    request = _image("SU1H")
    request["parameter"] = {"mmocr": {"category": 'x"' + "B" * 20_000 + '"y'}}
    assert _decode(request).params["category"] == 'x"' + "B" * 20_000 + '"y'


@pytest.mark.parametrize("gap", ["", "A" * 20_000])
def test_what_is_between_strings_is_never_taken_for_one(gap: str) -> None:
    """A long run between two strings is an error, lifted or not."""
    assert (
        _refusal(f'{{"header":{{"appid":"1"{gap or "7" * 20_000}"uid":"2"}}}}'.encode()).message
        == "request body must be json"
    )


def _blob(seed: int, size: int) -> str:
    return base64.b64encode(random.Random(seed).randbytes(size)).decode()  # bytes to look at


_SIZES = st.sampled_from([0, 1, 3, 2000, 3069, 3070, 3072, 3075, 4096, 6140, 6144, 6150, 9000, 20_000])
_BLOBS = st.builds(_blob, st.integers(0, 3), _SIZES)
_STRANGE = st.one_of(
    _BLOBS,
    st.builds(
        lambda text, times: text * times,
        st.sampled_from(['"', "\\", '\\"', 'A"', "é", "\n", "AAAA\n", "/", "1"]),
        st.integers(0, 6000),
    ),
    st.builds(lambda index: "0123456789abcdef0123456789abcdef" + f"{index:x}", st.integers(0, 3)),
    st.text(max_size=20).filter(lambda text: text.isprintable()),
)
_STREAM = st.one_of(_BLOBS, _BLOBS, _STRANGE, st.none())


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """Requests of several streams, long and short, in different ways of writing JSON."""
    request: dict[str, object] = {
        "header": {"app_id": "1", "uid": draw(st.sampled_from(["u", '"', "é"]))},
        "parameter": {"mmocr": {"category": draw(_STRANGE), "count": draw(st.sampled_from([0, 10**11]))}},
        "payload": {
            "data": {"image": draw(_STREAM), "encoding": "jpg"},
            "note": {"text": draw(_STREAM)},
            "sound": {"audio": draw(_STREAM)},
        },
    }
    names = draw(st.permutations(list(request)))
    ordered = {name: request[name] for name in names}
    return json.dumps(
        ordered, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 0, 3000]))
    ).encode()


@settings(max_examples=200, deadline=None)
@given(_bodies())
def test_lifting_never_changes_the_result(body: bytes) -> None:
    """Equal requests, or equal refusals."""
    assert _outcome(body) == _outcome(body, plain=True)


@settings(max_examples=200, deadline=None)
@given(_bodies(), st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(max_size=3), st.integers(0, 3)), max_size=4))
def test_damaged_requests_are_refused_in_words(body: bytes, cuts: list[tuple[int, bytes, int]]) -> None:
    """Whatever is cut out or put in, only the declared errors come out, and lifting changes nothing."""
    for where, new, gone in cuts:
        place = where % (len(body) + 1)
        body = body[:place] + new + body[place + gone :]
    assert _outcome(body) == _outcome(body, plain=True)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["header", "parameter", "payload", "mmocr", "data", "image", "boxes", "app_id", "status"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    """Nothing but BadRequest and BadAppId comes out, for the strict and for the loose schema."""
    for compiled in (SCHEMA, LOOSE):
        try:
            envelope.decode(body, compiled)
        except (BadRequest, BadAppId):
            continue


# ── recorded traffic ──────────────────────────────────────────────────────────────────────────────


_RECORDED = {path: json.loads(path.read_bytes()) for path in sorted(GOLDEN.glob("http*/*.json"))}
_BODIES = {
    f"{path.parent.name}-{path.stem}": recorded
    for path, recorded in _RECORDED.items()
    if "body" in recorded["request"] and "header" in (recorded["response"].get("json") or {})
}
"""Recordings whose body was kept, and that the service answered, not the router."""


@functools.cache
def _golden_schema(service: str) -> Schema:
    return schema.compile(json.loads((GOLDEN / f"schema_{service}.json").read_bytes()), body_limit=LIMIT)


def _asked(recorded: dict[str, dict[str, str]]) -> Schema:
    return _golden_schema("svcV2" if "svcV2" in recorded["request"]["path"] else "svcName")


@pytest.mark.skipif(not _BODIES, reason="no recorded traffic beside the repository")
@pytest.mark.parametrize("name", _BODIES)
def test_recorded_requests_are_answered_alike(name: str) -> None:
    """What ASF's gateway took is taken, what it refused is refused with its code and at its places."""
    recorded = _BODIES[name]
    body, answered = recorded["request"]["body"].encode(), recorded["response"]["json"]["header"]
    if answered["code"] != 10163:
        assert envelope.decode(body, _asked(recorded)).expects
        return
    error = _refusal(body, _asked(recorded))
    assert error.code == answered["code"]
    places = re.findall(r"'\$[^']*'", answered["message"])
    assert sorted(places) == sorted(re.findall(r"'\$[^']*'", error.message))
    if not places:
        assert error.message == answered["message"]


# ── damaged requests ──────────────────────────────────────────────────────────────────────────────


def _damaged(body: bytes, bits: Sequence[int] = range(8)) -> Iterator[bytes]:
    """Every byte flipped, in each of these bits, and the body cut at every byte."""
    for place, byte in enumerate(body):
        yield body[:place]
        for bit in bits:
            yield body[:place] + bytes([byte ^ 1 << bit]) + body[place + 1 :]


def _is_answered(body: bytes, compiled: Schema) -> bool:
    """Is it taken? If not, it must be refused in words."""
    try:
        envelope.decode(body, compiled)
    except (BadRequest, BadAppId) as error:
        assert error.message  # noqa: PT017  # it is either this or a request
        return False
    return True


_VALID = [
    json.dumps(_request(), separators=(",", ":")).encode(),
    json.dumps({**_request(), "header": {"appid": "\u00e9", "patch_id": ["a", None]}}, ensure_ascii=False).encode(),
    b'{"header":{"appid":"1"},"parameter":{"s":{"p":[1,{"k":-2.5e3}],"boxes":{"format":"json"}}},"payload":null}',
]


@pytest.mark.parametrize("compiled", [SCHEMA, LOOSE], ids=["strict", "loose"])
@pytest.mark.parametrize("body", _VALID, ids=range(len(_VALID)))
def test_every_byte_flipped_and_cut_t17(body: bytes, compiled: Schema) -> None:
    """T17: whatever one bit becomes, a request is decoded or refused, and lifting makes no difference."""
    for damaged in _damaged(body):
        _is_answered(damaged, compiled)
        assert _outcome(damaged) == _outcome(damaged, plain=True)


@pytest.mark.skipif(not _BODIES, reason="no recorded traffic beside the repository")
def test_every_byte_of_recorded_requests_flipped_and_cut_t17() -> None:
    """T17 for what ASF's clients sent, each body once; those of a kilobyte and more say nothing new."""
    bodies = {recorded["request"]["body"]: recorded for recorded in _BODIES.values()}
    taken = 0
    for text, recorded in bodies.items():
        if len(text) < 1000:
            compiled = _asked(recorded)
            taken += sum(_is_answered(damaged, compiled) for damaged in _damaged(text.encode(), (0, 5)))
    assert taken


# ── out ───────────────────────────────────────────────────────────────────────────────────────────


def _output(
    *pieces: Piece, wishes: Mapping[str, dict[str, str]] | None = None, compiled: Schema = SCHEMA
) -> dict[str, object]:
    expects = [Expect(key, compiled.outputs.get(key, 0), desc) for key, desc in (wishes or {}).items()]
    answer = json.loads(envelope.encode(SID, Reply([*pieces]), expects, compiled))
    assert answer["header"] == {"code": 0, "message": "success", "sid": SID}
    payload: dict[str, object] = answer["payload"]
    return payload


def test_g1_json_is_embedded_as_it_stands() -> None:
    """G1: number literals, order and blanks are kept; numbers are numbers."""
    data = b'[{"filename":"0", "x": 1.50}]'
    body = envelope.encode(SID, Reply([Piece("boxes", data=data)]), [Expect("boxes", 0, {"format": "json"})], SCHEMA)
    assert data in body
    assert json.loads(body)["payload"] == {"boxes": {"format": "json", "seq": 0, "status": 3, "text": json.loads(data)}}


@pytest.mark.parametrize(
    ("desc", "data"),
    [
        ({"format": "plain"}, b"hello"),
        ({}, b"[1]"),
        ({"format": "json"}, b"not json"),
        ({"format": "json"}, b""),
        ({"format": "json"}, b'"\xff"'),
        ({"format": "json"}, b"[" * 100_000),
        ({"format": "json"}, b"NaN"),
    ],
)
def test_g27_g28_everything_else_is_base64(desc: dict[str, str], data: bytes) -> None:
    """G27, G28, and JSON that is none."""
    payload = _output(Piece("boxes", data=data), wishes={"boxes": desc})
    assert payload == {"boxes": {**desc, "seq": 0, "status": 3, "text": base64.b64encode(data).decode()}}


def test_g29_attributes_are_strings_where_the_schema_says_nothing() -> None:
    """G29."""
    payload = _output(
        Piece("pic", DataType.IMAGE, desc={"encoding": "png"}, data=memoryview(b"\x00\x01\xff")), compiled=LOOSE
    )
    assert payload == {"pic": {"encoding": "png", "seq": "0", "status": "3", "image": "AAH/"}}


def test_g30_no_output_is_an_empty_object() -> None:
    """G30: ASF said null."""
    assert _output() == {}


def test_attributes_have_the_types_of_the_schema() -> None:
    """A number that is none stays a string; `boolean` is understood like `bool`."""
    typed = {
        "i": {"type": "integer"},
        "n": {"type": "number"},
        "b": {"type": "boolean"},
        "c": {"type": "bool"},
        "s": {"type": "string"},
        "w": {"type": "integer"},
    }
    shape = {"properties": {"payload": {"properties": {"boxes": {"properties": typed}}}}}
    meta = {"serviceId": "s", "service": ["s"], "s": {"accept": {"boxes": "text"}}}
    compiled = schema.compile({"meta": meta, "schemaoutput": shape}, body_limit=LIMIT)
    said = {"i": "-7", "n": "1.50e3", "b": "true", "c": "no", "s": "1", "w": "1_000"}
    payload = _output(Piece("boxes"), wishes={"boxes": said}, compiled=compiled)
    expected = {
        "i": -7,
        "n": 1500,
        "b": True,
        "c": False,
        "s": "1",
        "w": "1_000",
        "seq": "0",
        "status": "3",
        "text": "",
    }
    assert payload == {"boxes": expected}


HEADER = {
    "properties": {"task_id": {"type": "string"}, "status": {"type": "integer"}, "x": {}, "sid": {"type": "string"}}
}


@pytest.mark.parametrize("switch", [True, "true", 1])
def test_g44_header_of_the_request_comes_back(switch: object) -> None:
    """G44: typed members, but for the answer's own; the back-end's header is the request's here."""
    document = {"meta": {"serviceId": "s", "build_header": switch}, "schemaoutput": {"properties": {"header": HEADER}}}
    compiled = schema.compile(document, body_limit=LIMIT)
    headers = {"task_id": "T1", "status": "2", "x": "1", "sid": "forged", "uid": "u"}
    answer = json.loads(envelope.encode(SID, Reply(), [], compiled, headers=headers))
    assert answer["header"] == {"code": 0, "message": "success", "sid": SID, "task_id": "T1", "status": 2}
    assert json.loads(envelope.encode(SID, Reply(), [], compiled, headers={}))["header"]["sid"] == SID


@pytest.mark.parametrize("switch", [False, None, "yes", 0, 0.5])
def test_header_comes_back_only_if_the_schema_says_so(switch: object) -> None:
    """ASF's idea of true (http-api.md 5.2)."""
    document = {"meta": {"serviceId": "s", "build_header": switch}, "schemaoutput": {"properties": {"header": HEADER}}}
    compiled = schema.compile(document, body_limit=LIMIT)
    answer = json.loads(envelope.encode(SID, Reply(), [], compiled, headers={"task_id": "T1"}))
    assert answer["header"] == {"code": 0, "message": "success", "sid": SID}


def test_callers_attributes_win_over_the_wrappers() -> None:
    """But not over what the reply is: data, place and status."""
    wish = {"encoding": "gbk", "text": "forged", "seq": "9", "status": "1"}
    payload = _output(Piece("boxes", desc={"encoding": "utf8", "rate": "1"}, data=b"A"), wishes={"boxes": wish})
    assert payload == {"boxes": {"encoding": "gbk", "rate": "1", "seq": 0, "status": 3, "text": "QQ=="}}


def test_of_two_outputs_of_one_name_the_last_counts() -> None:
    """And several outputs stand side by side."""
    pieces = [Piece("boxes", data=b"1"), Piece("drawn", DataType.IMAGE, data=b"2"), Piece("boxes", data=b"3")]
    payload = _output(*pieces)
    assert set(payload) == {"boxes", "drawn"}
    assert payload["boxes"] == {"seq": 0, "status": 3, "text": "Mw=="}


@pytest.mark.parametrize("piece", [Piece("boxs"), Piece("boxes", DataType.IMAGE), Piece("boxes", 77)])
def test_undeclared_output_is_the_wrappers_fault(piece: Piece) -> None:
    """The message names it and lists what there is."""
    with pytest.raises(
        OutputInvalid, match=r"wrapper output data invalid.*declared outputs: boxes \(text\), drawn \(image\)"
    ):
        _output(piece)


@given(
    st.binary(max_size=50) | st.sampled_from([b"{}", b' {"a": [1, "x\\n"]} ', b'"\xc3\xa9"', b"1.50"]),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.booleans(),
)
def test_answers_are_json_and_read_back(data: bytes, desc: dict[str, str], wants_json: bool) -> None:
    """For any data and any attributes."""
    payload = _output(Piece("boxes", desc=desc, data=data), wishes={"boxes": {"format": "json"} if wants_json else {}})
    assert isinstance(payload["boxes"], dict)
    assert set(payload["boxes"]) == {*desc, "seq", "status", "text"} | ({"format"} if wants_json else set())
    text = payload["boxes"]["text"]
    try:
        value = json.loads(data.decode())
    except ValueError:
        value = None
    # Where it is JSON both readings may come out alike, so either will do.
    assert (wants_json and text == value) or base64.b64decode(text, validate=True) == data


def test_long_attributes_are_encoded_too() -> None:
    """They are too big to be kept for the next answer."""
    assert _output(Piece("boxes"), wishes={"boxes": {"encoding": "x" * 1000}})["boxes"] == {
        "encoding": "x" * 1000,
        "seq": 0,
        "status": 3,
        "text": "",
    }


def test_error_body_has_code_message_sid_and_places() -> None:
    """http-api.md 3.6, and the places for programs."""
    error = _refusal({**_request(), "extra": 1})
    assert json.loads(envelope.encode_error(error, SID)) == {
        "header": {
            "code": 10163,
            "message": "parameter schema validate error: '$.extra' unknown field; ",
            "sid": SID,
            "errors": [{"pointer": "/extra", "message": "unknown field"}],
        }
    }
    assert json.loads(envelope.encode_error(OnceFailed("x;code=1"), SID)) == {
        "header": {"code": 10909, "message": "x;code=1", "sid": SID}
    }


def test_error_text_that_is_no_unicode_is_mended() -> None:
    """User code's own text may hold half a surrogate pair."""
    assert json.loads(envelope.encode_error(OnceFailed("a\ud800"), SID))["header"]["message"] == "a?"
