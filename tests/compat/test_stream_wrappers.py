"""Wrappers of sessions in every spelling of the field, unchanged, in a real server.

Each folder of `wrappers/streams/` holds one: it says every text back in capitals, with the text's own status, and logs
`destroyed` with the sid. How it does so is its own: a pool of the SDK's, threads of its own, results that are fetched.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.compat.golden import Json
from tests.compat.talking import Talk, data_of, frame
from tests.serving import Server, request_of, text_of

STREAMS: Final = Path(__file__).parent / "wrappers" / "streams"
NAMES: Final = sorted(path.parent.name for path in STREAMS.glob("*/wrapper.py"))
PATIENCE: Final = 90.0  # seconds; many workers start at once
WORDS: Final = (b"go", b"forward", b"ten meters")

every_wrapper = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of all wrappers, two sessions each; at its end it must stop in time and with exit code 0."""
    folder = tmp_path_factory.mktemp("streams")
    settings = {"workers.seats": 2, "wrapper.folder": folder}
    with Server(folder, [STREAMS / name for name in NAMES], settings=settings, ready=False) as server:
        server.wait_ready(PATIENCE)
        yield server


def step(name: str, status: int, text: bytes) -> Json:
    """A frame with a text, which says how it is encoded."""
    document = frame(name, status, data=text)
    document["payload"]["data"]["encoding"] = "utf8"
    return document


def begun(talk: Talk) -> str:
    """The sid of a session that has begun."""
    first = talk.hear()
    assert (first["header"]["code"], first["header"]["status"]) == (0, 0)
    assert "payload" not in first
    return str(first["header"]["sid"])


@every_wrapper
def test_session_goes_as_it_always_did(field: Server, name: str) -> None:
    """An acknowledgement, a result for each text, with its status and number, and one `wrapperDestroy`."""
    with Talk(field.port, f"/v1/private/{name}") as talk:
        talk.send(*(step(name, status, word) for status, word in enumerate(WORDS)))
        sid = begun(talk)
        results = talk.hear_last()
        assert talk.leave() == []
    assert [data_of(one) for one in results] == [word.upper() for word in WORDS]
    assert [one["header"]["status"] for one in results] == [0, 1, 2]
    blocks = [one["payload"]["result"] for one in results]
    assert [(one["status"], one["seq"]) for one in blocks] == [(0, 1), (1, 2), (2, 3)]
    assert {one["header"]["sid"] for one in results} == {sid}
    assert field.logged(f"destroyed {sid}", worker=f"{name}-0")
    assert len(field.log(f"destroyed {sid}")) == 1


@every_wrapper
def test_two_sessions_at_once_hear_their_own(field: Server, name: str) -> None:
    """Results find their session, and what one hears the other does not; again and again, as soon as one has ended."""
    sids: list[str] = []
    for _ in range(3):
        with ExitStack() as stack:
            talks = [stack.enter_context(Talk(field.port, f"/v1/private/{name}")) for _ in range(2)]
            for talk in talks:
                talk.send(step(name, 0, b"x"))
                sids.append(begun(talk))
            for status, letter in ((1, b"a"), (2, b"b")):
                for number, talk in enumerate(talks):
                    talk.send(step(name, status, b"%b%d" % (letter, number)))
            for number, talk in enumerate(talks):
                assert [data_of(one) for one in talk.hear_last()] == [b"X", b"A%d" % number, b"B%d" % number]
    assert len({*sids}) == 6
    for sid in sids:
        assert field.logged(f"destroyed {sid}", worker=f"{name}-0")


@every_wrapper
def test_session_of_a_client_that_leaves_is_destroyed(field: Server, name: str) -> None:
    """In the middle, once; and another client gets the seat."""
    with Talk(field.port, f"/v1/private/{name}") as talk:
        talk.send(step(name, 0, b"x"))
        sid = begun(talk)
    assert field.logged(f"destroyed {sid}", worker=f"{name}-0")
    with Talk(field.port, f"/v1/private/{name}") as talk:
        talk.send(step(name, 2, b"again"))
        begun(talk)
        assert data_of(talk.hear_last()[-1]) == b"AGAIN"
    assert len(field.log(f"destroyed {sid}")) == 1


def test_sessions_can_be_called_by_one_request(field: Server) -> None:
    """A plain POST is a session of one step, where the wrapper has no other method for it."""
    status, body = field.call("by_sid", "hello")
    assert (status, text_of(body)) == (200, "HELLO")
    status, body = field.call("thread_pool", "hello")
    assert (status, body["header"]["code"]) == (502, 10909)  # it has a method, and that fails
    answer = field.post("old_functions", request_of("old_functions", None))
    assert (answer.status_code, answer.json()["header"]["code"]) == (501, 10600)  # its schema has no status 3


def test_threads_of_a_wrapper_hear_of_the_end(field: Server) -> None:
    """`callback` after the last result is -1, whoever calls it."""
    with Talk(field.port, "/v1/private/by_tag") as talk:
        talk.send(step("by_tag", 2, b"x"))
        sid = begun(talk)
        assert data_of(talk.hear_last()[-1]) == b"X"
    assert field.logged(f"{sid} has heard its last", worker="by_tag-0")
    assert field.log(f"nobody is there for {sid}") == []


def test_wrapper_with_threads_of_its_own_ends_well(tmp_path: Path) -> None:
    """`wrapperFini` is called, and waited for, though threads run that are no daemons."""
    with Server(tmp_path, STREAMS / "by_tag") as server:
        with Talk(server.port, "/v1/private/by_tag") as talk:
            talk.send(step("by_tag", 2, b"x"))
            begun(talk)
            assert data_of(talk.hear_last()[-1]) == b"X"
        assert server.stop() == 0
        assert server.log("all workers of by_tag are home")
