"""Frames: what goes in comes out, however the stream is cut; what is no frame is a BadFrame and nothing else."""

from collections.abc import Callable, Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Buffer, Frame, Hello, Kind, Load, Splitter
from athena_serving.wire.messages import Call, Piece, Reply, Status, Step
from tests.wire import calls

MAX = 1 << 16
STREAMS = st.integers(min_value=0, max_value=2**64 - 1)
SLOTS = st.integers(min_value=0, max_value=2**16 - 1)

ENCODED = st.one_of(
    st.builds(frames.begin, STREAMS, SLOTS, calls.CALLS, now=st.just(0.0)).map(b"".join),
    st.builds(frames.step, STREAMS, calls.REPLIES, calls.LOADS).map(b"".join),
    st.builds(frames.given, STREAMS, calls.STEPS).map(b"".join),
    st.builds(frames.steps, STREAMS, st.lists(calls.MIDDLE, max_size=3), calls.LOADS).map(b"".join),
    st.builds(Hello, st.just(frames.VERSION), calls.WORDS, st.just(32), st.binary(max_size=9)).map(frames.hello),
    st.builds(frames.cancel, STREAMS, calls.WORDS),
    st.builds(frames.dropped, STREAMS),
    st.builds(frames.credit, STREAMS, st.integers(min_value=1, max_value=1000)),
    st.builds(frames.signal, st.sampled_from([Kind.PING, Kind.PONG, Kind.DRAIN, Kind.SHARE]), STREAMS),
)
"""One frame of any kind, as bytes."""

READERS: dict[int, Callable[[Frame], object]] = {
    Kind.BEGIN: lambda frame: frames.read_begin(frame, now=0.0),
    Kind.PIECE: frames.read_step,
    Kind.END: frames.read_step,
    Kind.HELLO: frames.read_hello,
    Kind.CANCEL: frames.read_reason,
    Kind.CREDIT: frames.read_credit,
    Kind.STEPS: frames.read_steps,
}


def one(buffers: Iterable[Buffer] | bytes) -> Frame:
    """The single frame that these bytes are."""
    data = buffers if isinstance(buffers, bytes) else b"".join(buffers)
    splitter = Splitter(max_frame=MAX)
    (frame,) = splitter.feed(data)
    assert splitter.is_empty
    return frame


def plain(pieces: list[Piece]) -> list[Piece]:
    """Pieces with their data as bytes, to be compared."""
    return [msgspec.structs.replace(piece, data=bytes(piece.data)) for piece in pieces]


def with_head(kind: Kind, head: object, data: bytes = b"") -> Frame:
    """A frame whose head is any value at all."""
    return one(frames.frame(kind, 1, msgspec.msgpack.encode(head), data=[data]))


# ── what goes in comes out ────────────────────────────────────────────────────────────────────────


@given(STREAMS, SLOTS, calls.CALLS)
def test_call_comes_out_as_it_went_in(stream: int, slot: int, call: Call) -> None:
    """BEGIN carries a whole call, its slot, and whether the caller's half is closed."""
    frame = one(frames.begin(stream, slot, call, now=0.0))
    read = frames.read_begin(frame, now=0.0)
    assert (frame.kind, frame.stream, frame.slot) == (Kind.BEGIN, stream, slot)
    assert msgspec.structs.replace(read, pieces=plain(read.pieces)) == call


@given(st.floats(min_value=0, max_value=1e6), st.floats(min_value=0, max_value=1e6))
def test_deadline_travels_as_time_remaining(here: float, there: float) -> None:
    """Two processes need not agree on the clock."""
    call = calls.call(expires=here + 30.0)
    read = frames.read_begin(one(frames.begin(1, 0, call, now=here)), now=there)
    assert read.expires == pytest.approx(there + 30.0)


@given(STREAMS, calls.REPLIES, calls.LOADS)
def test_reply_comes_out_as_it_went_in(stream: int, reply: Reply, load: Load) -> None:
    """A step carries a reply and the sender's load; it is an END exactly if the reply is the last."""
    frame = one(frames.step(stream, reply, load))
    read, busy = frames.read_step(frame)
    assert frame.kind == (Kind.END if reply.is_last else Kind.PIECE)
    assert bool(frame.flags & frames.LAST) == reply.is_last
    assert (msgspec.structs.replace(read, pieces=plain(read.pieces)), busy) == (reply, load)


@given(STREAMS, calls.STEPS)
def test_step_of_a_caller_comes_out_as_it_went_in(stream: int, step: Step) -> None:
    """With its parameters, and whether it is the last."""
    frame = one(frames.given(stream, step))
    read = frames.read_given(frame)
    assert (frame.stream, frame.kind == Kind.END, bool(frame.flags & frames.LAST)) == (stream, step.last, step.last)
    assert msgspec.structs.replace(read, pieces=plain(read.pieces)) == step


@given(STREAMS, st.lists(calls.MIDDLE, min_size=1, max_size=5), calls.LOADS)
def test_steps_come_out_as_they_went_in(stream: int, replies: list[Reply], load: Load) -> None:
    """Several in one frame, in order."""
    frame = one(frames.steps(stream, replies, load))
    read = frames.read_steps(frame)
    assert frame.stream == stream
    assert [(reply.status, plain(reply.pieces)) for reply in read] == [(r.status, r.pieces) for r in replies]


