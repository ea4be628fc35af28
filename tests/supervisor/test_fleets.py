"""Generations: a new one takes over when it is whole, and the old one leaves when its calls are done."""

import asyncio

import pytest

from athena_serving.errors import UsageError
from athena_serving.supervisor.places import State
from tests.supervisor.fakes import Board, hosted


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def started(board: Board) -> None:
    """The first generation is ready, and what was told until then is forgotten."""
    board.fleet.start()
    board.ready(*board.places())
    board.orders.clear()


async def test_first_generation_takes_over_with_its_first_worker() -> None:
    """Nobody else could serve meanwhile; the others join as they come."""
    board = Board(hosted(count=2))
    board.fleet.start()
    first, second = board.places()
    board.ready(first, name="face")
    assert board.orders == ["Install face 1", "Join face-0 face 1", "TakeOver face 1"]
    board.ready(second, name="face")
    assert board.orders[3:] == ["Join face-1 face 1"]
    assert (board.first_ready, board.fleet.name, board.claimed) == (1, "face", ["face", "face"])


async def test_new_generation_takes_over_when_it_is_whole() -> None:
    """One by one would leave the service with half its seats."""
    board = Board(hosted(count=2))
    await started(board)
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    old, fresh = board.places()[:2], board.places()[2:]
    board.ready(fresh[0])
    await settled()
    assert board.orders == ["Install ocr 2", "Join ocr-0 ocr 2"]
    board.ready(fresh[1])
    await settled()
    assert board.orders[2:] == ["Join ocr-1 ocr 2", "TakeOver ocr 2"]
    assert [place.state for place in old] == [State.RETIRING, State.RETIRING]
    for place in old:
        place.may_retire.set()
    await rolling
    assert board.places() == fresh


async def test_old_generation_counts_until_it_is_over() -> None:
    """Its counters, its processes and its state are seen while it finishes its calls."""
    board = Board(hosted())
    await started(board)
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    old, fresh = board.places()
    board.ready(fresh)
    await settled()
    assert board.places() == [old, fresh]
    old.may_retire.set()
    await rolling
    assert board.places() == [fresh]


async def test_failed_generation_leaves_the_old_one_in_charge() -> None:
    """And says why, until the next reload."""
    board = Board(hosted(count=2))
    await started(board)
    old = board.places()
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    good, bad = board.places()[2:]
    board.ready(good)
    bad.fail("load", "no class Wrapper in wrapper.py")
    await rolling
    assert board.fleet.note == "the reload failed, the old workers stay: no class Wrapper in wrapper.py; help: mend it"
    assert board.places() == old
    assert "TakeOver ocr 2" not in board.orders


async def test_workers_that_die_while_others_reload_do_not_hold_it_up() -> None:
    """When the old generation has nobody left, half a new one is better than nothing."""
    board = Board(hosted(count=2))
    await started(board)
    old = board.places()
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    for place in old:
        place.be(State.WAITING, "killed by SIGSEGV")
    good, bad = board.places()[2:]
    board.ready(good)
    bad.fail("init", "no card")
    await rolling
    assert board.fleet.current is not None
    assert board.fleet.current.number == 2


async def test_stop_first_ends_the_old_before_the_new_begins() -> None:
    """For cards that hold the model only once."""
    board = Board(hosted(replace="stop-first"))
    await started(board)
    (old,) = board.places()
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    assert (board.places(), old.state) == ([old], State.RETIRING)
    old.may_retire.set()
    await rolling
    (fresh,) = board.places()
    assert fresh is not old
    board.ready(fresh)
    assert board.orders[-1] == "TakeOver ocr 2"


async def test_reloads_run_one_after_the_other() -> None:
    """Two signals are two reloads, the second of what the first has made."""
    board = Board(hosted())
    await started(board)
    rolling = [asyncio.ensure_future(board.fleet.roll()) for _ in range(2)]
    for number in (2, 3):
        await settled()
        old, fresh = board.places()
        board.ready(fresh)
        old.may_retire.set()
        await settled()
        assert board.fleet.current is not None
        assert board.fleet.current.number == number
    await asyncio.gather(*rolling)


async def test_reload_before_the_first_worker_is_ready_begins_anew() -> None:
    """Whoever mends a file that does not load need not wait for it to give up."""
    board = Board(hosted())
    board.fleet.start()
    (bad,) = board.places()
    bad.fail("init", "no card")
    await board.fleet.roll()
    (fresh,) = board.places()
    assert (fresh is bad, bad.state) == (False, State.LEFT)


