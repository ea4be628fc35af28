"""Both clients against real servers, and against one that does as a test says."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from athena_serving.client import (
    BadRequest,
    Busy,
    ConnectionLost,
    Input,
    NotReachable,
    ServerFailed,
    ServiceNotFound,
    TimedOut,
    WrapperFailed,
)
from athena_serving.wire import signature
from tests.client.conftest import With
from tests.client.scripted import BUSY, SUCCESS, Said, scripted
from tests.integration.rich import RICH
from tests.serving import ECHO, Server, free_port

TEXT = Input("hello", type="text")
SECRET = "not told"  # noqa: S105  # a test's


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two services."""
    with Server(tmp_path_factory.mktemp("client"), [ECHO, RICH]) as one:
        yield one


# ── a real server ─────────────────────────────────────────────────────────────────────────────────


def test_text_is_sent_and_comes_back(server: Server, with_client: With) -> None:
    """The data type is the schema's; the result has sid, request id, time, attributes and the answer as it came."""
    result = with_client(server.url, lambda client: client.call("echo", {"data": "Grüße, 雅典娜"}))
    output = result.outputs["result"]
    assert (output.key, output.type, output.text, output.is_json) == ("result", "text", "Grüße, 雅典娜", False)
    assert output.attributes["status"] == 3
    assert result.sid == result.request_id == result.raw["header"]["sid"]
    assert result.seconds > 0


def test_files_bytes_and_parameters_arrive(server: Server, with_client: With, tmp_path: Path) -> None:
    """A path's file, bytes and text, each under its type; JSON comes parsed."""
    (tmp_path / "picture.png").write_bytes(b"12345")
    inputs = {"picture": tmp_path / "picture.png", "voice": b"123", "text": "1"}
    result = with_client(server.url, lambda client: client.call("rich", inputs, {"language": "zh", "size": 3}))
    assert result.outputs["boxes"].json == [5, 3, 1]
    assert result.outputs["boxes"].is_json
    assert result.outputs["caption"].text == "5,3,1"


def test_outputs_come_as_they_are_wanted(server: Server, with_client: With) -> None:
    """`outputs` asks for a format; JSON that comes in base64 is parsed all the same."""

    def use(client: Any) -> Any:
        return client.call("rich", {"text": "1"}, {"language": "zh"}, outputs={"boxes": {"format": "plain"}})

    boxes = with_client(server.url, use).outputs["boxes"]
    assert (boxes.is_json, boxes.json, boxes.data) == (False, [1], b"[1]")


def test_header_members_are_sent(server: Server, with_client: With) -> None:
    """Beside the app id, which has a value of its own."""
    with pytest.raises(BadRequest) as caught:
        with_client(server.url, lambda client: client.call("echo", {"data": TEXT}, header={"net_type": "6G"}))
    assert [problem.pointer for problem in caught.value.problems] == ["/header/net_type"]


def test_wrong_parameter_is_named(server: Server, with_client: With) -> None:
    """The server's code, status, sid and places are in the error, and in its words."""
    with pytest.raises(BadRequest) as caught:
        with_client(server.url, lambda client: client.call("rich", {"text": "x"}, {"language": "zh", "size": 99}))
    error = caught.value
    assert (error.code, error.status, error.retry_after) == (10163, 400, None)
    assert error.problems == (("/parameter/rich/size", "value must be less or equal than 9"),)
    assert f"(code 10163, HTTP 400, sid {error.sid})" in str(error)


def test_wrapper_that_raises_is_named(server: Server, with_client: With) -> None:
    """User code's failure is its author's, and not repeated."""
    with pytest.raises(WrapperFailed, match="no model") as caught:
        with_client(server.url, lambda client: client.call("echo", {"data": "raise no model"}))
    assert (caught.value.code, caught.value.status) == (10909, 502)


def test_unknown_service_comes_with_those_there_are(server: Server, with_client: With) -> None:
    """With types given or not."""
    for data in ("x", TEXT):
        with pytest.raises(ServiceNotFound) as caught:
            with_client(server.url, lambda client, data=data: client.call("ecko", {"data": data}))
        assert sorted(caught.value.services) == ["echo", "rich"]


def test_unknown_input_is_named_before_it_is_sent(server: Server, with_client: With) -> None:
    """With those that the service has."""
    with pytest.raises(BadRequest, match=r"'rich' has no input 'pictur'; it has picture \(image\), voice \(audio\)"):
        with_client(server.url, lambda client: client.call("rich", {"pictur": b"x"}))


def test_call_that_takes_too_long_is_given_up(server: Server, with_client: With) -> None:
    """After the call's own timeout, and without a second try."""
    with pytest.raises(TimedOut, match=r"within 0\.\d+ seconds"):
        with_client(server.url, lambda client: client.call("echo", {"data": "wait 20"}, timeout=0.3))


def test_server_tells_of_itself(server: Server, with_client: With) -> None:
    """Services, one's schema, and health."""
    assert with_client(server.url, lambda client: client.services()) == ("echo", "rich")
    schema = with_client(server.url, lambda client: client.schema("rich"))
    assert schema.inputs == {"picture": "image", "voice": "audio", "text": "text"}
    assert schema.outputs == {"boxes": "text", "caption": "text"}
    assert set(schema.params) == {"size", "ratio", "language", "note", "strict"}
    assert schema.params["size"]["maximum"] == 9
    assert "request_id" in schema.header
    assert with_client(server.url, lambda client: client.health())["ready"] is True


