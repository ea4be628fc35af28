"""Orders and reports: every message comes out as it went in, by its own side's decoder only."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.wire import control

READERS = {
    control.read_to_worker: control.ToWorker,
    control.read_from_worker: control.FromWorker,
    control.read_to_door: control.ToDoor,
    control.read_from_door: control.FromDoor,
}
CASES = [(reader, kind) for reader, union in READERS.items() for kind in union.__args__]


@pytest.mark.parametrize(("reader", "kind"), CASES, ids=lambda case: getattr(case, "__name__", ""))
@given(data=st.data())
def test_message_comes_out_as_it_went_in(reader: Any, kind: type, data: st.DataObject) -> None:
    """Any message of a direction is read by the decoder of that direction."""
    message = data.draw(st.builds(kind, **{name: _strategy(one) for name, one in kind.__annotations__.items()}))
    assert reader(control.encode(message)) == message


def _strategy(kind: object) -> st.SearchStrategy[Any]:
    known: dict[object, st.SearchStrategy[Any]] = {
        int: st.integers(min_value=0, max_value=2**32),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(max_size=20),
        bytes: st.binary(max_size=20),
        bool: st.booleans(),
        list[str]: st.lists(st.text(max_size=5), max_size=3),
        list[int]: st.lists(st.integers(min_value=0, max_value=2**32), max_size=3),
        tuple[str, ...]: st.lists(st.text(max_size=5), max_size=3).map(tuple),
        control.Batching: st.builds(control.Batching),
        dict[str, str]: st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    }
    return known[kind]


@pytest.mark.parametrize("reader", READERS)
@given(data=st.binary(max_size=100))
def test_arbitrary_bytes_are_read_or_refused(reader: Any, data: bytes) -> None:
    """Bytes from anywhere raise nothing but msgspec's own error."""
    try:
        reader(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return


def test_order_for_another_is_refused() -> None:
    """A door's order does not make sense to a worker."""
    with pytest.raises(msgspec.ValidationError):
        control.read_to_worker(control.encode(control.TakeOver("service", 1)))
