"""G1 to G48: the conformance cases of ASF's gateway (http-api.md 12.1), against real servers.

What was ASF's business layer is here the wrapper, the queue in front of it, its process and its deadline. The fixture
is ASF's: the schema of the OCR demo as `schema.json`, the demo's request, and an answer that is JSON. A row of
docs/compatibility.md says where each case stands.
"""

import contextlib
import copy
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from athena_serving import __version__
from athena_serving.errors import UsageError
from athena_serving.wire import schema
from tests.compat import golden
from tests.compat.conftest import Serve
from tests.compat.golden import SID, Answer, Json, base64_of
from tests.serving import Server, eventually

WRAPPER: Final = '''
import json, os, socket, stat, time
from athena_serving.sdk import DataImage, Response, ResponseData, WrapperBase

BOXES = '[{"filename":"0", "x": 1.50}]'


def spoil_links():
    """Write what is no frame into every stream that this process is connected by."""
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, b"this is no frame " * 100)
        except OSError:
            pass


class Wrapper(WrapperBase):
    version = "v1"

    def wrapperError(self, code):
        return "service instance inactive" if code == 10101 else "no luck"

    def wrapperOnceExec(self, params, reqData):
        """Does what its first input says, `IMG` being the demo's picture; tells of the call if it says nothing."""
        sent = {one.key: one.data for one in reqData.list}
        word, _, rest = next(iter(sent.values()), b"").decode(errors="replace").partition(" ")
        said = json.dumps({"params": params, "inputs": {key: len(data) for key, data in sent.items()}})
        if word == "IMG":
            said = BOXES
        elif word == "say":
            said = rest
        elif word == "picture":
            return Response([ResponseData(key="pic", data=b"\\x00\\x01\\xff", type=DataImage)])
        elif word == "nothing":
            return Response([])
        elif word == "none":
            return None
        elif word == "key":
            return Response([ResponseData(key=rest, data=b"x")])
        elif word == "code":
            return Response().response_err(int(rest))
        elif word == "spoil":
            spoil_links()
            time.sleep(60)
        elif word == "until":
            while not os.path.exists(rest):
                time.sleep(0.01)
        return Response([ResponseData(key="boxes", data=said.encode())])
'''
"""One wrapper for all services here; which inputs and outputs it has is for the `schema.json` beside it to say."""

# ── the schema of ASF's OCR demo (http-api.md, Appendix A), and its request ───────────────────────

