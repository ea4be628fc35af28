"""What a caller is answered when something is wrong, and who is to blame for it."""

import base64
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.actor import ask
from tests.serving import Json, Server, eventually, request_of, text_of

JSON = {"content-type": "application/json"}


COROUTINES = """
import asyncio
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "actor"
    requestCls = UserRequest()
    responseCls = UserResponse()

    async def wrapperOnceExec(self, params, reqData):
        told = reqData.get("data").data.decode()
        raised = {"exit": SystemExit, "cancel": asyncio.CancelledError, "interrupt": KeyboardInterrupt}.get(told)
        await asyncio.sleep(0)
        if raised:
            raise raised
        return Response([ResponseData(key="result", data=told)])
"""


@pytest.fixture(scope="module")
def coroutines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose wrapper is a coroutine."""
    with Server(tmp_path_factory.mktemp("coroutines"), COROUTINES) as server:
        yield server


def post(server: Server, content: bytes, kind: str = "application/json") -> httpx.Response:
    """POST bytes as they are."""
    return httpx.post(
        f"{server.url}/v1/private/actor", content=content, headers={"content-type": kind}, trust_env=False
    )


def errors(body: Json) -> dict[str, str]:
    """`header.errors` by pointer."""
    return {one["pointer"]: one["message"] for one in body["header"]["errors"]}


def test_answer_is_as_the_protocol_has_it(actor: Server) -> None:
    """A success has code 0, a message, a sid, and every attribute of the output (http-api.md 3.1)."""
    status, body = actor.call("actor", "hello")
    assert status == 200
    assert body["header"].keys() == {"code", "message", "sid"}
    assert (body["header"]["code"], body["header"]["message"]) == (0, "success")
    assert body["payload"]["result"] == {
        "encoding": "utf8",
        "compress": "raw",
        "format": "plain",
        "seq": 0,
        "status": 3,
        "text": base64.b64encode(b"hello").decode(),
    }


@pytest.mark.parametrize("path", ["/actor", "/v1/private/actor", "/any/thing/actor", "/x?serviceId=actor"])
def test_last_part_of_the_path_names_the_service(actor: Server, path: str) -> None:
    """Any path that ends in a service's name leads to it, and so does the query (http-api.md 1.3)."""
    answer = httpx.post(actor.url + path, json=request_of("actor", "hi"), trust_env=False)
    assert answer.status_code == 200
    assert text_of(answer.json()) == "hi"


def test_root_is_the_page_unless_the_query_names_a_service(actor: Server) -> None:
    """GET / is for people; with `serviceId` it is a call, here one that is no JSON."""
    assert actor.get("/").headers["content-type"].startswith("text/html")
    assert actor.get("/?serviceId=actor").json() == {"message": "content-type must be application/json"}


def test_unknown_service_is_told_what_there_is(actor: Server) -> None:
    """404 with the list of services, whatever the method."""
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"{actor.url}/v1/private/nothing", json={}, trust_env=False)
        assert (answer.status_code, answer.json()) == (404, {"message": "not found", "services": ["actor"]})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-json", "multipart/form-data; boundary=x"])
def test_content_type_must_be_json(actor: Server, kind: str) -> None:
    """400 in ASF's words and without a header object (http-api.md 2.1)."""
    answer = post(actor, b"{}", kind)
    assert (answer.status_code, answer.json()) == (400, {"message": "content-type must be application/json"})


def test_parameters_of_the_content_type_do_not_matter(actor: Server) -> None:
    """`application/json; charset=utf-8`, in any case, is JSON."""
    content = json.dumps(request_of("actor", "hi")).encode()
    assert post(actor, content, "Application/JSON; charset=utf-8").status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"{} {}", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_object_is_refused(actor: Server, content: bytes) -> None:
    """400 with code 10163; the message is ASF's, the place says more."""
    answer = post(actor, content)
    header = answer.json()["header"]
    assert (answer.status_code, header["code"], header["message"]) == (400, 10163, "request body must be json")
    assert errors(answer.json())[""]


def test_schema_violations_are_all_named(actor: Server) -> None:
    """400 with ASF's `$.` paths in the message, and a JSON pointer for each in `header.errors`."""
    document = request_of("actor", "hi", size="many") | {"extra": 1}
    answer = actor.post("actor", document)
    header = answer.json()["header"]
    assert (answer.status_code, header["code"]) == (400, 10163)
    assert header["message"].startswith("parameter schema validate error: ")
    assert "'$.extra' unknown field" in header["message"]
    assert "'$.parameter.actor.size'" in header["message"]
    assert errors(answer.json()).keys() == {"/extra", "/parameter/actor/size"}