async def test_leaving_ends_a_reload_too() -> None:
    """Nobody is left, and nothing is started afterwards."""
    board = Board(hosted())
    await started(board)
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    for place in board.places():
        place.may_retire.set()
    await board.fleet.leave()
    await rolling
    await board.fleet.roll()
    assert board.places() == []


async def test_file_that_does_not_load_is_told_at_the_start_only() -> None:
    """Then it ends the command; later the old workers stay."""
    board = Board(hosted())
    board.fleet.start()
    (place,) = board.places()
    assert board.fleet.load_error() is None
    place.fail("load", "no class Wrapper in wrapper.py")
    error = board.fleet.load_error()
    assert error is not None
    assert (error.message, error.where, error.help) == ("no class Wrapper in wrapper.py", "wrapper.py:3", "mend it")


async def test_failed_init_does_not_end_the_command() -> None:
    """Another try may succeed."""
    board = Board(hosted())
    board.fleet.start()
    board.places()[0].fail("init", "no card")
    assert board.fleet.load_error() is None


async def test_service_keeps_its_name() -> None:
    """A reload that renames it is refused: its callers would not find it."""
    board = Board(hosted())
    await started(board)
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    old, fresh = board.places()
    with pytest.raises(UsageError, match="cannot become 'other'"):
        board.load(fresh, "other")
    old.may_retire.set()
    fresh.fail("load", "renamed")
    await rolling


async def test_door_that_starts_anew_is_told_everything() -> None:
    """What is installed, who is ready, and which generation is in charge."""
    board = Board(hosted(count=2))
    await started(board)
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    board.ready(board.places()[2])
    board.orders.clear()
    board.fleet.resend(board.tell, board.join)
    assert board.orders == [
        "Install ocr 1",
        "Join ocr-0 ocr 1",
        "Join ocr-1 ocr 1",
        "Install ocr 2",
        "Join ocr-0 ocr 2",
        "TakeOver ocr 1",
    ]
    for place in board.places():
        place.may_retire.set()
    await board.fleet.leave()
    await rolling


async def test_word_of_a_worker_that_was_given_up_is_ignored() -> None:
    """It may have been on its way."""
    board = Board(hosted())
    await started(board)
    rolling = asyncio.ensure_future(board.fleet.roll())
    await settled()
    fresh = board.places()[1]
    fresh.fail("init", "no card")
    await rolling
    board.orders.clear()
    board.ready(fresh)
    assert board.orders == []


async def test_many_reloads_asked_for_during_one_are_one_more() -> None:
    """It starts from whatever is there then, so all of them are served."""
    board = Board(hosted())
    await started(board)
    rolling = [asyncio.ensure_future(board.fleet.roll()) for _ in range(5)]
    for number in (2, 3):
        await settled()
        old, fresh = board.places()
        board.ready(fresh)
        old.may_retire.set()
        await settled()
        assert board.fleet.current is not None
        assert board.fleet.current.number == number
    await asyncio.gather(*rolling)
    assert len(board.places()) == 1


async def test_long_calls_of_the_old_workers_do_not_hold_up_the_next_reload() -> None:
    """Two generations may finish their calls while a third has the new ones."""
    board = Board(hosted())
    await started(board)
    rolling = []
    for number in (2, 3):
        rolling.append(asyncio.ensure_future(board.fleet.roll()))
        await settled()
        board.ready(board.places()[-1])
        await settled()
        assert board.fleet.current is not None
        assert board.fleet.current.number == number
    assert [place.state for place in board.places()] == [State.RETIRING, State.RETIRING, State.READY]
    for place in board.places():
        place.may_retire.set()
    await asyncio.gather(*rolling)
    assert len(board.places()) == 1


async def test_note_of_a_failed_reload_goes_when_another_takes_over() -> None:
    """Not before: until then it is still true."""
    board = Board(hosted())
    await started(board)
    for is_good in (False, True):
        rolling = asyncio.ensure_future(board.fleet.roll())
        await settled()
        old, fresh = board.places()
        if is_good:
            assert board.fleet.note
            old.may_retire.set()
            board.ready(fresh)
        else:
            fresh.fail("load", "no class Wrapper in wrapper.py")
        await rolling
        assert bool(board.fleet.note) is not is_good
