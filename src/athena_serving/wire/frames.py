"""Frames: how calls and replies travel between processes.

A link carries frames both ways. A call opens a *stream* on it, a number that only grows on that link:

    door    BEGIN(call, first step) ─ PIECE(step) … ─ END        the caller's half
    worker  PIECE(step) …           ─ END(step | code, message)  the answer's half

STEPS is several PIECEs of one stream in one frame: what a worker makes faster than it can be sent.

The flag LAST on a frame closes the sender's half, so a once-call is one frame each way: BEGIN|LAST, then END. The flag
SESSION on a BEGIN says that the call is for the wrapper's methods for sessions: any number of steps each way. A
stream ends exactly once for its door: by END, by DROPPED (user code never saw it), or by the link's end.

CANCEL, DROPPED, CREDIT, PING, PONG and DRAIN travel on a link of their own beside the data, so that control never
queues behind data. Each side may send `STEPS` steps of a session; then it waits until CREDIT lets it send more, which
the other side grants as its user takes them. BEGIN and END need none. HELLO is the first frame each way between
machines. SHARE comes with a descriptor: from now on its number names that block of shared memory.

    u32 size of the rest │ u8 kind │ u8 flags │ u16 slot │ u64 stream │ u32 size of head │ head │ data …

Little-endian. A stream has 64 bits: 32 would be used up in ten days at 5,000 calls a second. The head is msgpack, an
array in the order of the struct's fields. Data of pieces follow the head, one after another, unless a piece says which
shared block holds them. `slot` names the call's place in the worker's shared page (wire/page.py). Deadlines travel as
time remaining. An answer carries the worker's load.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

import msgspec

from athena_serving.wire.messages import Call, Expect, Piece, Reply, Sid, Step

VERSION: Final = 1
"""Version of this format; a peer that says another in its HELLO is refused."""

HEADER: Final = struct.Struct("<IBBHQI")
_SIZE: Final = struct.Struct("<I")
_REST: Final = HEADER.size - _SIZE.size
LAST: Final = 1
"""Flag: the sender's half of the stream is closed."""
SESSION: Final = 2
"""Flag of a BEGIN: the call is for the wrapper's methods for sessions."""
STEPS: Final = 64
"""Steps of a session that each side may have sent without the other's user having taken them."""

INLINE: Final = -1
"""Block number of a piece whose data follow the head."""

Buffer = bytes | bytearray | memoryview


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    BEGIN = 2
    PIECE = 3
    END = 4
    CANCEL = 5
    DROPPED = 6
    CREDIT = 7
    PING = 8
    PONG = 9
    DRAIN = 10
    SHARE = 11
    STEPS = 12


_KINDS: Final = frozenset(Kind)


class BadFrame(Exception):
    """The peer sent what is no frame. The link cannot be trusted any further and must be closed."""


class Frame(NamedTuple):
    """One frame, its head still packed. `data` is a view into what was received."""

    kind: int
    flags: int
    slot: int
    stream: int
    head: Buffer
    data: memoryview


class Load(msgspec.Struct, array_like=True, gc=False):
    """How busy a worker is, in every answer of its."""

    running: int = 0
    """Calls that user code has now."""
    waiting: int = 0
    """Calls that wait in the worker."""


class Hello(msgspec.Struct, array_like=True, gc=False):
    """First frame each way: who speaks, and what it will take."""

    version: int
    name: str
    window: int
    """Streams that the peer may have open on this link."""
    nonce: bytes = b""
    proof: bytes = b""
    """HMAC over both nonces with the shared secret, where the link crosses machines."""


class _PieceHead(msgspec.Struct, array_like=True, gc=False):
    key: str
    type: int
    status: int
    desc: dict[str, str]
    size: int
    block: int = INLINE


class _Begin(msgspec.Struct, array_like=True, gc=False):
    sid: str
    service: str
    app: str
    remaining: float
    headers: dict[str, str]
    params: dict[str, str]
    pieces: list[_PieceHead]
    expects: list[Expect]
    traceparent: str


class _Step(msgspec.Struct, array_like=True, gc=False):
    status: int
    pieces: list[_PieceHead]
    code: int
    message: str
    user_us: int
    load: Load


class _Given(msgspec.Struct, array_like=True, gc=False):
    pieces: list[_PieceHead]
    params: dict[str, str]


class _Steps(msgspec.Struct, array_like=True, gc=False):
    steps: list[tuple[int, list[_PieceHead]]]
    """Status and pieces of each."""
    load: Load


_encode = msgspec.msgpack.Encoder().encode
_decode_given = msgspec.msgpack.Decoder(_Given).decode
_decode_begin = msgspec.msgpack.Decoder(_Begin).decode
_decode_step = msgspec.msgpack.Decoder(_Step).decode
_decode_steps = msgspec.msgpack.Decoder(_Steps).decode
_decode_hello = msgspec.msgpack.Decoder(Hello).decode
_decode_text = msgspec.msgpack.Decoder(str).decode
_decode_int = msgspec.msgpack.Decoder(int).decode

# ── out ───────────────────────────────────────────────────────────────────────────────────────────


