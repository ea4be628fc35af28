"""Bytes into `wire.frames`: frames come out, or `BadFrame`."""

from collections.abc import Callable

from athena_serving.wire import frames
from athena_serving.wire.frames import BadFrame, Frame, Hello, Kind, Load, Splitter
from athena_serving.wire.messages import Call, Expect, Piece, Reply, Sid, Status, Step

_MAX = 1 << 14
_CALL = Call(
    Sid("ase00010001@dx1a2121a13ef0001182"),
    "ocr",
    "app",
    30.0,
    {"trace": "1"},
    {"language": "en"},
    [Piece("picture", 2, 3, {"encoding": "jpg"}, b"jpg" * 40), Piece("text", data=b"")],
    [Expect("boxes", 0, {"format": "json"})],
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
_STEP = Reply([Piece("boxes", data=b"[]")], Status.CONTINUE, user_us=1000)

SEEDS = [
    b"".join(frames.begin(1, 0, _CALL, now=0.0)),
    b"".join(frames.begin(2**40, 65535, _CALL, now=0.0, blocks=[0, 7])),
    b"".join(frames.step(1, _STEP, Load(1, 2))),
    b"".join(frames.step(1, Reply(code=10909, message="ValueError: no;code=-1"), Load())),
    b"".join(frames.step(1, Reply([Piece("result", data=b"x" * 300)]), Load(), blocks=[3])),
    b"".join(frames.given(1, Step([Piece("audio", 1, 1, {"encoding": "raw"}, b"pcm" * 40)], {"rate": "16000"}))),
    b"".join(frames.given(1, Step([], {}, last=True))),
    b"".join(frames.steps(1, [_STEP, Reply([], Status.BEGIN)], Load(1, 0))),
    frames.hello(Hello(frames.VERSION, "gateway", 32, b"nonce", b"proof")),
    frames.cancel(7, "the caller left"),
    frames.credit(7, 16),
    frames.dropped(7) + frames.signal(Kind.PING, 1) + frames.signal(Kind.DRAIN) + frames.signal(Kind.SHARE, 3),
]
"""One of every kind; the calls and answers also with data in shared blocks."""


def _block(number: int, size: int) -> bytes:
    """Shared memory of eight blocks."""
    if not 0 <= number < 8 or not 0 <= size <= 1000:
        raise BadFrame(f"{size} bytes of block {number}")
    return bytes(size)


def _either(frame: Frame) -> object:
    """A worker's step, or a caller's: only the link's side tells which."""
    try:
        return frames.read_step(frame, read_block=_block)
    except BadFrame:
        return frames.read_given(frame, read_block=_block)


_READERS: dict[int, Callable[[Frame], object]] = {
    Kind.BEGIN: lambda frame: frames.read_begin(frame, now=0.0, read_block=_block),
    Kind.PIECE: _either,
    Kind.END: _either,
    Kind.STEPS: frames.read_steps,
    Kind.HELLO: frames.read_hello,
    Kind.CANCEL: frames.read_reason,
    Kind.CREDIT: frames.read_credit,
}


def one(data: bytes) -> None:
    """Read `data` whole and in pieces. Findings: another error than `BadFrame`, or other frames for other pieces."""
    whole = _read(data, len(data))
    for size in (7, 64) if len(data) < 4000 else ():
        if _read(data, size)[: len(whole)] != whole:
            raise AssertionError(f"pieces of {size} bytes give other frames")


def _read(data: bytes, size: int) -> list[tuple[int, int, bytes, bytes]]:
    """The frames before the first bad one, in pieces of `size` bytes."""
    splitter = Splitter(max_frame=_MAX)
    found: list[tuple[int, int, bytes, bytes]] = []
    try:
        for start in range(0, len(data), size or 1):
            for frame in splitter.feed(data[start : start + size]):
                _READERS.get(frame.kind, bool)(frame)
                found.append((frame.kind, frame.stream, bytes(frame.head), bytes(frame.data)))
    except BadFrame:
        pass
    return found
