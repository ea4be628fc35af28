"""What a worker's orders thread does with what it reads; the thread itself is not started."""

import socket
from collections.abc import Iterator

import pytest

from athena_serving.kit.channel import Channel
from athena_serving.wire import control, frames
from athena_serving.wire.control import Attach, Ping, Pong, WorkerSetup
from athena_serving.wire.frames import Kind, Splitter
from athena_serving.worker.orders import Orders
from tests.wire.calls import call
from tests.worker.fakes import MAX_FRAME, Bench, FakeDoor, Gated, bench


class Desk:
    """Orders with a channel to the test, and an engine with a wrapper that waits."""

    def __init__(self, one: Bench, wrapper: Gated) -> None:
        ours, theirs = socket.socketpair()
        self.bench, self.wrapper = one, wrapper
        self.channel = Channel(ours)
        self._theirs = theirs
        self.orders = Orders(Channel(theirs), max_frame=MAX_FRAME)
        self.orders.serve(one.engine)

    def attach(self) -> FakeDoor:
        """A door whose side link the orders thread reads."""
        door = FakeDoor()
        self.orders._attach(door.link)
        return door

    def read(self, door: FakeDoor) -> None:
        """Read a door's side link once."""
        self.orders._side(door.link.side.fileno())

    def end(self, door: FakeDoor) -> None:
        """A door dies, and is heard to."""
        door.close()
        self.read(door)

    def close(self) -> None:
        """Let go of the channel."""
        self.channel.link.close()
        self._theirs.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Orders at work."""
    wrapper = Gated()
    with bench(wrapper) as one:
        desk = Desk(one, wrapper)
        yield desk
        desk.close()


def test_cancel_reaches_the_engine(desk: Desk) -> None:
    """While the main thread is in user code."""
    door = desk.attach()
    door.begin(call("a"))
    desk.wrapper.next()
    door.side.sendall(frames.cancel(1, "the caller left"))
    desk.read(door)
    assert door.answer(1).message == "the caller left"
    desk.end(door)


def test_ping_of_a_door_is_answered(desk: Desk) -> None:
    """On the side link, with its number."""
    door = desk.attach()
    door.side.sendall(frames.signal(Kind.PING, 7))
    desk.read(door)
    (frame,) = Splitter(max_frame=100).feed(door.side.recv(100))
    assert (frame.kind, frame.stream) == (Kind.PONG, 7)
    desk.end(door)


@pytest.mark.parametrize("bad", [frames.dropped(1), b"\xff" * 64], ids=["a kind of the other way", "rubbish"])
def test_bad_frame_on_the_side_ends_the_door(desk: Desk, bad: bytes) -> None:
    """Its calls are interrupted: whoever cannot be told anything is not waited for."""
    door = desk.attach()
    door.begin(call("a"), call("never"))
    desk.wrapper.next()
    door.side.sendall(bad)
    desk.read(door)
    desk.bench.until(lambda: not desk.bench.engine._tasks)
    assert door.side.recv(100) == b""
    door.close()


def test_end_of_the_side_ends_the_door(desk: Desk) -> None:
    """The main thread may be in user code for long: the orders thread sees to it."""
    door = desk.attach()
    door.begin(call("a"), call("never"))
    desk.wrapper.next()
    desk.end(door)
    desk.bench.until(lambda: not desk.bench.engine._tasks)
    assert desk.wrapper.begun.empty()


def test_supervisors_ping_is_answered(desk: Desk) -> None:
    """Every message that is there, in order."""
    for number in (1, 2):
        desk.channel.send(control.encode(Ping(number)))
    desk.orders._orders()
    got = [desk.channel.receive() for _ in range(2)]
    assert [control.read_from_worker(one[0]) for one in got if one is not None] == [Pong(1), Pong(2)]


def test_door_is_attached_by_its_descriptors(desk: Desk) -> None:
    """Data link and side link come with the order."""
    data, data_theirs = socket.socketpair()
    side, side_theirs = socket.socketpair()
    with data, data_theirs, side, side_theirs:
        desk.channel.send(control.encode(Attach(0)), [data_theirs.fileno(), side_theirs.fileno()])
        desk.orders._orders()
        data.sendall(b"".join(frames.begin(1, 0, call("a"), now=0.0)))
        assert desk.wrapper.next() == "a"
        desk.wrapper.let()
        assert data.recv(1 << 16)
    (link,) = desk.orders._doors.values()
    desk.orders._side(link.side.fileno())


def test_order_that_no_worker_knows_is_ignored(desk: Desk) -> None:
    """A second setup, say: the log has it."""
    setup = WorkerSetup("w", "wrapper.py", "", "", {}, 1, 1, 1, 1, warmup=False, log="json")
    desk.orders._obey(setup, [])


def test_door_that_comes_before_the_engine_is_let_go() -> None:
    """It is told by the end of its link."""
    ours, theirs = socket.socketpair()
    door = FakeDoor()
    Orders(Channel(theirs), max_frame=MAX_FRAME)._attach(door.link)
    assert door.read() is None
    door.close()
    door.link.side.close()
    ours.close()
    theirs.close()