def frame(
    kind: Kind, stream: int, head: bytes, *, data: Sequence[Buffer] = (), flags: int = 0, slot: int = 0
) -> list[Buffer]:
    """One frame as buffers to be written in order; the first holds header and head."""
    size = _REST + len(head)
    for part in data:
        size += len(part)
    return [HEADER.pack(size, kind, flags, slot, stream, len(head)) + head, *data]


def begin(stream: int, slot: int, call: Call, *, now: float, blocks: Sequence[int] = ()) -> list[Buffer]:
    """Open a stream with a call and its first step. `blocks[i]` tells where piece i's data are; none means inline."""
    pieces, data = _pack(call.pieces, blocks)
    # As a tuple: the bytes are those of a `_Begin`, for the price of no object.
    head = _encode(
        (
            call.sid,
            call.service,
            call.app,
            call.expires - now,
            call.headers,
            call.params,
            pieces,
            call.expects,
            call.traceparent,
        )
    )
    flags = (LAST if call.last else 0) | (SESSION if call.is_session else 0)
    return frame(Kind.BEGIN, stream, head, data=data, flags=flags, slot=slot)


def given(stream: int, step: Step, *, blocks: Sequence[int] = ()) -> list[Buffer]:
    """One of the caller's later steps: END if it is the last, else PIECE."""
    pieces, data = _pack(step.pieces, blocks)
    head = _encode((pieces, step.params))
    return frame(Kind.END if step.last else Kind.PIECE, stream, head, data=data, flags=LAST if step.last else 0)


def step(stream: int, reply: Reply, load: Load, *, blocks: Sequence[int] = ()) -> list[Buffer]:
    """One step of an answer: END if it is the last, else PIECE."""
    pieces, data = _pack(reply.pieces, blocks)
    head = _encode((reply.status, pieces, reply.code, reply.message, reply.user_us, load))
    last = reply.is_last
    return frame(Kind.END if last else Kind.PIECE, stream, head, data=data, flags=LAST if last else 0)


def steps(stream: int, replies: Sequence[Reply], load: Load) -> list[Buffer]:
    """Several steps of an answer, none of them the last, all inline."""
    heads = []
    data: list[Buffer] = []
    for reply in replies:
        pieces, parts = _pack(reply.pieces, ())
        heads.append((reply.status, pieces))
        data += parts
    return frame(Kind.STEPS, stream, _encode((heads, load)), data=(b"".join(data),))


def hello(value: Hello) -> bytes:
    """The first frame of a link."""
    return b"".join(frame(Kind.HELLO, 0, _encode(value)))


def cancel(stream: int, reason: str) -> bytes:
    """The caller no longer waits; `reason` is for the log and for user code."""
    return b"".join(frame(Kind.CANCEL, stream, _encode(reason)))


def dropped(stream: int) -> bytes:
    """Answer to CANCEL: user code never saw this call."""
    return b"".join(frame(Kind.DROPPED, stream, b""))


def credit(stream: int, steps: int) -> bytes:
    """Let the peer send `steps` more steps of the stream."""
    return b"".join(frame(Kind.CREDIT, stream, _encode(steps)))


def signal(kind: Kind, number: int = 0) -> bytes:
    """PING or PONG with a number, DRAIN, or SHARE with a block's number."""
    return b"".join(frame(kind, number, b""))


_PieceTuple = tuple[str, int, int, dict[str, str], int, int]
"""The fields of a `_PieceHead`."""


def _pack(pieces: Sequence[Piece], blocks: Sequence[int]) -> tuple[list[_PieceTuple], list[Buffer]]:
    heads: list[_PieceTuple] = []
    data: list[Buffer] = []
    for index, piece in enumerate(pieces):
        block = blocks[index] if blocks else INLINE
        heads.append((piece.key, piece.type, piece.status, piece.desc, len(piece.data), block))
        if block == INLINE:
            data.append(piece.data)
    return heads, data


# ── in ────────────────────────────────────────────────────────────────────────────────────────────


class Splitter:
    """Cuts what a socket gives into frames. It keeps at most one unfinished frame."""

    def __init__(self, *, max_frame: int) -> None:
        self._max = max_frame
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take what was read; give the frames that are whole. Raises `BadFrame`."""
        if self._rest:
            self._rest += chunk
            if len(self._rest) < self._wanted(self._rest):
                return []
            chunk, self._rest = bytes(self._rest), bytearray()
        frames: list[Frame] = []
        view = memoryview(chunk)
        at, end = 0, len(chunk)
        while end - at >= HEADER.size:
            size, kind, flags, slot, stream, head_size = HEADER.unpack_from(chunk, at)
            self._check(size, kind, head_size)
            stop = at + _SIZE.size + size
            if stop > end:
                break
            head = at + HEADER.size
            body = head + head_size
            frames.append(Frame(kind, flags, slot, stream, view[head:body], view[body:stop]))
            at = stop
        if at < end:
            self._rest += view[at:]
        return frames

    @property
    def is_empty(self) -> bool:
        """Is there no unfinished frame? At the link's end there must be none."""
        return not self._rest

    def _wanted(self, data: bytearray) -> int:
        if len(data) < HEADER.size:
            return HEADER.size
        size, kind, _, _, _, head_size = HEADER.unpack_from(data)
        self._check(size, kind, head_size)
        return _SIZE.size + int(size)

    def _check(self, size: int, kind: int, head_size: int) -> None:
        if kind not in _KINDS:
            raise BadFrame(f"no frame has kind {kind}")
        if size > self._max:
            raise BadFrame(f"a frame of {size} bytes, more than {self._max}")
        if size < _REST + head_size:
            raise BadFrame(f"a head of {head_size} bytes in a frame of {size}")