SHORT, NAME, LONG = (f'{{"type":"string","minLength":0,"maxLength":{most}}}' for most in (50, 64, 1024))
WISH = (
    '"encoding":{"type":"string","enum":["utf8","gb2312"]},"compress":{"type":"string","enum":["raw","gzip"]},'
    '"format":{"type":"string","enum":["plain","json","xml"]}'
)
DEMO_SCHEMA: Final[Json] = json.loads(
    """{"meta":{"serviceId":"mmocr","version":"v1.0","service":["mmocr"],"sub":"ase","call":"atmos","call_type":"0",
"webgate_type":0,"hosts":"api.xf-yun.com","route":"/v1/private/mmocr","mmocr":{"input":{"data":{"dataType":"image"}},
"accept":{"boxes":{"dataType":"text"}}},"routeKey":[]},"schemainput":{"type":"object","properties":{"header":{"type":
"object","properties":{"directEngIp":LONG,"app_id":SHORT,"uid":SHORT,"did":SHORT,"imei":SHORT,"imsi":SHORT,"mac":SHORT,
"net_type":{"type":"string","enum":["wifi","2G","3G","4G","5G"]},"net_isp":{"type":"string","enum":["CMCC","CUCC",
"CTCC","other"]},"status":{"type":"integer","enum":[3]},"request_id":NAME,"res_id":LONG,"data_cleaner_ttl":{"type":
"string","minLength":0,"maxLength":13},"patch_id":{"type":"array","items":{"type":"string","maxLength":1024}}},
"required":["app_id","status"]},"parameter":{"type":"object","properties":{"mmocr":{"type":"object","properties":{
"category":{"type":"string","enum":["ai_category"]},"application_mode":{"type":"string","enum":["common_gpu"]},"gpu_id":
{"type":"string","enum":["first"]},"gpu_type":{"type":"string","enum":["T4G16"]},"boxes":{"type":"object","properties":
{WISH}}},"required":["category","application_mode","gpu_id","gpu_type"]}}},"payload":{"type":"object","properties":{
"data":{"type":"object","properties":{"encoding":{"type":"string","enum":["jpg","png","bmp","jpeg"]},"image":{"type":
"string","minLength":1,"maxLength":10485760},"status":{"type":"integer","enum":[3]}}}}}}},"schemaoutput":{"type":
"object","properties":{"payload":{"type":"object","properties":{"boxes":{"type":"object","properties":{WISH,"status":
{"type":"integer","enum":[0,1,2]},"seq":{"type":"integer","minimum":0,"maximum":9999999},"text":{"type":"string",
"minLength":0,"maxLength":1048576}}}}}}}}""".replace("SHORT", SHORT)
    .replace("NAME", NAME)
    .replace("LONG", LONG)
    .replace("WISH", WISH)
)
DEMO: Final[Json] = json.loads(
    """{"header":{"app_id":"123456","uid":"39769795890","did":"SR082321940000200","imei":"8664020318693660","imsi":
"4600264952729100","mac":"6c:92:bf:65:c6:14","net_type":"wifi","net_isp":"CMCC","status":3,"request_id":null},"parameter":
{"mmocr":{"category":"ai_category","application_mode":"common_gpu","gpu_id":"first","gpu_type":"T4G16","boxes":{
"encoding":"utf8","compress":"raw","format":"json"}}},"payload":{"data":{"encoding":"jpg","image":"SU1H","status":3}}}"""
)
"""ASF's demo request, with the letters IMG for a picture: `D` of the cases."""


ROUTE_HEADER: Final[Json] = {
    "properties": {"header": {"properties": {"task_id": {"type": "string"}, "status": {"type": "integer"}}}}
}
"""What an answer's header has besides its own, with `build_header`."""


def open_schema(service: str, *, output: str = "boxes", kind: str = "text", **meta: object) -> Json:
    """A service with a text input, one output and any parameters, `size` of which is 5 if it is left out."""
    size = {"type": "integer", "defaultVal": 5}
    params = {"type": "object", "properties": {"size": size}, "additionalProperties": True}
    parameter = {"type": "object", "properties": {service: params}}
    streams = {"input": {"data": {"dataType": "text"}}, "accept": {output: {"dataType": kind}}}
    return {
        "meta": {"serviceId": service, "version": "v1", "service": [service], service: streams, **meta},
        "schemainput": {"type": "object", "properties": {"header": {}, "payload": {}, "parameter": parameter}},
    }


# ── servers ───────────────────────────────────────────────────────────────────────────────────────


