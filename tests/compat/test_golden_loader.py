"""The recorded traffic of ASF's loader, whose own HTTP dialect is not offered: the same requests, and what we say.

Requests are sent as they were to the loader, but for `PATHS` and `UNKNOWN`. Each row of `ROWS` says what the loader
answered and what comes back here; docs/compatibility.md has the same rows.
"""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from tests.compat import golden
from tests.compat.conftest import Serve
from tests.compat.golden import Answer, Json, Recording
from tests.serving import Server

pytestmark = golden.needs_golden

SLOW: Final = 4.0
"""Seconds; whoever took longer is said to have."""


class Row(NamedTuple):
    """Requests that share a fate."""

    recordings: str
    """Names, separated by blanks."""
    loader: str
    """ASF's HTTP status and code, 0 left out."""
    here: str
    """Ours."""
    why: str

    def line(self) -> str:
        """The row as the page has it."""
        names = ", ".join(f"`{name}`" for name in self.recordings.split())
        return f"| {names} | {self.loader} | {self.here} | {self.why} |"


ROWS: Final = (
    Row(
        "ok_text after_hang_ok ok_sleep1 ok_image base64_newline utf8_text ok_two_payloads "
        "ok_dump_params big_1MB big_3MB payload_no_data",
        "200",
        "200",
        "the same answer; its text is base64 here, not a plain string",
    ),
    Row(
        "ok_nostatus ok_status0",
        "200",
        "200",
        "an input of a once-call reaches the wrapper with status 3, whatever was sent",
    ),
    Row("binary_out", "200", "200", "every byte comes back; the loader made U+FFFD of what is not UTF-8"),
    Row("ok_header_sid", "200", "200", "a caller's own sid is not taken, there or here"),
    Row(
        "no_expect no_parameter expect_no_data_type",
        "500 10106",
        "200",
        "what an output's type is, the service knows; what was not asked for gets its defaults",
    ),
    Row(
        "empty_payload no_payload", "after 5 s 500 10009", "200", "what a missing input means is for the wrapper to say"
    ),
    Row("text_is_null", "500 10001", "200", "null is as good as absent"),
    Row(
        "wrapper_raises wrapper_returns_none",
        "after 120 s 500 10102",
        "502 10909",
        "at once, with the error's words; the seat is free again",
    ),
    Row("wrapper_process_exit", "after 120 s 500 10102", "503 10109", "at once, with Retry-After"),
    Row("after_plugin_death", "after 120 s 500 10102", "200", "a new worker has taken the dead one's place"),
    Row("big_5MB", "after 120 s 500 10102", "200", "there is no limit of 4 MiB on the way to the wrapper"),
    Row("wrapper_error_code", "500 10106", "502 10909", "the wrapper's code and words, which the loader lost"),
    Row("wrapper_badkey wrapper_badtype", "500 10106", "502 10106", "the same code, with what was wrong"),
    Row("empty_text", "200", "200", "an empty text is a text"),
    Row(
        "appid_number json_extra_fields parameter_other_service schema_bad_enum unknown_payload_key",
        "200",
        "400 10163",
        "requests are checked against the schema; the loader looked at nothing",
    ),
    Row("json_trailing", "200", "400 10163", "what follows the object is no JSON"),
    Row("text_is_list text_is_object", "200", "400 10163", "data are base64 always; send the JSON's text so"),
    Row("no_appid", "200", "400 10163", "an app id is required"),
    Row("no_header", "200", "400 10313", "so is it without a header"),
    Row("no_content_type", "200", "400", "`Content-Type: application/json` is required"),
    Row("bad_base64 base64_no_padding base64_urlsafe", "500 10001", "400 10163", "whose fault it is, the status says"),
    Row("text_is_number", "500 10001", "400 10163", "whose fault it is, the status says"),
    Row(
        "bad_json empty_body json_array header_not_object parameter_not_object payload_not_object",
        "500 10000",
        "400 10163",
        "whose fault it is, the status says; the place is named, not Go's types",
    ),
    Row("json_null", "after 5 s 500 10009", "400 10313", "null is an empty request, and lacks an app id"),
    Row("expect_encoding_number", "500", "400 10163", "the loader panicked"),
    Row(
        "expect_wrong_type", "500 10106", "200", "what an output's type is, the service knows; the gateway never looked"
    ),
    Row("wrong_path_svc put_on_post_route", "404", "200", "any path that ends in the service's id, and any method"),
    Row("get_on_post_route options", "404", "400", "any method is a call: this one is not JSON"),
    Row("wrong_path", "404", "404", "in JSON, with the services there are"),
    Row("trailing_slash", "307", "404", "a path with a slash at its end is another path"),
    Row("openapi_json", "200", "200", "OpenAPI 3.1, of what is really accepted; the loader's was 3.0.3"),
    Row("get_root head_root", "302", "200", "the page is at `/docs`, nothing leads there from `/`"),
    Row("swagger_index", "200", "200", "the page is at `/docs`"),
    Row("swagger_initializer swagger_missing", "404", "404", "no such file, there or here"),
    Row("ping_get", "400", "200", "`/livez` is how to ask whether somebody is there"),
)

