"""Mistakes in a call, the author's and the caller's: answer and log name the thing, the place and the remedy."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.integration import mistakes
from tests.serving import Json, Server, eventually, request_of, text_of

WRAPPER = '''
import json, time
from athena_serving.sdk import IntegerParamField, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")
    size = IntegerParamField(key="size", minimum=1, maximum=9, value=5)


class UserResponse:
    result = StringBodyField(key="result")


class Image:
    """Is called as a picture of PIL is."""


class Wrapper(WrapperBase):
    serviceId = "ocr"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        return getattr(self, reqData.get("data").data.decode())(params, reqData)

    def text(self, params, reqData):
        return Response([ResponseData(key="result", data="größer")])

    def key(self, params, reqData):
        return Response([ResponseData(key="reslt", data=b"x")])

    def kind(self, params, reqData):
        return Response([ResponseData(key="result", data=b"x", type=2)])

    def boxes(self, params, reqData):
        return Response([ResponseData(key="result", data={"boxes": []})])

    def number(self, params, reqData):
        return Response([ResponseData(key="result", data=5)])

    def nothing(self, params, reqData):
        return Response([ResponseData(key="result", data=None)])

    def picture(self, params, reqData):
        return Response([ResponseData(key="result", data=Image())])

    def plain(self, params, reqData):
        return {"result": b"x"}

    def forgotten(self, params, reqData):
        Response([ResponseData(key="result", data=b"x")])

    def empty(self, params, reqData):
        return Response()

    def bare(self, params, reqData):
        response = Response()
        response.list = [b"x"]
        return response

    def unsent(self, params, reqData):
        return reqData.get("image").data

    def unknown(self, params, reqData):
        return params["lang"]

    def compare(self, params, reqData):
        return params["size"] > 3

    def loud(self, params, reqData):
        for number in range(5000):
            print("x" * 1000)
        return self.text(params, reqData)

    def quiet(self, params, reqData):
        print("one line")
        return self.text(params, reqData)

    def slow(self, params, reqData):
        while True:
            time.sleep(0.01)
'''
BODY = 20_000
"""Bytes that a request may have."""


@pytest.fixture(scope="module")
def ocr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose text says which mistake it makes."""
    settings = {"server.limits.call_timeout": 2, "server.limits.body": BODY}
    with Server(tmp_path_factory.mktemp("calling"), WRAPPER, "--log", "human", settings=settings) as server:
        yield server


# ── the author's ──────────────────────────────────────────────────────────────────────────────────


class Slip(NamedTuple):
    """One mistake of `wrapperOnceExec`."""

    name: str
    """As docs/mistakes.md has it."""
    word: str
    """The method above that makes it."""
    line: str
    """The line of the wrapper that must be named."""


ONCE = "    def wrapperOnceExec("
LOGGED = [
    Slip("a dict, a list or a number as data", "boxes", 'data={"boxes": []}'),
    Slip("a dict, a list or a number as data", "number", "data=5)"),
    Slip("None as data", "nothing", "data=None)"),
    Slip("a picture's object as data", "picture", "data=Image()"),
    Slip("a dict or bytes returned", "plain", ONCE),
    Slip("`return` forgotten", "forgotten", ONCE),
    Slip("a Response without an output", "empty", ONCE),
    Slip("bytes in the place of an output", "bare", ""),
    Slip("an input that was not sent", "unsent", 'reqData.get("image")'),
    Slip("a parameter that was not sent", "unknown", 'params["lang"]'),
    Slip("a parameter taken for a number", "compare", 'params["size"] > 3'),
]


@pytest.mark.parametrize("slip", LOGGED, ids=lambda slip: slip.word)
def test_slip_of_the_author_is_told(ocr: Server, slip: Slip) -> None:
    """The caller gets 502 and what was wrong; the log, by the same sid, the line of the file and the remedy."""
    header = told(ocr, slip.word)
    logged = eventually(lambda: of_call(ocr, header["sid"]), what="the help")
    if slip.line:
        number = next(number for number, line in enumerate(WRAPPER.splitlines(), 1) if slip.line in line)
        assert f"({ocr.paths[0]}/wrapper.py line {number})" in logged
    mistakes.assert_told(slip.name, f"{header['message']}\n{logged}")


def told(server: Server, word: str) -> Json:
    """The header of the answer to a call with `size` 5 that fails by the wrapper's fault."""
    document = request_of("ocr", word)
    document["parameter"]["ocr"] = {"size": 5}
    answer = server.post("ocr", document)
    header: Json = answer.json()["header"]
    assert (answer.status_code, header["code"]) == (502, 10909)
    return header