def place(folder: Path, document: Json, *, settings: str = "") -> Path:
    """A service's folder: the wrapper, its schema document, and its athena.toml."""
    folder = folder / str(document["meta"]["serviceId"])
    folder.mkdir()
    (folder / "schema.json").write_text(json.dumps(document), encoding="utf-8")
    if settings:
        (folder / "athena.toml").write_text(settings, encoding="utf-8")
    (folder / "wrapper.py").write_text(WRAPPER, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def gateway(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of the demo's service and of four with open schemas; it checks X-Consumer-Username where it is sent."""
    folder = tmp_path_factory.mktemp("gateway")
    documents = [
        DEMO_SCHEMA,
        {**open_schema("open", build_header=True), "schemaoutput": ROUTE_HEADER},
        open_schema("mapped", codeMap={"10909": 430, "10106": 900}),
        open_schema("pictures", output="pic", kind="image"),
    ]
    places = [place(folder, one) for one in documents]
    places.append(place(folder, open_schema("full"), settings="[workers]\nqueue = 0\n"))
    return serve(places, server__check_consumer=True)


@pytest.fixture(scope="module")
def narrow(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of the demo's service that takes 10,000 bytes and waits a second."""
    places = [place(tmp_path_factory.mktemp("narrow"), DEMO_SCHEMA)]
    return serve(places, server__limits__body=10_000, server__limits__call_timeout=1)


@pytest.fixture(scope="module")
def category(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of the demo's service and of a category that leads to it, or, for the category `lost`, to nobody."""
    folder = tmp_path_factory.mktemp("category")
    (folder / "ocr").mkdir()
    rule = "$.parameter.ocr.category"
    branches = [
        {"subServiceId": "mmocr", "priority": 1, "rules": {"$.parameter.mmocr.category": ["ai_category"]}},
        {"subServiceId": "nobody", "priority": 1, "rules": {rule: ["lost"]}},
    ]
    meta = {"serviceId": "ocr", "type": "category", "route": "/v1/private/ocr", "subRoute": branches, "routeKey": []}
    (folder / "ocr" / "schema.json").write_text(json.dumps({"meta": meta}), encoding="utf-8")
    return serve([place(folder, DEMO_SCHEMA), folder / "ocr"])


# ── requests ──────────────────────────────────────────────────────────────────────────────────────

MISSING: Final = object()


def demo(**changes: object) -> Json:
    """The demo's request with members changed: `demo(header__status=2)`; `MISSING` takes one out."""
    request: dict[str, Any] = copy.deepcopy(DEMO)
    for name, value in changes.items():
        *path, last = name.split("__")
        holder = request
        for step in path:
            holder = holder[step]
        if value is MISSING:
            del holder[last]
        else:
            holder[last] = value
    return request


def post(
    server: Server,
    request: object = DEMO,
    path: str = "/v1/private/mmocr",
    *,
    kind: str = "application/json",
    **headers: str,
) -> Answer:
    """POST a request, a document or bytes as they are."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    fields = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return golden.send(server.port, "POST", path, fields, body)


def tell(server: Server, service: str, words: str, *, output: str = "boxes", **params: object) -> Answer:
    """A call of an open service whose input says `words`."""
    wish = {"encoding": "utf8", "format": "json"} if output == "boxes" else {"encoding": "png"}
    document = {
        "header": {"app_id": "123456"},
        "parameter": {service: {output: wish, **params}},
        "payload": {"data": {"text": base64_of(words)}},
    }
    return post(server, document, f"/v1/private/{service}")


def assert_boxes(answer: Answer) -> None:
    """The answer of G1, seq 0 instead of 1: ASF's loader numbers a once-answer so (wrapper.md 14, line 29)."""
    assert (answer.status, answer.kind) == (200, "application/json; charset=utf-8"), answer.body
    header, boxes = answer.json["header"], answer.json["payload"]["boxes"]
    assert SID.match(header.pop("sid"))
    assert header == {"code": 0, "message": "success"}
    expected = {"encoding": "utf8", "compress": "raw", "format": "json", "seq": 0, "status": 3}
    assert boxes == {**expected, "text": [{"filename": "0", "x": 1.5}]}
    assert type(boxes["seq"]) is type(boxes["status"]) is int
    assert '"x": 1.50' in answer.body or '"x":1.50' in answer.body


def assert_refused(answer: Answer, status: int, code: int, message: str) -> None:
    """A failure's header and nothing else."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.json.keys() == {"header"}
    header = answer.json["header"]
    assert header["message"] == message
    assert SID.match(header["sid"])
    assert header.keys() <= {"code", "message", "sid", "errors"}


def assert_invalid(answer: Answer, problem: str) -> None:
    """Refused by the schema, for this one reason."""
    assert_refused(answer, 400, 10163, f"parameter schema validate error: {problem}; ")


# ── routes ────────────────────────────────────────────────────────────────────────────────────────


def test_g01_demo_request_is_answered_with_json(gateway: Server) -> None:
    """G1: the demo's request gets code 0, a sid, and its boxes as a JSON array; seq is 0, the loader's, not 1."""
    assert_boxes(post(gateway))


def test_g02_service_id_alone_is_a_path(gateway: Server) -> None:
    """G2: /mmocr means the service."""
    assert_boxes(post(gateway, path="/mmocr"))


def test_g03_service_id_may_follow_any_prefix(gateway: Server) -> None:
    """G3: so does any path that ends in the service id."""
    assert_boxes(post(gateway, path="/any/prefix/mmocr"))


def test_g04_query_names_the_service(gateway: Server) -> None:
    """G4: so does ?serviceId=."""
    assert_boxes(post(gateway, path="/x?serviceId=mmocr"))


@pytest.mark.parametrize("path", [pytest.param("/mmocr/", id="g05"), pytest.param("/v1/private/nope", id="g06")])
def test_g05_g06_unknown_path_is_not_found(gateway: Server, path: str) -> None:
    """G5, G6: a slash at the end and an unknown name are 404; beside ASF's message stand the services there are."""
    answer = post(gateway, path=path)
    assert (answer.status, answer.json["message"]) == (404, "not found")
    assert answer.json.keys() == {"message", "services"}


# ── what a request must be ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}], ids=["none", "text/plain"])
def test_g07_content_type_must_be_json(gateway: Server, headers: dict[str, str]) -> None:
    """G7: a request that does not call itself JSON gets a message without a header object."""
    answer = golden.send(gateway.port, "POST", "/v1/private/mmocr", headers, json.dumps(DEMO).encode())
    assert (answer.status, answer.json) == (400, {"message": "content-type must be application/json"})


def test_g08_content_type_may_have_parameters(gateway: Server) -> None:
    """G8: a charset after application/json changes nothing."""
    assert_boxes(post(gateway, kind="application/json; charset=utf-8"))


@pytest.mark.parametrize("body", [b"{bad", b"", b"[1]"])
def test_g09_body_must_be_an_object(gateway: Server, body: bytes) -> None:
    """G9: what is no JSON object is refused with a sid."""
    assert_refused(post(gateway, body), 400, 10163, "request body must be json")


@pytest.mark.parametrize("body", [b"{}", b"null"])
def test_g10_empty_object_lacks_the_app_id(gateway: Server, body: bytes) -> None:
    """G10: an empty object, and null, pass this schema and fail for want of an app id."""
    assert_refused(post(gateway, body), 400, 10313, "appid cannot be empty")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"header__app_id": MISSING}, "'$.header.app_id' field is required", id="g11"),
        pytest.param({"header__app_id": 123}, "'$.header.app_id' type must be string", id="g13"),
        pytest.param({"header__app_id": "x" * 51}, "'$.header.app_id' length must be less or equal than 50", id="g14"),
        pytest.param({"header__status": 2}, "'$.header.status' must be one of [3]", id="g15"),
        pytest.param({"header__zzz": "x"}, "'$.header.zzz' unknown field", id="g17"),
        pytest.param({"extra": 1}, "'$.extra' unknown field", id="g18"),
        pytest.param(
            {"parameter__mmocr__category": MISSING}, "'$.parameter.mmocr.category' field is required", id="g25"
        ),
        pytest.param({"header": "text"}, "'$.header' type should be object", id="g26"),
    ],
)
def test_g11_to_g26_schema_is_kept(gateway: Server, changes: dict[str, object], problem: str) -> None:
    """G11, G13 to G15, G17, G18, G25, G26: the schema's refusals, in ASF's words."""
    assert_invalid(post(gateway, demo(**changes)), problem)


