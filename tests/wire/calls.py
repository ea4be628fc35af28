"""Any call, any reply: what hypothesis draws in the tests of several rooms."""

from hypothesis import strategies as st

from athena_serving.wire.frames import Load
from athena_serving.wire.messages import Call, Expect, Piece, Reply, Sid, Status, Step

WORDS = st.text(max_size=20)
ATTRIBUTES = st.dictionaries(WORDS, WORDS, max_size=3)
COUNTS = st.integers(min_value=0, max_value=2**53)

PIECES = st.builds(
    Piece,
    key=WORDS,
    type=st.integers(min_value=0, max_value=255),
    status=st.sampled_from(Status).map(int),
    desc=ATTRIBUTES,
    data=st.binary(max_size=100),
)
CALLS = st.builds(
    Call,
    sid=WORDS.map(Sid),
    service=WORDS,
    app=WORDS,
    expires=st.floats(min_value=0.0, max_value=1e6),
    headers=ATTRIBUTES,
    params=ATTRIBUTES,
    pieces=st.lists(PIECES, max_size=3),
    expects=st.lists(st.builds(Expect, key=WORDS, type=COUNTS, desc=ATTRIBUTES), max_size=2),
    last=st.booleans(),
    traceparent=WORDS,
    is_session=st.booleans(),
)
STEPS = st.builds(Step, pieces=st.lists(PIECES, max_size=3), params=ATTRIBUTES, last=st.booleans())
MIDDLE = st.builds(
    Reply, pieces=st.lists(PIECES, max_size=3), status=st.sampled_from([Status.BEGIN, Status.CONTINUE]).map(int)
)
"""Steps of an answer that are not its last."""
REPLIES = st.builds(
    Reply,
    pieces=st.lists(PIECES, max_size=3),
    status=st.sampled_from(Status).map(int),
    code=st.integers(min_value=0, max_value=20000),
    message=WORDS,
    user_us=COUNTS,
)
LOADS = st.builds(Load, running=COUNTS, waiting=COUNTS)


def call(sid: str = "sid", *, data: bytes = b"", expires: float = 1e9, last: bool = True) -> Call:
    """A call with one piece `data`, or none if it is empty; its deadline is far away."""
    pieces = [Piece("data", data=data)] if data else []
    return Call(Sid(sid), "service", "app", expires, {}, {}, pieces, [], last=last)
