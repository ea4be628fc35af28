"""Personal resources in a real server: calls and sessions ask by id, edits are loaded anew, the end unloads all."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.compat.talking import Talk, frame
from tests.serving import Json, Server, request_of, text_of

WRAPPER: Final = """
import json

from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"warm up")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "hot"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.words = {}
        return 0

    def wrapperLoadRes(self, reqData, patch_id):
        node = reqData.list[0]
        words = node.data.decode()
        if words == "bad":
            return 17
        self.words[int(node.desc["persId"])] = words
        print("has", patch_id, flush=True)
        return 0

    def wrapperUnloadRes(self, patch_id):
        print("lost", patch_id, flush=True)
        return 0

    def wrapperError(self, code):
        return "bad hot words"

    def said(self, persId):
        return json.dumps([persId, self.words.get(persId)])

    def wrapperOnceExec(self, params, reqData, persId=0):
        return Response([ResponseData("result", self.said(persId))])

    def wrapperStream(self, params, pieces, persId=0):
        for piece in pieces:
            yield self.said(persId)

    def wrapperFini(self):
        print("fini", flush=True)
        return 0
"""
"""Service `hot`: answers with the number and the content of the resource that it was called with."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, which keeps two resources."""
    folder = tmp_path_factory.mktemp("resources")
    words = folder / "service-0" / "users"
    words.mkdir(parents=True)
    for name in ("anna", "bert", "carl", "edited"):
        (words / f"{name}.txt").write_text(f"words of {name}")
    (words / "broken.txt").write_text("bad")
    (folder / "service-0" / "secret.txt").write_text("secret")
    with Server(folder, WRAPPER, settings={"service.resources": "users", "service.resources_max": 2}) as one:
        yield one


def asked(server: Server, ids: list[str], **header: str) -> tuple[int, Json]:
    """One call with `patch_id`."""
    document = request_of("hot", "data")
    document["header"] |= {"patch_id": ids, **header}
    answer = server.post("hot", document)
    body: Json = answer.json()
    return answer.status_code, body


def said(answer: tuple[int, Json]) -> tuple[int, str | None]:
    """The number and the content that user code had."""
    status, body = answer
    assert status == 200, body
    number, content = json.loads(text_of(body))
    return number, content


def session(server: Server, ids: list[str]) -> list[Json]:
    """The answers to a session of one frame."""
    first = frame("hot", 2, params={}, data=b"data")
    first["header"]["patch_id"] = ids
    with Talk(server.port, "/v1/private/hot") as talk:
        talk.send(first)
        return talk.hear_last()


def test_call_has_the_resource_that_it_asks_for(server: Server) -> None:
    """By `patch_id`, the first of several, or by `res_id`; a call that asks for none has number 0."""
    number, content = said(asked(server, ["anna"]))
    assert (number > 0, content) == (True, "words of anna")
    assert said(asked(server, ["anna", "bert"])) == (number, "words of anna")
    assert said(asked(server, [], res_id="anna")) == (number, "words of anna")
    assert said(server.call("hot", "data")) == (0, None)
    assert server.logged("has anna")


def test_session_has_it_as_well(server: Server) -> None:
    """The number that calls have."""
    number, _ = said(asked(server, ["anna"]))
    frames = session(server, ["anna"])
    texts = [text_of(one) for one in frames if one.get("payload", {}).get("result", {}).get("text")]
    assert [json.loads(one) for one in texts] == [[number, "words of anna"]]
    assert {one["header"]["code"] for one in frames} == {0}


@pytest.mark.parametrize("ids", [["nobody"], ["anna", "nobody"], ["../secret"], ["secret.txt"], ["."], ["x" * 1024]])
def test_unknown_id_is_a_bad_request(ids: list[str], server: Server) -> None:
    """400 with code 10163, and words that name the member; the session has the same code in its frame."""
    status, body = asked(server, ids)
    assert (status, body["header"]["code"]) == (400, 10163)
    assert "'$.header.patch_id' names no resource of the service" in body["header"]["message"]
    last = session(server, ids)[-1]
    assert last["header"]["code"] == 10163
    assert "names no resource of the service" in last["header"]["message"]


def test_resource_that_cannot_be_loaded_fails_its_caller(server: Server) -> None:
    """502 with the wrapper's words: 10909 for a call, 10905 for a session."""
    status, body = asked(server, ["broken"])
    assert (status, body["header"]["code"]) == (502, 10909)
    assert body["header"]["message"] == "bad hot words;code=17"
    last = session(server, ["broken"])[-1]
    assert (last["header"]["code"], last["header"]["message"]) == (10905, "bad hot words;code=17")


def test_edit_is_loaded_by_the_next_call(server: Server) -> None:
    """Without a restart of anything."""
    before = server.workers("hot")
    path = server.paths[0] / "users" / "edited.txt"
    number, content = said(asked(server, ["edited"]))
    assert content == "words of edited"
    path.write_text("other words")
    assert said(asked(server, ["edited"])) == (number, "other words")
    server.logged("lost edited")
    assert server.workers("hot") == before


def test_too_many_push_out_the_oldest(server: Server) -> None:
    """Two are kept: the third unloads the one used least recently."""
    for name in ("anna", "bert", "carl"):
        said(asked(server, [name]))
    server.logged("has carl")
    kept: list[str] = []
    for line in server.log():
        verb, _, name = str(line.get("message")).partition(" ")
        if verb == "has":
            kept.append(name)
        elif verb == "lost":
            kept.remove(name)
    assert kept == ["bert", "carl"]


def test_end_unloads_all_before_fini(tmp_path: Path) -> None:
    """A worker that is stopped unloads what it has, then runs `wrapperFini`."""
    words = tmp_path / "service-0" / "users"
    words.mkdir(parents=True)
    for name in ("anna", "bert"):
        (words / name).write_text("words")
    with Server(tmp_path, WRAPPER, settings={"service.resources": words}) as server:
        said(asked(server, ["anna", "bert"]))
        assert server.stop() == 0
        messages = [str(line.get("message")) for line in server.log()]
    wanted = ["has anna", "has bert", "lost anna", "lost bert", "fini"]
    assert [one for one in messages if one in wanted] == wanted


def test_folder_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    """With exit code 3, the setting and what helps."""
    with Server(tmp_path, WRAPPER, settings={"service.resources": "nowhere"}, ready=False) as server:
        assert server.wait() == 3
        assert "service.resources" in server.log_text()
        assert "no folder" in server.log_text()


def test_without_the_setting_ids_mean_nothing(tmp_path: Path) -> None:
    """As in ASF's open loader: they are passed over, and nothing is loaded."""
    with Server(tmp_path, WRAPPER) as server:
        assert said(asked(server, ["anna"])) == (0, None)
        assert not server.log("has anna")