def test_g12_empty_app_id_is_none(gateway: Server) -> None:
    """G12: an empty app id passes the schema and is refused all the same."""
    assert_refused(post(gateway, demo(header__app_id="")), 400, 10313, "appid cannot be empty")


def test_g16_type_is_not_cast(gateway: Server) -> None:
    """G16: a status in quotes is no integer, though an enum would take its string form."""
    assert_invalid(post(gateway, demo(header__status="3")), "'$.header.status' type should be integer")


def test_g19_null_passes(gateway: Server) -> None:
    """G19: null is as good as absent; the demo itself sends one."""
    assert_boxes(post(gateway, demo(header__request_id=None)))


# ── data ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("image", "byte"), [pytest.param("@@@", 0, id="g20"), pytest.param("SU1", 0, id="g21: no padding")]
)
def test_g20_g21_data_must_be_base64(gateway: Server, image: str, byte: int) -> None:
    """G20, G21: what is not base64 with its padding is refused, with the byte at which Go's decoder stops."""
    said = "base64 decode error,input stream,field : 'data' must be encode to base64 string."
    answer = post(gateway, demo(payload__data__image=image))
    assert_refused(answer, 400, 10163, f"{said} error:illegal base64 data at input byte {byte}")


def test_g22_line_ends_in_base64_are_taken(gateway: Server) -> None:
    """G22: line ends inside base64 are no error."""
    assert_boxes(post(gateway, demo(payload__data__image="SU\n1H")))


