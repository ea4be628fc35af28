"""What is too big, too much or too slow is refused at once, in words, and says when to come back."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.actor import ACTOR, ask
from tests.serving import Json, Server, eventually, request_of

BODY = 50_000  # bytes that one body may have here
INFLIGHT = 60_000  # bytes that all bodies may have together
HEAD = "POST /actor HTTP/1.1\nHost: x\nContent-Type: application/json\n"

Hold = Callable[..., None]


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one seat, one place in the queue and little memory."""
    limits = {"server.limits.body": BODY, "server.limits.inflight_bytes": INFLIGHT, "workers.queue": 1}
    with Server(tmp_path_factory.mktemp("tight"), ACTOR, settings=limits) as server:
        yield server


@pytest.fixture
def hold(tight: Server, tmp_path: Path) -> Iterator[Hold]:
    """Starts a call that user code keeps until the test is over; it is with user code, or in the queue, by then."""
    gate = tmp_path / "gate"
    calls: list[Future[tuple[int, Json]]] = []
    with ThreadPoolExecutor() as threads:

        def start(padding: int = 0) -> None:
            calls.append(threads.submit(tight.call, "actor", f"until {gate}{' ' * padding}"))
            eventually(lambda: tight.total("athena_calls_in_flight") == len(calls), what="the held call's arrival")

        yield start
        gate.touch()
    assert [call.result()[0] for call in calls] == [200] * len(calls)
    eventually(lambda: tight.total("athena_calls_in_flight") == 0, what="the end of the held calls")


def test_declared_length_over_the_limit_is_refused_unread(tight: Server) -> None:
    """413 comes before a byte of the body was sent, and names limit and setting."""
    answer = ask(tight.port, f"{HEAD}Content-Length: 1000000000")
    assert (answer.status, answer.code) == (413, 10163)
    assert str(BODY).encode() in answer.body
    assert b"server.limits.body" in answer.body


def test_endless_body_is_refused_at_the_limit(tight: Server) -> None:
    """A chunked body without an end gets its 413 as soon as it has passed the limit."""
    chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    answer = ask(tight.port, f"{HEAD}Transfer-Encoding: chunked", chunk * 200)
    assert (answer.status, answer.code) == (413, 10163)


def test_short_body_without_a_length_is_measured_too(tight: Server) -> None:
    """A chunked body that comes whole in one piece is held to the same limit."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (BODY + 1, b" " * (BODY + 1))
    answer = ask(tight.port, f"{HEAD}Transfer-Encoding: chunked", body)
    assert (answer.status, answer.code) == (413, 10163)


def test_body_at_the_limit_is_read(tight: Server) -> None:
    """Exactly the limit is not over it: the fault is then found in what was sent."""
    answer = ask(tight.port, f"{HEAD}Content-Length: {BODY}", b" " * BODY)
    assert (answer.status, answer.code) == (400, 10163)


def test_headers_over_the_limit_are_refused(tight: Server) -> None:
    """431 for a head that is longer than `server.limits.header`."""
    answer = ask(tight.port, f"{HEAD}X-Long: {'x' * 40_000}\nContent-Length: 0")
    assert (answer.status, answer.code) == (431, 10163)


def test_bytes_in_flight_are_bounded(tight: Server, hold: Hold) -> None:
    """429 with Retry-After when a request's bytes and those of the calls in progress pass the budget."""
    hold(padding=INFLIGHT // 2)  # in base64 two thirds of the budget
    small, large = INFLIGHT // 4, INFLIGHT // 2
    assert ask(tight.port, f"{HEAD}Content-Length: {small}", b" " * small).status == 400  # there was room for it
    answer = ask(tight.port, f"{HEAD}Content-Length: {large}")
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, 10110, "1")
    assert b"bytes of requests are in flight" in answer.body


def test_full_queue_refuses_before_the_body(tight: Server, hold: Hold) -> None:
    """429 with Retry-After once seat and queue are taken, before a byte of the body was sent."""
    hold()
    hold()
    assert tight.total("athena_calls_running") == 1
    assert tight.total("athena_queue_depth") == 1
    answer = ask(tight.port, f"{HEAD}Content-Length: 100")
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (429, 10110, "1")
    assert answer.headers["x-request-id"]
    assert tight.probe("/readyz") == 200  # full is not ill


def test_late_answer_becomes_504(tmp_path: Path) -> None:
    """A call past `call_timeout` is answered 504 with code 10102, naming the setting; the seat is free again."""
    with Server(tmp_path, ACTOR, settings={"server.limits.call_timeout": 0.3}) as server:
        status, body = server.call("actor", f"until {tmp_path / 'never'}")
        assert (status, body["header"]["code"]) == (504, 10102)
        assert "server.limits.call_timeout" in body["header"]["message"]
        assert server.call("actor", "next")[0] == 200


def test_no_seat_and_no_queue_refuses_at_once(tmp_path: Path) -> None:
    """With `queue = 0` a second call is refused while the first runs, as ASF did."""
    gate = tmp_path / "gate"
    with Server(tmp_path, ACTOR, "--queue", "0") as server, ThreadPoolExecutor() as threads:
        first = threads.submit(server.call, "actor", f"until {gate}")
        server.wait_for(lambda health: health["services"]["actor"]["workers"][0].get("running") == 1)
        refused = httpx.post(f"{server.url}/actor", json=request_of("actor", "hi"), trust_env=False)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        gate.touch()
        assert first.result()[0] == 200
