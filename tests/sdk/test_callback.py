"""`callback` finds the session by whatever id it is given (wrapper.md 1.4)."""

import threading
from collections.abc import Iterator

import pytest

from athena_serving.sdk.callback import Registry, callback, callback_metric, callback_trace, sessions
from athena_serving.sdk.data import Response, ResponseData

Received = list[Response]


def response() -> Response:
    """Something to deliver."""
    return Response([ResponseData("a", b"x")])


@pytest.fixture
def received() -> Iterator[Received]:
    """What the session tag-1 / sid-1 / handle-1 got."""
    got: Received = []
    entry = sessions.open("tag-1", "sid-1", got.append)
    entry.name("handle-1")
    yield got
    entry.close()


@pytest.mark.parametrize(
    "ids", [("tag-1",), ("sid-1",), ("handle-1",), ("handle-1", "sid-1"), ("tag-1", "sid-9"), ("nobody", "sid-1")]
)
def test_any_id_leads_to_the_session(received: Received, ids: tuple[str, ...]) -> None:
    """Tag, sid or handle, alone or with another that means nothing."""
    one = response()
    assert callback(one, *ids) == 0
    assert received == [one]


@pytest.mark.parametrize("ids", [(), ("nobody",), (None,), (5,)])
def test_unknown_session_is_told(received: Received, ids: tuple[object, ...]) -> None:
    """-1, and nobody gets anything."""
    assert callback(response(), *ids) == -1
    assert not received


def test_ended_session_gets_nothing() -> None:
    """Not by any of its ids."""
    got: Received = []
    entry = sessions.open("t", "s", got.append)
    entry.name("h")
    entry.close()
    entry.close()
    assert [callback(response(), one) for one in ("t", "s", "h")] == [-1, -1, -1]
    assert not got


def test_empty_answer_is_not_delivered_but_an_error_is(received: Received) -> None:
    """As ASF's bridge has it."""
    assert callback(Response(), "tag-1") == -1
    assert callback(Response().response_err(5), "tag-1") == 0
    assert [one.error_code for one in received] == [5]


def test_handle_used_again_means_the_new_session(received: Received) -> None:
    """Pools hand out the same handles again and again; the end of the old session does not end the new one's."""
    registry = Registry()
    old = registry.open("t1", "s1", received.append)
    old.name("Process-0-Thread-0")
    new = registry.open("t2", "s2", received.append)
    new.name("Process-0-Thread-0")
    old.close()
    assert registry.find("Process-0-Thread-0") is new


def test_session_that_ended_takes_no_handle() -> None:
    """A handle that comes too late leads nowhere."""
    registry = Registry()
    entry = registry.open("t", "s", print)
    entry.close()
    entry.name("h")
    assert registry.find("h") is None


def test_handles_need_not_be_text(received: Received) -> None:
    """A number that Create returned is the same as its text."""
    entry = sessions.open("t", "s", received.append)
    entry.name(7)
    assert (callback(response(), 7), callback(response(), "7")) == (0, 0)
    entry.close()


def test_many_threads_may_send_at_once(received: Received) -> None:
    """Every response arrives once."""
    threads = [threading.Thread(target=lambda: [callback(response(), "sid-1") for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(received) == 400


def test_counting_and_tracing_never_fail() -> None:
    """0, whether anyone listens or not."""
    assert (callback_metric("tag", "pages", 3), callback_trace("tag", "model", "small")) == (0, 0)