# ── again, or not ─────────────────────────────────────────────────────────────────────────────────


def test_busy_server_is_asked_again(with_client: With) -> None:
    """429 and 503 with Retry-After: the same call, up to `retries` times."""
    busy = [Said(429, BUSY, {"retry-after": "0"}), Said(503, BUSY, {"retry-after": "0"})]
    with scripted(*busy, Said()) as script:
        assert with_client(script.url, lambda client: client.call("x", {"data": TEXT})).sid == "s1"
    first, second, third = script.heard
    assert first.body == second.body == third.body


def test_retry_after_is_honoured(with_client: With) -> None:
    """Never before the seconds that the server asks for."""
    with scripted(Said(503, BUSY, {"retry-after": "1"}), Said()) as script:
        began = time.monotonic()
        result = with_client(script.url, lambda client: client.call("x", {"data": TEXT}))
        assert time.monotonic() - began >= 1.0
    assert result.seconds >= 1.0


def test_last_refusal_is_told(with_client: With) -> None:
    """When no try is left, the error is the server's."""
    busy = Said(429, BUSY, {"retry-after": "0"})
    with scripted(busy) as script, pytest.raises(Busy, match="the queue is full") as caught:
        with_client(script.url, lambda client: client.call("x", {"data": TEXT}), retries=1)
    assert len(script.heard) == 2
    assert (caught.value.code, caught.value.retry_after) == (10110, 0.0)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(503, BUSY), Busy),
        (Said(429, BUSY, {"retry-after": "600"}), Busy),
        (Said(502, b"<html>", {"retry-after": "0"}), ServerFailed),
        (Said(400, BUSY, {"retry-after": "0"}), Busy),
        (Said(0), ConnectionLost),
        (Said(200, b"<html>"), ServerFailed),
        (Said(200, SUCCESS, {"content-encoding": "gzip"}), ServerFailed),
    ],
    ids=["no Retry-After", "longer than the call has", "other status", "code only", "lost", "not ours", "no gzip"],
)
def test_nothing_else_is_sent_twice(with_client: With, said: Said, kind: type[Exception]) -> None:
    """The service may have run: only a status that says so allows another try, and only within the call's time."""
    with scripted(said) as script, pytest.raises(kind):
        with_client(script.url, lambda client: client.call("x", {"data": TEXT}), timeout=5.0)
    assert len(script.heard) == 1


def test_silent_server_is_given_up(with_client: With) -> None:
    """No answer within the call's time, and no second try."""
    with scripted(Said(-1)) as script:
        with pytest.raises(TimedOut):
            with_client(script.url, lambda client: client.call("x", {"data": TEXT}), timeout=0.3)
        assert len(script.heard) == 1


def test_nobody_there_is_tried_again_and_told(with_client: With) -> None:
    """A refused connection carried nothing, so there are further tries, and then an error with the address."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotReachable, match=f"no server at {url}") as caught:
        with_client(url, lambda client: client.health())
    assert not isinstance(caught.value, ConnectionLost)


# ── who calls ─────────────────────────────────────────────────────────────────────────────────────


def test_url_is_signed_with_a_key(with_client: With) -> None:
    """Scheme A over method, host and path without the query; every try has a signature that the verifier takes."""
    with scripted(Said(503, BUSY, {"retry-after": "0"}), Said()) as script:
        url = f"{script.url}/behind"
        with_client(url, lambda client: client.call("a b", {"data": TEXT}), api_key="key", api_secret=SECRET)
    for heard in script.heard:
        parts = urlsplit(heard.target)
        signed = signature.read_query(dict(parse_qsl(parts.query)))
        assert parts.path == "/behind/v1/private/a%20b"
        assert signed.host == urlsplit(script.url).netloc == heard.headers["Host"]
        signature.verify(signed, {"key": SECRET}.get, method="POST", path=parts.path, now=datetime.now(UTC))


def test_unsigned_url_has_no_query(with_client: With) -> None:
    """Without a key; a secret stays out of the client's repr."""
    with scripted(Said()) as script:
        with_client(script.url, lambda client: client.call("x", {"data": TEXT}))
    assert script.heard[0].target == "/v1/private/x"


@pytest.mark.parametrize("url", ["127.0.0.1:1888", "ftp://host", "http://", "http://host?x=1"])
def test_what_is_no_address_is_refused(with_client: With, url: str) -> None:
    """When the client is made."""
    with pytest.raises(ValueError, match="no address of a server"):
        with_client(url, lambda client: client.health())


def test_half_a_key_is_refused(with_client: With) -> None:
    """Rather than sent unsigned."""
    with pytest.raises(ValueError, match="belong together"):
        with_client("http://127.0.0.1", lambda client: client.health(), api_key="key")


def test_what_is_no_input_is_refused(with_client: With) -> None:
    """With its name and type."""
    with pytest.raises(TypeError, match="input 'data' is int"):
        with_client("http://127.0.0.1", lambda client: client.call("x", {"data": 7}))