@pytest.mark.parametrize(
    ("steps", "data"),
    [
        ([(2, [])], b""),
        ([(-1, [])], b""),
        ([(1, [("k", 0, 1, {}, 1, 0)])], b""),
        ([(1, [("k", 0, 1, {}, -1, frames.INLINE)])], b""),
        ([(1, [("k", 0, 1, {}, 2, frames.INLINE)])], b"x"),
    ],
)
def test_steps_that_cannot_be_are_refused(steps: list[object], data: bytes) -> None:
    """A last one among them, a block, sizes that do not fit."""
    with pytest.raises(BadFrame):
        frames.read_steps(with_head(Kind.STEPS, (steps, (0, 0)), data))


@given(STREAMS, calls.WORDS, st.integers(min_value=1, max_value=2**31))
def test_control_frames_come_out_as_they_went_in(stream: int, reason: str, steps: int) -> None:
    """CANCEL has its reason, CREDIT its steps, the others only a number."""
    assert frames.read_reason(one(frames.cancel(stream, reason))) == reason
    assert frames.read_credit(one(frames.credit(stream, steps))) == steps
    assert one(frames.dropped(stream)).stream == stream
    assert one(frames.signal(Kind.PONG, stream))[:4] == (Kind.PONG, 0, 0, stream)


@given(calls.WORDS, st.binary(max_size=40), st.binary(max_size=40))
def test_greeting_comes_out_as_it_went_in(name: str, nonce: bytes, proof: bytes) -> None:
    """HELLO carries who speaks and what it will take."""
    hello = Hello(frames.VERSION, name, 32, nonce, proof)
    assert frames.read_hello(one(frames.hello(hello))) == hello


@given(st.lists(calls.PIECES, min_size=1, max_size=5), st.data())
def test_data_in_shared_blocks_do_not_travel(pieces: list[Piece], data: st.DataObject) -> None:
    """A piece that stands in a block is read from there, in order with those that follow the head."""
    blocks = [data.draw(st.sampled_from([frames.INLINE, index])) for index in range(len(pieces))]
    frame = one(frames.step(1, Reply(pieces), Load(), blocks=blocks))
    assert len(frame.data) == sum(len(p.data) for p, b in zip(pieces, blocks, strict=True) if b == frames.INLINE)

    def read_block(number: int, size: int) -> bytes:
        assert size == len(pieces[number].data)
        return bytes(pieces[number].data)

    assert plain(frames.read_step(frame, read_block=read_block)[0].pieces) == plain(pieces)


# ── however it is cut ─────────────────────────────────────────────────────────────────────────────


@given(st.lists(ENCODED, max_size=6), st.lists(st.integers(min_value=0, max_value=2000), max_size=12))
def test_any_chunking_gives_the_same_frames(encoded: list[bytes], cuts: list[int]) -> None:
    """Whatever pieces a socket gives the stream in, the frames are those that were sent."""
    whole = b"".join(encoded)
    ends = sorted({cut for cut in cuts if cut < len(whole)} | {len(whole)})
    splitter = Splitter(max_frame=MAX)
    found: list[Frame] = []
    start = 0
    for end in ends:
        found += splitter.feed(whole[start:end])
        start = end
    assert [_bytes(frame) for frame in found] == [_bytes(one(data)) for data in encoded]
    assert splitter.is_empty


@given(st.lists(ENCODED, min_size=1, max_size=3))
def test_byte_by_byte_gives_the_same_frames(encoded: list[bytes]) -> None:
    """The smallest chunks there are."""
    splitter = Splitter(max_frame=MAX)
    found = [frame for byte in b"".join(encoded) for frame in splitter.feed(bytes([byte]))]
    assert [_bytes(frame) for frame in found] == [_bytes(one(data)) for data in encoded]


def test_unfinished_frame_is_noticed_at_the_end() -> None:
    """`is_empty` tells an orderly end from one in the middle of a frame."""
    splitter = Splitter(max_frame=MAX)
    assert splitter.feed(frames.dropped(1)[:-1]) == []
    assert not splitter.is_empty


def _bytes(frame: Frame) -> tuple[int, int, int, int, bytes, bytes]:
    return (*frame[:4], bytes(frame.head), bytes(frame.data))


# ── what is no frame ──────────────────────────────────────────────────────────────────────────────


def read_all(data: bytes) -> None:
    """Read bytes as a peer would; raises `BadFrame` and nothing else."""
    try:
        for frame in Splitter(max_frame=MAX).feed(data):
            reader = READERS.get(frame.kind)
            if reader is not None:
                reader(frame)
    except BadFrame:
        return


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    """Bytes from anywhere raise nothing but BadFrame."""
    read_all(data)