def of_call(server: Server, sid: str) -> str:
    """The error that the log has of a call, from its line to its help; empty before it is there."""
    lines = rf"^[^\n]* ERROR [^\n]*sid={re.escape(sid)}.*?^  help: [^\n]*\n"
    found = re.search(lines, server.log_text(), re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def test_traceback_begins_in_the_authors_file(ocr: Server) -> None:
    """Our own calls above it help nobody."""
    sid = told(ocr, "compare")["sid"]
    lines = eventually(lambda: of_call(ocr, sid), what="the help").splitlines()
    assert lines[1] == "Traceback (most recent call last):"
    assert f'File "{ocr.paths[0]}/wrapper.py"' in lines[2]


def test_text_in_the_place_of_bytes_is_no_mistake(ocr: Server) -> None:
    """A str goes out as UTF-8."""
    status, body = ocr.call("ocr", "text")
    assert (status, text_of(body)) == (200, "größer")


@pytest.mark.parametrize(("name", "word"), [("an output's key misspelt", "key"), ("an output of another type", "kind")])
def test_output_that_is_not_declared_is_told(ocr: Server, name: str, word: str) -> None:
    """Its key and type, and those that are declared."""
    status, body = ocr.call("ocr", word)
    assert (status, body["header"]["code"]) == (502, 10106)
    mistakes.assert_told(name, body["header"]["message"])


def test_slow_call_is_told(ocr: Server) -> None:
    """The setting that ended it."""
    status, body = ocr.call("ocr", "slow")
    assert (status, body["header"]["code"]) == (504, 10102)
    mistakes.assert_told("a call that takes too long", body["header"]["message"])


def test_loud_call_is_told(ocr: Server) -> None:
    """It is answered; what it printed beyond the bound is counted, with the setting and the worker."""
    assert ocr.call("ocr", "loud")[0] == 200
    eventually(lambda: ocr.call("ocr", "quiet") and "more lines in that second" in ocr.log_text(), what="the count")
    mistakes.assert_told("megabytes printed", ocr.log_text())


# ── the caller's ──────────────────────────────────────────────────────────────────────────────────


class Wrong(NamedTuple):
    """One wrong request."""

    name: str
    """As docs/mistakes.md has it."""
    document: Json
    status: int
    pointer: str
    """What `header.errors` must point to."""


def changed(*path: str, to: object) -> Json:
    """A good request but for one place."""
    document = request_of("ocr", "text")
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = to
    return document


REQUESTS = [
    Wrong("data that is not base64", changed("payload", "data", "text", to="größer"), 400, "/payload/data/text"),
    Wrong("no app id", changed("header", to={}), 400, "/header/app_id"),
    Wrong("an unknown parameter", request_of("ocr", "text", sise="5"), 400, "/parameter/ocr/sise"),
    Wrong("an unknown input", request_of("ocr", "text", key="dta"), 400, "/payload/dta"),
    Wrong("a parameter of the wrong type", request_of("ocr", "text", size="5"), 400, "/parameter/ocr/size"),
    Wrong("a parameter beyond its bounds", changed("parameter", "ocr", to={"size": 50}), 400, "/parameter/ocr/size"),
    Wrong("another service's parameters", changed("parameter", to={"ocrr": {}}), 400, "/parameter/ocrr"),
    Wrong("a body that is too large", request_of("ocr", "x" * BODY), 413, ""),
]


@pytest.mark.parametrize("wrong", REQUESTS, ids=lambda wrong: wrong.name)
def test_wrong_request_is_told(ocr: Server, wrong: Wrong) -> None:
    """A code, words for people, and for programs a pointer to each place."""
    answer = ocr.post("ocr", wrong.document)
    header = answer.json()["header"]
    assert (answer.status_code, header["code"]) == (wrong.status, 10163)
    if wrong.pointer:
        assert wrong.pointer in [problem["pointer"] for problem in header["errors"]]
    mistakes.assert_told(wrong.name, answer.text)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a body that is not JSON", b"{'header': {}}", "application/json"),
        ("another content type", b"header=1", "application/x-www-form-urlencoded"),
    ],
)
def test_body_of_another_kind_is_told(ocr: Server, name: str, content: bytes, kind: str) -> None:
    """What it must be, and where it stops being so."""
    url = f"{ocr.url}/v1/private/ocr"
    answer = httpx.post(url, content=content, headers={"content-type": kind}, trust_env=False)
    assert answer.status_code == 400
    mistakes.assert_told(name, answer.text)


def test_path_of_no_service_is_told(ocr: Server) -> None:
    """The services that there are."""
    answer = ocr.post("orc", request_of("ocr", "text"))
    assert answer.status_code == 404
    mistakes.assert_told("a path of no service", answer.text)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────


def test_every_mistake_of_the_page_is_made() -> None:
    """No row of docs/mistakes.md without a test here or among those of starting, and twenty at least."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_mistakes_*.py"))
    names = mistakes.rows()
    assert [name for name in names if f'"{name}"' not in source] == []
    assert len(names) >= 20
