"""A worker's end of its links where a door is gone, or passes what it must not."""

import array
import os
import socket
from collections.abc import Iterator

import pytest

from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Kind, Load
from athena_serving.wire.messages import Piece, Reply
from athena_serving.worker.link import BIG
from tests.kit.descriptors import open_descriptors
from tests.worker.fakes import FakeDoor


@pytest.fixture
def door() -> Iterator[FakeDoor]:
    """A door whose link no engine reads."""
    one = FakeDoor()
    yield one
    one.close()
    one.link.close()
    one.link.side.close()


def test_door_that_is_gone_is_told(door: FakeDoor) -> None:
    """On either link, also where it went without reading what we wrote."""
    door.link.send(1, Reply(), Load())
    door.link.send_side(frames.dropped(1))
    door.close()
    assert door.link.receive() is None
    assert door.link.receive_side() is None


def test_link_that_is_over_sends_nothing(door: FakeDoor) -> None:
    """The first write that fails ends it, for whoever reads it too."""
    door.data.close()
    door.link.send(1, Reply(), Load())
    assert door.link.is_closed
    door.link.send(2, Reply(), Load())
    assert door.link.receive() is None


def test_side_that_is_over_ends_the_link(door: FakeDoor) -> None:
    """A door that hears no DROPPED is gone."""
    door.side.close()
    door.link.send_side(frames.dropped(1))
    assert door.link.is_closed


def test_more_descriptors_than_can_be_taken_are_a_bad_frame(door: FakeDoor) -> None:
    """The kernel cut some off: whose the others are nobody knows."""
    many = array.array("i", [door.data.fileno()] * 65)
    door.data.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, many)])
    with pytest.raises(BadFrame, match="more than 64 descriptors"):
        door.link.receive()


def test_closed_link_keeps_no_descriptor(door: FakeDoor) -> None:
    """Neither blocks of its own nor what the door had passed for a frame that never came whole."""
    before = open_descriptors()
    door.link.send(1, Reply([Piece("k", data=bytes(BIG))]), Load())
    passed, other = os.pipe()
    door.send(frames.signal(Kind.SHARE, 0)[:-1], fds=(passed,))
    os.close(passed)
    os.close(other)
    assert door.link.receive() == []
    door.link.close()
    assert open_descriptors() == before - 1  # the data link itself
