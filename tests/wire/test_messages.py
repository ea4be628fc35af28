"""What a call and a reply say of themselves."""

import pytest

from athena_serving.wire.messages import DATA_KEYS, Call, DataType, Piece, Reply, Sid, Status


@pytest.mark.parametrize(
    ("status", "code", "is_last"),
    [
        (Status.BEGIN, 0, False),
        (Status.CONTINUE, 0, False),
        (Status.END, 0, True),
        (Status.ONCE, 0, True),
        (Status.BEGIN, 10909, True),
    ],
)
def test_stream_ends_with_its_last_status_or_a_code(status: Status, code: int, is_last: bool) -> None:
    """END, ONCE and every failure close a stream."""
    assert Reply(status=status, code=code).is_last is is_last


def test_size_is_what_the_data_take() -> None:
    """Bytes in flight are counted by the data alone."""
    pieces = [Piece("a", data=b"123"), Piece("b", data=memoryview(b"45"))]
    assert Call(Sid("s"), "service", "app", 0.0, {}, {}, pieces, []).size == 5


def test_every_type_has_its_key() -> None:
    """The JSON key of a type is its name in lower case."""
    assert [DataType(number).name.lower() for number in range(len(DATA_KEYS))] == list(DATA_KEYS)