def test_bound_of_a_parameter_is_checked(actor: Server) -> None:
    """A number beyond the field's bounds is refused with the bound."""
    document = request_of("actor", "hi")
    document["parameter"]["actor"]["size"] = 10
    answer = actor.post("actor", document)
    assert (answer.status_code, answer.json()["header"]["code"]) == (400, 10163)
    assert errors(answer.json()) == {"/parameter/actor/size": "value must be less or equal than 9"}


def test_bad_base64_is_placed(actor: Server) -> None:
    """400 with the stream and the byte in the message, and the pointer beside it."""
    document = request_of("actor", "hello")
    document["payload"]["data"]["text"] = "aGV$bG8="
    answer = actor.post("actor", document)
    header = answer.json()["header"]
    assert (answer.status_code, header["code"]) == (400, 10163)
    assert header["message"] == (
        "base64 decode error,input stream,field : 'data' must be encode to base64 string. "
        "error:illegal base64 data at input byte 3"
    )
    assert errors(answer.json()).keys() == {"/payload/data/text"}


def test_empty_app_id_has_its_own_code(actor: Server) -> None:
    """400 with code 10313 (http-api.md 3.6)."""
    document = request_of("actor", "hi")
    document["header"]["app_id"] = ""
    answer = actor.post("actor", document)
    header = answer.json()["header"]
    assert (answer.status_code, header["code"], header["message"]) == (400, 10313, "appid cannot be empty")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("code 7", "out of luck;code=7"),
        ("code 8", ";code=8"),
        ("none", "wrapperOnceExec returned NoneType, not a Response;code=-1"),
        ("raise all is lost", "RuntimeError: all is lost;code=-1"),
    ],
)
def test_failure_of_user_code_is_told_in_its_words(actor: Server, told: str, message: str) -> None:
    """502 with code 10909 and `<wrapperError(n)>;code=n` (http-api.md 4.4)."""
    status, body = actor.call("actor", told)
    assert (status, body["header"]["code"], body["header"]["message"]) == (502, 10909, message)


def test_traceback_is_in_the_log_and_nowhere_else(actor: Server) -> None:
    """An exception's traceback stands in the log with the call's sid and the worker's name, not in the answer."""
    answer = actor.post("actor", request_of("actor", "raise secret plans"))
    sid = answer.json()["header"]["sid"]
    assert "Traceback" not in answer.text
    assert "wrapper.py" not in answer.text
    line = eventually(lambda: [one for one in actor.log("wrapperOnceExec raised") if one.get("sid") == sid])[0]
    assert line["level"] == "ERROR"
    assert line["worker"] == "actor-0"
    assert "wrapper.py line " in line["message"]
    assert line["exception"].endswith("RuntimeError: secret plans")


def test_what_user_code_logs_carries_the_sid(actor: Server) -> None:
    """`current().log` writes one line of the server's own log, with the call's sid and the worker's name."""
    _, body = actor.call("actor", "note remember this")
    line = eventually(lambda: actor.log("remember this"))[0]
    assert (line["sid"], line["worker"], line["logger"]) == (body["header"]["sid"], "actor-0", "wrapper")


@pytest.mark.parametrize(("told", "got"), [("key other", "'other' (text)"), ("kind", "'result' (image)")])
def test_undeclared_output_is_the_wrappers_fault(actor: Server, told: str, got: str) -> None:
    """502 with code 10106; the message names what came and what was declared."""
    status, body = actor.call("actor", told)
    assert (status, body["header"]["code"]) == (502, 10106)
    assert got in body["header"]["message"]
    assert "declared outputs: result (text)" in body["header"]["message"]


def test_server_serves_on_after_all_that(actor: Server) -> None:
    """No failure of user code costs a worker."""
    before = actor.workers()
    for told in ("raise again", "none", "key other"):
        actor.call("actor", told)
    assert actor.call("actor", "still here")[0] == 200
    assert actor.workers() == before


@pytest.mark.parametrize("told", ["exit", "cancel", "interrupt"])
def test_coroutine_ends_its_own_call_only(coroutines: Server, told: str) -> None:
    """What a coroutine raises, be it SystemExit or a CancelledError that nobody asked for, fails that call alone."""
    before = coroutines.workers()
    status, body = coroutines.call("actor", told)
    assert (status, body["header"]["code"]) == (502, 10909)
    assert coroutines.call("actor", "hi")[0] == 200
    assert coroutines.workers() == before


def test_malformed_http_is_answered(actor: Server) -> None:
    """What is no HTTP gets 400 and a code, not silence."""
    answer = ask(actor.port, "THIS IS NO HTTP")
    assert (answer.status, answer.code) == (400, 10163)


def test_websocket_of_no_service_is_refused(actor: Server) -> None:
    """In HTTP, before the handshake, as any other path that is nobody's."""
    answer = ask(
        actor.port,
        "GET /v1/private/nobody HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n"
        "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert answer.status == 404
    assert json.loads(answer.body) == {"message": "not found", "services": ["actor"]}
