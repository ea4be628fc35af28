"""Line 35 of wrapper.md 14, over the wire: members of the header that reach a wrapper as parameters."""

import json
from collections.abc import Iterator

import pytest

from tests.serving import Json, Server, request_of, text_of

DUMP = """
import json
from aiges.dto import Response, ResponseData
from aiges.sdk import StringBodyField, StringParamField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")
    param = StringParamField(key="uid")


class UserResponse:
    accept = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "dump"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        answer = ResponseData()
        answer.key = "result"
        answer.setData(json.dumps(params).encode())
        response = Response()
        response.list = [answer]
        return response
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that answers its parameters, started beside an ASF file."""
    folder = tmp_path_factory.mktemp("dump")
    with Server(folder, DUMP, settings={"service.pass_headers": "uid,patch_id,did"}) as running:
        yield running


def params(server: Server, request: Json) -> dict[str, str]:
    """What the wrapper saw."""
    answer = server.post("dump", request)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = json.loads(text_of(answer.json()))
    return found


def test_line_35_named_headers_become_parameters(server: Server) -> None:
    """Those that are named and sent, as strings; `sid` always; nothing else."""
    request = request_of("dump", "x")
    request["header"] |= {"uid": "u1", "patch_id": ["a", "b"], "mac": "no"}
    seen = params(server, request)
    assert len(seen.pop("sid")) == 32
    assert seen == {"uid": "u1", "patch_id": "a;b"}


def test_line_35_parameter_wins_over_header(server: Server) -> None:
    """What the caller says as a parameter stays."""
    request = request_of("dump", "x", uid="mine")
    request["header"] |= {"uid": "u1", "did": "d1"}
    seen = params(server, request)
    assert (seen["uid"], seen["did"]) == ("mine", "d1")


def test_line_35_one_callers_headers_are_not_anothers(server: Server) -> None:
    """An envelope that is sent again is read anew as far as its own header goes."""
    for uid in ("u1", "u2", "u1"):
        request = request_of("dump", "x")
        request["header"]["uid"] = uid
        assert params(server, request)["uid"] == uid
    assert params(server, request_of("dump", "x")).keys() == {"sid"}
