"""`http2 = true`: the same service over HTTP/2 without TLS, beside HTTP/1.1 on the same port."""

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.actor import ACTOR
from tests.serving import Server, request_of, text_of

pytest.importorskip("zttp")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that speaks both."""
    with Server(tmp_path_factory.mktemp("both"), ACTOR, settings={"server.http2": "true"}) as server:
        yield server


@pytest.fixture
def client(both: Server) -> Iterator[httpx.Client]:
    """A client that begins with HTTP/2, with prior knowledge (RFC 9113 3.3)."""
    with httpx.Client(base_url=both.url, http1=False, http2=True, trust_env=False) as speaking:
        yield speaking


def test_call_over_http2_is_answered(client: httpx.Client) -> None:
    """A call, with its headers, is the same over HTTP/2."""
    answer = client.post("/v1/private/actor", json=request_of("actor", "hi"), headers={"X-Request-ID": "mine"})
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    assert text_of(answer.json()) == "hi"
    assert answer.headers["x-request-id"] == "mine"


def test_errors_and_probes_over_http2(client: httpx.Client) -> None:
    """So are refusals and probes."""
    assert client.get("/readyz").status_code == 200
    assert client.get("/nothing").json() == {"message": "not found", "services": ["actor"]}
    refused = client.post("/actor", content=b"x", headers={"content-type": "text/plain"})
    assert (refused.http_version, refused.status_code) == ("HTTP/2", 400)


def test_http1_still_works_on_that_port(both: Server) -> None:
    """Who speaks HTTP/1.1 notices nothing."""
    assert both.call("actor", "hi")[0] == 200