def test_g23_input_without_data_is_empty(gateway: Server) -> None:
    """G23: an input without its data reaches the wrapper with none."""
    answer = post(gateway, demo(payload__data__image=MISSING))
    assert answer.status == 200
    assert answer.json["payload"]["boxes"]["text"]["inputs"] == {"data": 0}


def test_g24_payload_may_be_missing(gateway: Server) -> None:
    """G24: a request without a payload reaches the wrapper, which sees no input."""
    answer = post(gateway, demo(payload=MISSING))
    assert answer.status == 200
    assert answer.json["payload"]["boxes"]["text"]["inputs"] == {}


@pytest.mark.parametrize(
    ("form", "said", "text"),
    [
        pytest.param("plain", "hello", "aGVsbG8=", id="g27"),
        pytest.param("json", "not json", "bm90IGpzb24=", id="g28"),
    ],
)
def test_g27_g28_other_text_is_base64(gateway: Server, form: str, said: str, text: str) -> None:
    """G27, G28: only what is JSON and was asked for as JSON stands in the answer as it is."""
    image = base64_of(f"say {said}")
    answer = post(gateway, demo(payload__data__image=image, parameter__mmocr__boxes__format=form))
    assert (answer.status, answer.json["payload"]["boxes"]["text"]) == (200, text)


def test_g29_attributes_without_a_schema_are_strings(gateway: Server) -> None:
    """G29: a picture comes back in base64, its attributes as strings; seq is there too, the loader sets it."""
    answer = tell(gateway, "pictures", "picture", output="pic")
    assert answer.json["payload"] == {"pic": {"encoding": "png", "image": "AAH/", "status": "3", "seq": "0"}}


def test_g30_no_outputs_are_the_wrappers_failure(gateway: Server) -> None:
    """G30: ASF's gateway said null of no outputs; a wrapper that gives none has failed, and that is what is said."""
    said = "wrapperOnceExec returned a Response with an empty list;code=-1"
    assert_refused(tell(gateway, "open", "nothing"), 502, 10909, said)


# ── what goes wrong behind the gateway ────────────────────────────────────────────────────────────


def test_g31_code_of_the_wrapper_is_told(gateway: Server) -> None:
    """G31: the business layer's code is here the wrapper's own: it stands in the message, as ASF's loader has it."""
    assert_refused(tell(gateway, "open", "code 10101"), 502, 10909, "service instance inactive;code=10101")


def test_g32_code_map_changes_the_status(gateway: Server) -> None:
    """G32: meta.codeMap gives a code another status; the failed call's code is 10909 here, 10907 being for streams."""
    assert_refused(tell(gateway, "mapped", "code 7"), 430, 10909, "no luck;code=7")


def test_g33_code_map_outside_the_range_is_ignored(gateway: Server) -> None:
    """G33: a status that is none is ignored; the code is that of an output that the schema does not know."""
    answer = tell(gateway, "mapped", "key nosuch")
    assert (answer.status, answer.code) == (502, 10106)


