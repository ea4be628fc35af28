"""Outputs as pieces: the dicts of ASF's first style, and the steps of a session. The rest is in test_adapt.py."""

from types import SimpleNamespace

import pytest

from athena_serving.sdk import DataListNode, ResponseData
from athena_serving.wire.messages import Piece, Status
from athena_serving.worker import inputs, outputs
from tests.wire.calls import call


@pytest.mark.parametrize(
    ("item", "data"),
    [
        ({"data": b"text", "len": 2}, b"text"),
        ({"data": b"text"}, b"text"),
        ({"data": memoryview(b"text"), "len": 99}, b"text"),
        ({"data": "text", "len": 2}, b"te"),
        ({"data": "text", "len": 99}, b"text"),
        ({"data": "text", "len": -1}, b""),
        ({"data": "text", "len": None}, b"text"),
        ({"data": "text"}, b"text"),
        ({"data": "wörd", "len": 5}, "wörd".encode()),
        ({"data": "wörd", "len": 4}, "wör".encode()),
    ],
)
def test_length_of_a_dict_counts_for_text_only(item: dict[str, object], data: bytes) -> None:
    """Of bytes all are delivered, of a str as many bytes of UTF-8 as it declares (wrapper.md 2.4)."""
    piece = outputs.old_piece({"key": "result", "type": 0, "status": 3, **item}, Status.ONCE)
    assert (piece.key, bytes(piece.data), piece.type, piece.status) == ("result", data, 0, 3)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"key": "a"}, "an item of respData has no data: it has key"),
        ({}, "an item of respData has no data: it has nothing"),
        ({"data": b"x"}, "the key of a respData must be a str, not NoneType"),
        ({"key": "a", "data": 5}, "data must be bytes, bytearray, memoryview or str, not int"),
        ({"key": "a", "data": "x", "len": "1"}, "the len of an item of respData must be an int, not str"),
        (
            {"key": "a", "data": b"x", "type": "text"},
            "a type must be DataText 0, DataAudio 1, DataImage 2 or DataVideo",
        ),
        (b"x", "Response.list holds a bytes, not a ResponseData"),
    ],
)
def test_dict_that_is_no_output_is_said(item: object, message: str) -> None:
    """In words for its author."""
    with pytest.raises((TypeError, ValueError), match=message):
        outputs.old_piece(item, Status.ONCE)


def test_old_style_may_use_what_came_later() -> None:
    """An object in the list of dicts."""
    assert bytes(outputs.old_piece(ResponseData("result", b"x"), Status.ONCE).data) == b"x"


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [([], 1), ([0], 0), ([1, 0], 1), ([1, 2, 1], 2), ([3], 3), ([None], 3), ([True], 1)],
)
def test_step_is_the_last_if_an_item_says_so(statuses: list[int | None], whole: int) -> None:
    """The farthest status of its items; an item that says nothing ends the session (wrapper.md 1.3)."""
    items = [SimpleNamespace(key="a", data=b"x", status=status) for status in statuses]
    reply = outputs.step(items, outputs.piece)
    assert (reply.status, reply.is_last) == (whole, whole >= 2)
    dicts = [{"key": "a", "data": b"x", "status": status} for status in statuses]
    assert outputs.step(dicts, outputs.old_piece) == reply


@pytest.mark.parametrize("status", [-1, 4, "end", 2.0])
def test_status_must_be_one(status: object) -> None:
    """Of the four."""
    with pytest.raises(TypeError, match="a status must be DataBegin 0, DataContinue 1, DataEnd 2 or DataOnce 3"):
        outputs.step([SimpleNamespace(key="a", data=b"x", status=status)], outputs.piece)


def test_inputs_in_both_styles() -> None:
    """Nodes in a list that has `get`, or dicts in a tuple."""
    asked = call()
    asked.pieces = [Piece("sound", 1, 0, {"encoding": "raw"}, b"pcm")]
    (node,) = inputs.nodes(asked.pieces).list
    assert isinstance(node, DataListNode)
    assert (node.key, node.data, node.len, node.type, node.status) == ("sound", b"pcm", 3, 1, 0)
    expected = {"key": "sound", "data": b"pcm", "len": 3, "type": 1, "status": 0, "desc": {"encoding": "raw"}}
    assert inputs.old_nodes(asked.pieces) == (expected,)