TEXTS: Final[Mapping[str, bytes]] = {
    "binary_out": bytes(range(256)),
    "big_1MB": b"x" * (1 << 20),
    "big_3MB": b"x" * (3 << 20),
    "big_5MB": b"x" * (5 << 20),
    "expect_wrong_type": b"hello world",
    "no_expect": b"hello world",
    "no_parameter": b"hello world",
    "expect_no_data_type": b"hello world",
    "after_plugin_death": b"hello world",
    "wrong_path_svc": b"hello world",
    "put_on_post_route": b"hello world",
    "empty_payload": b"nothing",
    "no_payload": b"nothing",
    "text_is_null": b"",
}
"""Our texts where the loader had none or a wrong one, or too long a one to be kept; elsewhere they are the loader's."""

MESSAGES: Final[Mapping[str, str]] = {
    "wrapper_raises": "RuntimeError: ctrl says so;code=-1",
    "wrapper_error_code": "the wrapper gave up;code=100",
    "wrapper_badkey": "wrapper output data invalid(key or type): 'nosuch' (text) is not among the declared outputs",
    "wrapper_badtype": "wrapper output data invalid(key or type): 'result' (image) is not among the declared outputs",
    "bad_base64": "error:illegal base64 data at input byte 0",
    "base64_no_padding": "error:illegal base64 data at input byte 4",
    "base64_urlsafe": "error:illegal base64 data at input byte 0",
    "bad_json": "request body must be json",
    "no_appid": "'$.header.app_id' field is required",
    "no_header": "appid cannot be empty",
    "text_is_number": "'$.payload.text_in.text' type must be string",
    "expect_encoding_number": "'$.parameter.svcName.result.encoding' type must be string",
}
"""What our messages say, among others."""


PATHS: Final[Mapping[str, str]] = {
    "get_root": "/docs",
    "head_root": "/docs",
    "swagger_index": "/docs",
    "swagger_initializer": "/docs/nothing.js",
    "swagger_missing": "/docs/nothing.html",
    "ping_get": "/livez",
}
"""Where to ask for the same here."""
UNKNOWN: Final[Mapping[str, Mapping[str, object]]] = {
    # No field of a wrapper's class is a list, and a header's members are those of ASF's gateway.
    "ok_dump_params": {"p_list": [1, 2], "p_null": None},
    "ok_header_sid": {"n": 1, "b": False, "x": {"k": 1}},
}
"""Members that nobody here can declare: left out."""


def translated(one: Recording) -> Recording:
    """The same request, as it is put here."""
    body = one.body
    for name, value in UNKNOWN.get(one.name, {}).items():
        member = f', "{name}": {json.dumps(value)}'.encode()
        assert member in body
        body = body.replace(member, b"")
    return one._replace(path=PATHS.get(one.name, one.path), body=body)


RECORDINGS: Final = golden.recordings("http")


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server of the recordings' wrapper, its schema made of its classes."""
    return serve([golden.ECHO])


@pytest.mark.parametrize(("row", "name"), [(row, name) for row in ROWS for name in row.recordings.split()])
def test_request_of_a_loader_client_is_answered(server: Server, row: Row, name: str) -> None:
    """The loader answered as the row says, and so do we; texts are the same, messages say what is wrong."""
    one = RECORDINGS[name]
    assert shown(one.status, one.code, one.seconds) == row.loader
    answer = golden.replay(server.port, translated(one))
    if answer.code == golden.WORKER_DIED:
        server.wait_ready()
    assert shown(answer.status, answer.code) == row.here, answer.body
    if answer.code == 0:
        assert_same_text(name, one, answer)
    if name in MESSAGES:
        assert MESSAGES[name] in answer.json["header"]["message"]


def test_every_recording_has_its_row() -> None:
    """No recording is left out, none is told of twice."""
    assert sorted(name for row in ROWS for name in row.recordings.split()) == sorted(RECORDINGS)


def test_numbers_reach_the_wrapper_as_they_were_written(server: Server) -> None:
    """The loader made 6755399441055744p-52 of 1.5; here the wrapper's parameters are decimal."""
    answer = golden.replay(server.port, translated(RECORDINGS["ok_dump_params"]))
    params = json.loads(answer.data())["params"]
    numbers = {"p_int": "5", "p_float": "1.5", "p_big": "123456789", "p_bool": "true", "p_str": "s"}
    assert {name: params.get(name) for name in numbers} == numbers


def shown(status: int, code: int | None, seconds: float = 0.0) -> str:
    """An answer in a row's form."""
    wait = f"after {seconds:.0f} s " if seconds > SLOW else ""
    return f"{wait}{status}{f' {code}' if code else ''}"


def assert_same_text(name: str, one: Recording, answer: Answer) -> None:
    """Our text, decoded, is the loader's, or that of `TEXTS`; of what it dumps of a call the inputs are compared."""
    if name in TEXTS:
        assert answer.data() == TEXTS[name]
        return
    expected, text = one.json["payload"]["result"]["text"], answer.data().decode()
    if text.startswith("{"):
        assert seen(text) == [{**one, "status": 3} for one in seen(expected)]
    else:
        assert text == expected


def seen(text: str) -> list[Json]:
    """What the wrapper saw of its inputs."""
    listed: list[Json] = json.loads(text)["list"]
    return listed