def test_g34_full_service_says_when_to_come_again(gateway: Server, tmp_path: Path) -> None:
    """G34: the loader's "no license" is a full service, answered 429 with Retry-After instead of 502."""
    release = tmp_path / "release"
    with ThreadPoolExecutor() as threads, made(release):
        running = threads.submit(tell, gateway, "full", f"until {release}")
        eventually(lambda: gateway.total("athena_calls_running", service="full") == 1, what="the first call")
        answer = tell(gateway, "full", "say 1")
        release.touch()
        assert running.result().status == 200
    assert (answer.status, answer.code) == (429, 10110)
    assert int(answer.headers["retry-after"]) > 0


@contextlib.contextmanager
def made(path: Path) -> Iterator[None]:
    """Whatever happens, the file is there in the end, so that who waits for it goes on."""
    try:
        yield
    finally:
        path.touch()


def test_g35_slow_wrapper_is_a_timeout(narrow: Server, tmp_path: Path) -> None:
    """G35: a wrapper slower than the call's time is 504 with 10102, where ASF has 502 with 10222."""
    started = time.monotonic()
    with made(tmp_path / "release"):
        answer = post(narrow, demo(payload__data__image=base64_of(f"until {tmp_path / 'release'}")))
    assert_refused(answer, 504, 10102, "no answer within 1 seconds (setting server.limits.call_timeout)")
    assert 1 <= time.monotonic() - started < 10


def test_g36_large_message_is_refused_by_its_limit(narrow: Server) -> None:
    """G36: a body beyond the limit is 413, with the limit in words, where ASF has 502 with a gRPC error."""
    answer = post(narrow, demo(payload__data__image=base64_of("x" * 20_000)))
    assert (answer.status, answer.code) == (413, 10163)
    assert "the limit is 10000 (setting server.limits.body)" in answer.json["header"]["message"]


def test_g37_worker_that_sends_junk_is_a_json_error(gateway: Server) -> None:
    """G37: an undecodable reply is a worker that spoils its links: 503 with 10109, and the worker is replaced."""
    before = gateway.workers("open")
    answer = tell(gateway, "open", "spoil")
    assert (answer.status, answer.code) == (503, 10109), answer.body
    assert answer.json.keys() == {"header"}
    eventually(lambda: (now := gateway.workers("open")) and now != before, what="another worker")
    gateway.wait_ready()
    assert tell(gateway, "open", "say 1").status == 200


def test_g38_reply_without_data_is_a_json_error(gateway: Server) -> None:
    """G38: a wrapper that returns None is 502 with a code and words, where ASF sends an empty body or nothing."""
    answer = tell(gateway, "open", "none")
    assert (answer.status, answer.code) == (502, 10909)
    assert answer.json["header"]["message"]


# ── who calls ─────────────────────────────────────────────────────────────────────────────────────


def test_g39_other_consumer_is_refused(gateway: Server) -> None:
    """G39: with server.check_consumer the app that the API gateway found must be the request's."""
    answer = post(gateway, X_Consumer_Username="654321")
    assert_refused(answer, 400, 10313, "app_id and api_key does not match")


def test_g40_same_consumer_is_served(gateway: Server) -> None:
    """G40: the app itself is answered."""
    assert_boxes(post(gateway, X_Consumer_Username="123456"))


def test_g41_private_clouds_are_not_known(gateway: Server) -> None:
    """G41: there are no private clouds, as in ASF's release, where the check is inert: any host is answered alike."""
    assert_boxes(post(gateway, Host="cloud.example.com", X_Consumer_Username="123456"))


# ── categories ────────────────────────────────────────────────────────────────────────────────────


def test_g42_category_without_a_rule_is_refused(category: Server) -> None:
    """G42: a request that no rule of a category is true of is refused; one that a rule is true of is answered."""
    assert_boxes(post(category, path="/v1/private/ocr"))
    answer = post(category, demo(parameter__mmocr__category="other"), "/v1/private/ocr")
    assert_refused(answer, 400, 10404, "no companion route found")


