"""Admission and budget: yes or no at once, never more than there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.crew.admission import Admission, Budget
from athena_serving.errors import QueueFull


@given(st.integers(0, 5), st.integers(0, 5), st.lists(st.booleans(), max_size=40))
def test_no_more_come_in_than_seats_and_queue(seats: int, queue: int, steps: list[bool]) -> None:
    """Whatever the order of coming and going."""
    admission = Admission(queue=queue)
    admission.seats = seats
    for comes in steps:
        if not comes:
            if admission.inside:
                admission.leave()
            continue
        if admission.inside < seats + queue:
            admission.check()
            admission.enter()
        else:
            with pytest.raises(QueueFull, match=f"all {seats} seats are taken and {queue} calls wait"):
                admission.check()
    assert 0 <= admission.inside <= seats + queue


def test_no_queue_refuses_at_once() -> None:
    """As ASF did: a call has a seat or is refused, to be tried again."""
    admission = Admission(queue=0)
    admission.seats = 1
    admission.enter()
    with pytest.raises(QueueFull) as refused:
        admission.check()
    assert (refused.value.code, refused.value.http, refused.value.retry) == (10110, 429, True)


@given(st.lists(st.integers(0, 60), max_size=30))
def test_budget_is_never_exceeded(sizes: list[int]) -> None:
    """What does not fit is refused and takes nothing; what is given back fits again."""
    budget = Budget(100)
    held: list[int] = []
    for size in sizes:
        try:
            budget.take(size)
        except QueueFull:
            assert sum(held) + size > 100
            if held:
                budget.give(held.pop(0))
        else:
            held.append(size)
        assert budget.held == sum(held) <= 100
