"""The callers' WebSocket frames: what they write a server reads, what a server writes they read."""

from itertools import pairwise

import pytest
from benchmarks.callers import frames
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70000]
"""Around the places where the length takes more bytes (RFC 6455, 5.2)."""


def from_server(opcode: Opcode, payload: bytes) -> bytes:
    """A frame as a server writes it, by another implementation."""
    return Frame(opcode, payload).serialize(mask=False)


@pytest.mark.parametrize("size", SIZES)
def test_written_frames_are_those_of_the_standard(size: int) -> None:
    """Opcode, length and mask stand where RFC 6455 has them; a mask of zero leaves the payload as it is."""
    payload = b"x" * size
    written = frames.written(frames.TEXT, payload)
    unmasked = from_server(Opcode.TEXT, payload)
    head = len(unmasked) - size
    assert written[0] == unmasked[0]
    assert written[1] == unmasked[1] | 0x80
    assert written[2:head] == unmasked[2:head]
    assert written[head:] == bytes(4) + payload


@given(
    st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]), st.sampled_from(SIZES))), st.data()
)
def test_frames_are_read_however_they_are_cut(sent: list[tuple[Opcode, int]], data: st.DataObject) -> None:
    """Wherever the bytes are cut, the same frames come out, in order."""
    expected = [(int(opcode), b"y" * size) for opcode, size in sent]
    coming = b"".join(from_server(Opcode(opcode), payload) for opcode, payload in expected)
    cuts = data.draw(st.lists(st.integers(0, len(coming)), max_size=5).map(sorted))
    reader = frames.Reader()
    found = [frame for begin, end in pairwise([0, *cuts, len(coming)]) for frame in reader.feed(coming[begin:end])]
    assert found == expected
