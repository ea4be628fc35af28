"""The table of a session's states: whole, and in whatever order things happen, a session begins and ends once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.wire import session
from athena_serving.wire.session import TABLE, Action, Event, Session, State, StopReason, error_of

CALLER = (Event.STEP, Event.LAST_STEP)
WORKER = (Event.RESULT, Event.LAST_RESULT)


def test_every_event_has_its_place_in_every_state() -> None:
    """Nothing that can happen is left to chance."""
    assert set(TABLE) == {(state, event) for state in State for event in Event}


@pytest.mark.parametrize("state", State)
def test_what_is_over_stays_over(state: State) -> None:
    """No event leads out of OVER, and none but a first step out of FRESH but a stop."""
    if state is State.OVER:
        assert {TABLE[state, event].state for event in Event} == {State.OVER}
    if state is State.FRESH:
        assert {event for event in Event if TABLE[state, event].state is not State.FRESH} == {*CALLER, Event.STOP}


@pytest.mark.parametrize(
    ("events", "actions", "state"),
    [
        # three frames, three results
        (
            [Event.STEP, Event.STEP, Event.RESULT, Event.LAST_STEP, Event.RESULT, Event.LAST_RESULT],
            [Action.BEGIN, Action.FEED, Action.PUSH, Action.FEED, Action.PUSH, Action.PUSH],
            State.OVER,
        ),
        # one frame that is first and last
        ([Event.LAST_STEP, Event.LAST_RESULT], [Action.BEGIN, Action.PUSH], State.OVER),
        # the wrapper ends before its caller
        ([Event.STEP, Event.LAST_RESULT, Event.STEP], [Action.BEGIN, Action.PUSH, Action.REFUSE], State.OVER),
        # a caller that ends twice
        ([Event.LAST_STEP, Event.LAST_STEP, Event.STEP], [Action.BEGIN], State.HEARD),
        # stopped before it began, and in the middle
        ([Event.STOP, Event.STOP], [Action.TELL], State.OVER),
        ([Event.STEP, Event.STOP, Event.LAST_RESULT], [Action.BEGIN, Action.CANCEL, Action.TELL], State.OVER),
    ],
)
def test_transcript(events: list[Event], actions: list[Action], state: State) -> None:
    """What is done about these events, in order."""
    one = Session()
    assert [action for event in events for action in one.on(event)] == actions
    assert one.state is state
    assert one.is_over == (state is State.OVER)
    assert one.waits_for_wrapper == (state is State.HEARD)


@given(st.lists(st.sampled_from(Event)))
def test_any_order_ends_at_most_once(events: list[Event]) -> None:
    """One BEGIN at most; the worker is done with what began by its last step or by one CANCEL, never by both."""
    one = Session()
    done: list[Action] = []
    ends = 0
    for event in events:
        was_over, began = one.is_over, Action.BEGIN in done
        actions = one.on(event)
        done += actions
        ends += event is Event.LAST_RESULT and Action.PUSH in actions
        assert not (was_over and {Action.FEED, Action.PUSH, Action.CANCEL, Action.TELL} & set(actions))
        assert began or not {Action.FEED, Action.PUSH, Action.CANCEL} & set(actions)
    assert done.count(Action.BEGIN) <= 1
    assert ends + done.count(Action.CANCEL) <= 1
    if one.is_over and Action.BEGIN in done:
        assert ends + done.count(Action.CANCEL) == 1
    assert (one.reason is not None) == one.is_over


def test_first_reason_counts() -> None:
    """Whatever happens afterwards."""
    one = Session()
    one.on(Event.STEP)
    one.on(Event.STOP, StopReason.IDLE)
    one.on(Event.STOP, StopReason.SHUTDOWN)
    assert one.reason is StopReason.IDLE


@pytest.mark.parametrize(
    ("frames", "last"),
    [
        ([({"audio": 0}, 0), ({"audio": 1}, 1), ({"audio": 2}, 2)], [False, False, True]),
        ([({"audio": 2}, 2)], [True]),
        ([({"audio": 3}, None)], [True]),
        # wrapper.md, line 22: two streams, the last only when both are done
        ([({"audio": 0, "text": 0}, 0), ({"audio": 2}, None), ({"text": 2}, None)], [False, False, True]),
        ([({"audio": 2}, 1), ({"text": 3}, 1)], [True, True]),
        # the header alone says it
        ([({"audio": 1}, 1), ({}, 2)], [False, True]),
        ([({}, 1), ({}, None)], [False, False]),
    ],
)
def test_last_frame_is_known(frames: list[tuple[dict[str, int], int | None]], last: list[bool]) -> None:
    """By the header's status, or by those of all streams seen so far (wrapper.md 5.5)."""
    one = Session()
    assert [one.is_last(statuses, header) for statuses, header in frames] == last


@pytest.mark.parametrize("reason", StopReason)
def test_every_stop_has_an_error_in_words(reason: StopReason) -> None:
    """With a code; those that name a setting name it."""
    error = error_of(reason, limit=1.5)
    assert error.code
    assert error.message
    if reason is StopReason.STALLED:
        assert "1.5 seconds (setting stream.stall_timeout)" in error.message
    assert session.error_of(reason).code == error.code
