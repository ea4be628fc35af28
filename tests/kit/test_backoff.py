"""How long to wait before trying again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.kit.backoff import Backoff

ONE = Backoff(first=0.1, longest=10.0, limit=12, steady=10.0)


@pytest.mark.parametrize(
    ("failures", "delay"),
    [(0, 0.0), (1, 0.0), (2, 0.1), (3, 0.2), (4, 0.4), (9, 10.0), (11, 10.0), (12, None), (99, None)],
)
def test_delays_double_up_to_the_longest(failures: int, delay: float | None) -> None:
    """The first try again is immediate; after `limit` failures there is none."""
    assert ONE.delay(failures) == delay


@given(st.integers(0, 1000), st.floats(0, 100))
def test_long_life_begins_a_new_row(failures: int, lived: float) -> None:
    """A failure after `steady` seconds counts as the first."""
    assert ONE.count(failures, lived) == (1 if lived >= 10.0 else failures + 1)


@given(st.integers(0, 10_000))
def test_no_row_is_too_long(failures: int) -> None:
    """Without a limit in sight the delay stays at the longest; nothing overflows."""
    endless = Backoff(first=0.1, longest=5.0, limit=1_000_000, steady=10.0)
    delay = endless.delay(failures)
    assert delay is not None
    assert 0.0 <= delay <= 5.0