ReadBlock = Callable[[int, int], bytes | memoryview]
"""Gives the first `size` bytes of shared block `number`; raises `BadFrame` where there is no such block."""


def no_blocks(number: int, size: int) -> bytes | memoryview:
    """The `ReadBlock` of a link that shares no memory."""
    raise BadFrame(f"block {number} with {size} bytes on a link that shares none")


def read_begin(frame: Frame, *, now: float, read_block: ReadBlock = no_blocks) -> Call:
    """The call of a BEGIN frame; its deadline on this process's clock. Raises `BadFrame`."""
    head = _head(_decode_begin, frame)
    return Call(
        sid=Sid(head.sid),
        service=head.service,
        app=head.app,
        expires=now + head.remaining,
        headers=head.headers,
        params=head.params,
        pieces=_unpack(head.pieces, frame.data, read_block),
        expects=head.expects,
        last=bool(frame.flags & LAST),
        traceparent=head.traceparent,
        is_session=bool(frame.flags & SESSION),
    )


def read_given(frame: Frame, *, read_block: ReadBlock = no_blocks) -> Step:
    """The caller's step in a PIECE or END frame. Raises `BadFrame`."""
    head = _head(_decode_given, frame)
    return Step(_unpack(head.pieces, frame.data, read_block), head.params, frame.kind == Kind.END)


def read_step(frame: Frame, *, read_block: ReadBlock = no_blocks) -> tuple[Reply, Load]:
    """The reply of a PIECE or END frame, and the sender's load. Raises `BadFrame`."""
    head = _head(_decode_step, frame)
    pieces = _unpack(head.pieces, frame.data, read_block)
    reply = Reply(pieces, head.status, head.code, head.message, head.user_us)
    if reply.is_last != (frame.kind == Kind.END):
        raise BadFrame(f"status {head.status} and code {head.code} in a frame of kind {frame.kind}")
    return reply, head.load


def read_steps(frame: Frame) -> list[Reply]:
    """The replies of a STEPS frame. Raises `BadFrame`."""
    head = _head(_decode_steps, frame)
    replies = []
    data, at = frame.data, 0
    for status, heads in head.steps:
        if not 0 <= status < _LAST_STATUS:
            raise BadFrame(f"status {status} in a frame of steps")
        pieces = []
        for one in heads:
            if one.size < 0 or one.block != INLINE:
                raise BadFrame(f"piece {one.key!r} of size {one.size} in block {one.block} in a frame of steps")
            pieces.append(Piece(one.key, one.type, one.status, one.desc, data[at : at + one.size]))
            at += one.size
        replies.append(Reply(pieces, status))
    if at != len(data):
        raise BadFrame(f"pieces of {at} bytes in a frame with {len(data)}")
    return replies


_LAST_STATUS: Final = 2


def read_hello(frame: Frame) -> Hello:
    """The greeting. Raises `BadFrame` if it is none, or of another version."""
    if frame.kind != Kind.HELLO:
        raise BadFrame(f"the first frame has kind {frame.kind}, not HELLO")
    value = _head(_decode_hello, frame)
    if value.version != VERSION:
        raise BadFrame(f"the peer speaks version {value.version} of the frames, we speak {VERSION}")
    return value


def read_reason(frame: Frame) -> str:
    """The reason in a CANCEL frame. Raises `BadFrame`."""
    return _head(_decode_text, frame)


def read_credit(frame: Frame) -> int:
    """The steps in a CREDIT frame. Raises `BadFrame` unless it is a positive number."""
    steps = _head(_decode_int, frame)
    if steps <= 0:
        raise BadFrame(f"a credit of {steps}")
    return steps


_T = TypeVar("_T")


def _head(decode: Callable[[Buffer], _T], frame: Frame) -> _T:
    try:
        return decode(frame.head)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise BadFrame(f"the head of a frame of kind {frame.kind}: {error}") from error


def _unpack(heads: Iterable[_PieceHead], data: memoryview, read_block: ReadBlock) -> list[Piece]:
    pieces: list[Piece] = []
    at = 0
    for head in heads:
        if head.size < 0:
            raise BadFrame(f"piece {head.key!r} has size {head.size}")
        if head.block != INLINE:  # big, in shared memory
            part: bytes | memoryview = read_block(head.block, head.size)
        else:
            part = data[at : at + head.size]
            at += head.size
        pieces.append(Piece(head.key, head.type, head.status, head.desc, part))
    if at != len(data):
        raise BadFrame(f"pieces of {at} bytes in a frame with {len(data)}")
    return pieces