def test_g43_category_without_its_target_is_an_error(category: Server) -> None:
    """G43: a rule that leads to a service that is not served is the server's fault."""
    request = demo(parameter={"ocr": {"category": "lost"}})
    assert_refused(post(category, request, "/v1/private/ocr"), 500, 10404, "sub service not found:nobody")


# ── the schema document ───────────────────────────────────────────────────────────────────────────


def test_g44_answers_repeat_header_fields_of_the_request(gateway: Server) -> None:
    """G44: meta.build_header; our workers say nothing of the route, so its fields are the request's, typed alike."""
    header = {"app_id": "123456", "task_id": "T1", "status": "2", "mac": "x", "message": "mine"}
    document = {"header": header, "payload": {"data": {"text": base64_of("say 1")}}}
    answer = post(gateway, document, "/v1/private/open")
    assert answer.status == 200, answer.body
    header = answer.json["header"]
    assert header.pop("sid")
    assert header == {"code": 0, "message": "success", "task_id": "T1", "status": 2}


def test_g45_parameters_become_strings(gateway: Server) -> None:
    """G45: numbers in shortest decimal, true, an empty text for null, lists joined by semicolons."""
    answer = tell(gateway, "open", "", number=16000, half=0.5, yes=True, nothing=None, many=["a", 3])
    params = answer.json["payload"]["boxes"]["text"]["params"]
    expected = {"number": "16000", "half": "0.5", "yes": "true", "nothing": "", "many": "a;3"}
    assert {name: params[name] for name in expected} == expected


def test_g46_default_of_the_schema_reaches_the_wrapper(gateway: Server) -> None:
    """G46: a parameter with a defaultVal that is left out is set; one that is given stays."""
    said = tell(gateway, "open", "").json["payload"]["boxes"]["text"]
    assert said["params"]["size"] == "5"
    said = tell(gateway, "open", "", size=7).json["payload"]["boxes"]["text"]
    assert said["params"]["size"] == "7"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/monitor/health", None),
        ("/monitor/version", {"version": __version__}),
        ("/monitor/xyz", {"opts": ["info", "health", "gc", "conn"]}),
        ("/monitor/gc", {"opts": ["info", "health", "gc", "conn"]}),
    ],
)
def test_g47_monitoring_is_answered(gateway: Server, path: str, expected: object) -> None:
    """G47: the monitoring routes answer as ASF's, with our version; gc collects nothing."""
    answer = gateway.get(path)
    assert (answer.status_code, answer.json()) == (200, expected)


def input_schema(member: Json) -> Json:
    """A service whose header has one member like this."""
    header = {"type": "object", "properties": {"member": member}}
    return {**open_schema("ocr"), "schemainput": {"type": "object", "properties": {"header": header}}}


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"type": ["string", "integer"]}, id="list of types"),
        pytest.param({"$ref": "#/definitions/either"}, id="reference"),
        pytest.param({"type": "string|integer", "default": "a"}, id="default"),
    ],
)
def test_g48_keywords_of_the_standard_are_taken(member: Json) -> None:
    """G48: what made ASF refuse the file means what JSON Schema has it mean."""
    document = input_schema(member)
    document["schemainput"]["definitions"] = {"either": {"type": "string|integer"}}
    compiled = schema.compile(document, body_limit=1000)
    assert compiled.check({"header": {"member": 5}}) == compiled.check({"header": {"member": "a"}}) == ()
    assert [problem.pointer for problem in compiled.check({"header": {"member": []}})] == ["/header/member"]


@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"$ref": "https://example.com/schema"}, id="reference elsewhere"),
        pytest.param({"type": "string", "maxLenght": 5}, id="slip of the pen"),
    ],
)
def test_g48_unknown_keyword_is_refused_with_its_place(member: Json) -> None:
    """G48: what the dialect does not have is refused, with its place and what there is; nothing is fetched."""
    with pytest.raises(UsageError) as caught:
        schema.compile(input_schema(member), body_limit=1000)
    assert caught.value.where.startswith("schemainput.properties.header.properties.member")
    assert caught.value.help
