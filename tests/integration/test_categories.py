"""Categories: one path, several services behind it (http-api.md 5.3)."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.actor import ACTOR
from tests.serving import ATHENA, ECHO, Json, Server, request_of, text_of

META: Json = {
    "serviceId": "words",
    "type": "category",
    "route": "/v1/words/any",
    "codeMap": {"10404": 430, "10909": 431},
    "subRoute": [
        {"subServiceId": "actor", "priority": 9, "rules": {"$.header.uid": ["a", "b"]}},
        {"subServiceId": "echo", "priority": 5, "rules": {"$.header.uid": "e"}},
        {"subServiceId": "gone", "priority": 1, "rules": {"$.header.uid": "g"}},
    ],
}


def written(folder: Path, meta: Json) -> Path:
    """A category's folder."""
    folder.mkdir()
    (folder / "schema.json").write_text(json.dumps({"meta": meta}))
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`actor` and `echo`, and a category that leads to them."""
    folder = tmp_path_factory.mktemp("categories")
    category = written(folder / "words", META)
    companion = written(folder / "companion", {**META, "serviceId": "hidden", "companion_route": "/v9/companion"})
    with Server(folder, [ACTOR, ECHO, category, companion]) as running:
        yield running


def request(uid: str, service: str, text: str, **params: str) -> Json:
    """A request of a user for the service that its rule leads to."""
    document = request_of(service, text, **params)
    document["header"]["uid"] = uid
    return document


@pytest.mark.parametrize(("uid", "service"), [("a", "actor"), ("b", "actor"), ("e", "echo")])
def test_call_goes_where_its_rule_leads(server: Server, uid: str, service: str) -> None:
    """By name, and by the category's own route."""
    answer = server.post("words", request(uid, service, "hello"))
    assert (answer.status_code, text_of(answer.json())) == (200, "hello")
    assert server.post("../words/any", request(uid, service, "hello")).status_code == 200


def test_request_is_checked_against_the_schema_behind(server: Server) -> None:
    """What one service takes, another refuses."""
    answer = server.post("words", request("e", "echo", "hello", size="5"))
    assert answer.status_code == 400
    assert answer.json()["header"]["errors"][0]["pointer"] == "/parameter/echo/size"


def test_statuses_are_the_categorys(server: Server) -> None:
    """Its codeMap counts for what the service behind answers, and for its own refusals."""
    assert server.post("words", request("a", "actor", "raise no")).status_code == 431
    nowhere = server.post("words", request("x", "actor", "hello"))
    assert (nowhere.status_code, nowhere.json()["header"]["message"]) == (430, "no companion route found")


def test_missing_service_is_named(server: Server) -> None:
    """The rule leads to a service that nobody serves."""
    answer = server.post("words", request("g", "gone", "hello"))
    assert answer.json()["header"]["code"] == 10404
    assert answer.json()["header"]["message"] == "sub service not found:gone"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null"])
def test_body_that_is_no_object_is_refused_as_everywhere(server: Server, content: bytes) -> None:
    """10163 for what is not JSON; null is an empty request, which no rule fits."""
    url = f"{server.url}/v1/private/words"
    answer = httpx.post(url, content=content, headers={"content-type": "application/json"}, trust_env=False)
    assert answer.json()["header"]["code"] == (10404 if content == b"null" else 10163)


def test_companion_route_is_the_only_way(server: Server) -> None:
    """Its name in a path means nothing, but the 404 lists it."""
    refused = server.post("hidden", request("e", "echo", "hello"))
    assert (refused.status_code, refused.json()["services"]) == (404, ["actor", "echo", "hidden", "words"])
    assert server.post("../../v9/companion", request("e", "echo", "hello")).status_code == 200


def test_calls_are_counted_where_they_go(server: Server) -> None:
    """The service that answers has the call, the category what it refused; nothing stays in flight."""
    before = server.total("athena_calls_total", service="echo")
    server.post("words", request("e", "echo", "hello"))
    server.post("words", request("x", "echo", "hello"))
    assert server.total("athena_calls_total", service="echo") == before + 1
    assert server.total("athena_calls_total", service="words", code="10404") >= 1
    for name in ("words", "echo"):
        assert server.total("athena_calls_in_flight", service=name) == 0


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({**META, "subRoute": "x"}, "subRoute must be an array"),
        ({**META, "serviceId": "metrics"}, "that path is the server's own"),
        ({**META, "serviceId": "actor"}, "two services are called 'actor'"),
        ({"serviceId": "words"}, "schema.json is no category"),
    ],
)
def test_malformed_category_stops_the_start(tmp_path: Path, meta: Json, message: str) -> None:
    """Exit code 2 or 3, with the place."""
    (tmp_path / "actor").mkdir()
    (tmp_path / "actor" / "wrapper.py").write_text(ACTOR)
    written(tmp_path / "words", meta)
    command = [str(ATHENA), "serve", "actor", "words", "--port", "0", "--admin-port", "0"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode in (2, 3)
    assert message in ended.stderr
    assert "where:" in ended.stderr
