"""Health: computed from the workers' true states, with a reason for whatever is not well."""

from types import SimpleNamespace
from typing import cast

import msgspec

from athena_serving.supervisor import health
from athena_serving.supervisor.doors import Door
from athena_serving.supervisor.health import Report
from athena_serving.supervisor.places import State
from tests.supervisor.fakes import Board, FakePlace, hosted

NOW = 100.0


def door(*, is_serving: bool = True) -> Door:
    """A door as health sees it."""
    return cast("Door", SimpleNamespace(index=0, is_serving=is_serving, reason="killed by SIGKILL"))


def board(count: int = 1, seats: int = 1) -> Board:
    """A service whose workers are ready."""
    one = Board(hosted(count=count, seats=seats))
    one.fleet.start()
    one.ready(*one.places())
    return one


def report(one: Board, *, state: str = "serving", is_serving: bool = True) -> Report:
    """The report on one service and one door."""
    return health.report([one.fleet], [door(is_serving=is_serving)], state=state, now=NOW)


def test_all_is_well() -> None:
    """Ready, no reasons, and as many seats as the ready workers have."""
    found = report(board(count=2, seats=3))
    service = found.services["ocr"]
    assert (found.ready, found.state, found.reasons) == (True, "serving", [])
    assert (service.ready, service.generation, service.seats, service.reason) == (True, 1, 6, "")
    assert [(worker.name, worker.state) for worker in service.workers] == [("ocr-0", "ready"), ("ocr-1", "ready")]


def test_one_worker_is_enough() -> None:
    """The service can be called; the other says what is wrong with it."""
    one = board(count=2)
    one.places()[1].be(State.WAITING, "killed by SIGSEGV; next start in 0.1 s")
    found = report(one)
    assert (found.ready, found.services["ocr"].seats) == (True, 1)
    assert found.services["ocr"].workers[1].reason == "waiting: killed by SIGSEGV; next start in 0.1 s"


def test_service_without_a_worker_is_not_ready() -> None:
    """With every worker's reason."""
    one = board(count=2)
    first, second = one.places()
    first.be(State.GIVEN_UP, "gave up after 8 deaths in a row")
    second.be(State.STARTING, "starting")
    found = report(one)
    assert not found.ready
    assert found.reasons == ["service ocr: ocr-0 given up: gave up after 8 deaths in a row; ocr-1 starting"]


def test_service_that_has_no_generation_yet() -> None:
    """Nothing is ready, nothing is hidden."""
    one = Board(hosted())
    one.fleet.start()
    found = report(one, state="starting")
    assert found.reasons == ["starting", "service ocr: ocr-0 starting"]
    assert found.services["ocr"].generation == 0


def test_door_that_does_not_serve_is_a_reason() -> None:
    """Nobody could call, however well the workers are."""
    assert report(board(), is_serving=False).reasons == ["door 0: killed by SIGKILL"]


def test_stopping_comes_first() -> None:
    """A balancer's operator reads one line."""
    found = report(board(), state="stopping")
    assert (found.ready, found.reasons) == (False, ["stopping"])


def test_busy_worker_is_ready() -> None:
    """It holds the interpreter and does not answer pings; that is no fault."""
    one = board()
    place = one.places()[0]
    place.be(State.READY, calls=2)
    place.is_busy = True
    (worker,) = report(one).services["ocr"].workers
    assert (worker.state, worker.running, worker.longest_seconds) == ("busy", 2, 10.0)


def test_last_lines_are_shown_while_they_explain_something() -> None:
    """Of a worker that starts anew, waits or was given up; a healthy one's are in the log."""
    one = board()
    place = one.places()[0]
    place.last_lines = [f"line {number}" for number in range(9)]
    for state, shown in ((State.READY, 0), (State.WAITING, 5), (State.GIVEN_UP, 5), (State.STARTING, 5)):
        place.be(state)
        (worker,) = report(one).services["ocr"].workers
        assert worker.last_lines == place.last_lines[len(place.last_lines) - shown :]


def test_note_of_a_failed_reload_is_no_reason() -> None:
    """The service is ready; a person should know all the same."""
    one = board()
    one.fleet.note = "the reload failed, the old workers stay: no class Wrapper"
    found = report(one)
    assert (found.ready, found.services["ocr"].note) == (True, one.fleet.note)


def test_report_is_short() -> None:
    """What says nothing is left out of the JSON."""
    document = msgspec.json.decode(msgspec.json.encode(report(board())))
    assert document == {
        "ready": True,
        "state": "serving",
        "reasons": [],
        "services": {
            "ocr": {
                "ready": True,
                "generation": 1,
                "seats": 1,
                "used": 0,
                "workers": [{"name": "ocr-0", "state": "ready", "reason": "ready", "longest_seconds": 0.0}],
            }
        },
    }


def test_worker_that_left_is_not_shown() -> None:
    """It is over."""
    one = Board(hosted(count=2))
    one.fleet.start()
    first, second = one.places()
    one.ready(first, second)
    FakePlace.kill(second)
    assert [worker.name for worker in report(one).services["ocr"].workers] == ["ocr-0"]