@given(ENCODED, st.lists(st.tuples(st.integers(min_value=0, max_value=2**16), st.integers(0, 255)), max_size=4))
def test_mutated_frames_are_read_or_refused(encoded: bytes, changes: list[tuple[int, int]]) -> None:
    """A frame with some bytes changed raises nothing but BadFrame."""
    data = bytearray(encoded)
    for place, value in changes:
        data[place % len(data)] = value
    read_all(bytes(data))


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=60), st.binary(max_size=10))
def test_arbitrary_heads_are_read_or_refused(kind: int, head: bytes, data: bytes) -> None:
    """A well-formed frame with any head raises nothing but BadFrame."""
    read_all(b"".join(frames.frame(Kind(kind), 1, head, data=[data])))


def test_deeply_nested_head_is_refused() -> None:
    """A head that would take the decoder's stack is a bad frame as well."""
    head = b"\x97" + msgspec.msgpack.encode(3) + b"\x90\x00\xa0\x00\x92\x00\x00" + b"\x91" * 100_000 + b"\x00"
    (frame,) = Splitter(max_frame=1 << 20).feed(b"".join(frames.frame(Kind.END, 1, head)))
    with pytest.raises(BadFrame, match="recursion"):
        frames.read_step(frame)


def test_unknown_kind_is_refused() -> None:
    """A kind that we do not know cannot be skipped: it may mean anything."""
    with pytest.raises(BadFrame, match="no frame has kind 200"):
        Splitter(max_frame=MAX).feed(frames.HEADER.pack(16, 200, 0, 0, 1, 0))


@pytest.mark.parametrize("sent", [frames.HEADER.size, frames.HEADER.size + 1])
def test_too_big_a_frame_is_refused_before_it_is_kept(sent: int) -> None:
    """The header alone is enough to say no: nothing of the body is waited for."""
    header = frames.HEADER.pack(MAX + 1, Kind.END, 0, 0, 1, 0)
    with pytest.raises(BadFrame, match=f"{MAX + 1} bytes, more than {MAX}"):
        Splitter(max_frame=MAX).feed((header + b"x")[:sent])


def test_too_big_a_frame_is_refused_when_its_header_comes_in_two() -> None:
    """The same, where the first bytes of the header had to be kept."""
    header = frames.HEADER.pack(MAX + 1, Kind.END, 0, 0, 1, 0)
    splitter = Splitter(max_frame=MAX)
    assert splitter.feed(header[:7]) == []
    with pytest.raises(BadFrame, match="more than"):
        splitter.feed(header[7:])


def test_head_must_fit_into_its_frame() -> None:
    """A head that is longer than the frame would reach into the next one."""
    with pytest.raises(BadFrame, match="a head of 100 bytes in a frame of 16"):
        Splitter(max_frame=MAX).feed(frames.HEADER.pack(16, Kind.END, 0, 0, 1, 100))


def test_frame_of_the_largest_size_passes() -> None:
    """The bound itself is allowed."""
    size = MAX - (frames.HEADER.size - 4)
    (frame,) = Splitter(max_frame=MAX).feed(b"".join(frames.frame(Kind.END, 1, b"", data=[bytes(size)])))
    assert len(frame.data) == size


def test_stream_numbers_have_sixty_four_bits() -> None:
    """A worker that lives for months does not run out of them."""
    assert one(frames.dropped(2**32 + 5)).stream == 2**32 + 5


@pytest.mark.parametrize("kind", [Kind.PIECE, Kind.END])
def test_kind_and_reply_must_agree(kind: Kind) -> None:
    """An END whose reply is not the last, and a PIECE whose reply is, are refused: a stream ends exactly once."""
    status = Status.CONTINUE if kind == Kind.END else Status.ONCE
    with pytest.raises(BadFrame, match="in a frame of kind"):
        frames.read_step(with_head(kind, [int(status), [], 0, "", 0, [0, 0]]))


@pytest.mark.parametrize("size", [-1, 3, 5, 2**63])
def test_pieces_must_fill_the_data(size: int) -> None:
    """A piece that claims more or less than there is is refused."""
    with pytest.raises(BadFrame):
        frames.read_step(with_head(Kind.END, [3, [["key", 0, 3, {}, size]], 0, "", 0, [0, 0]], b"four"))


def test_block_on_a_link_that_shares_none_is_refused() -> None:
    """Between machines there is no shared memory."""
    with pytest.raises(BadFrame, match="block 0 with 9 bytes on a link that shares none"):
        frames.read_step(with_head(Kind.END, [3, [["key", 0, 3, {}, 9, 0]], 0, "", 0, [0, 0]]))


@pytest.mark.parametrize("steps", [0, -1])
def test_credit_must_be_positive(steps: int) -> None:
    """Credit is given, never taken."""
    with pytest.raises(BadFrame, match="a credit of"):
        frames.read_credit(with_head(Kind.CREDIT, steps))


def test_greeting_must_come_first() -> None:
    """Another frame in its place is refused."""
    with pytest.raises(BadFrame, match="the first frame has kind 6, not HELLO"):
        frames.read_hello(one(frames.dropped(1)))


def test_other_version_is_refused() -> None:
    """A peer of another version is told apart before anything else is read."""
    with pytest.raises(BadFrame, match="speaks version 99"):
        frames.read_hello(one(frames.hello(Hello(99, "peer", 32))))
