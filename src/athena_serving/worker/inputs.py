"""The inputs of a call as user code has them: a list of nodes, or the dicts of ASF's first style."""

from collections.abc import Sequence

from athena_serving.sdk.data import DataListCls, DataListNode
from athena_serving.wire.messages import Piece


def nodes(pieces: Sequence[Piece]) -> DataListCls:
    """As `reqData` (wrapper.md 1.3)."""
    request = DataListCls()
    request.list = [DataListNode(p.key, p.data, type=p.type, status=p.status, desc=p.desc) for p in pieces]
    return request


def node(piece: Piece) -> DataListNode:
    """One input."""
    return DataListNode(piece.key, piece.data, type=piece.type, status=piece.status, desc=piece.desc)


def old_nodes(pieces: Sequence[Piece]) -> tuple[dict[str, object], ...]:
    """As `reqData` of a function (wrapper.md 2.4)."""
    return tuple(
        {
            "key": piece.key,
            "data": bytes(piece.data),
            "len": len(piece.data),
            "status": int(piece.status),
            "type": piece.type,
            "desc": piece.desc,
        }
        for piece in pieces
    )
