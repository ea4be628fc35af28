"""The inputs of a call as user code has them: a list of nodes, or the dicts of ASF's first style."""

from athena_serving.sdk.data import DataListCls, DataListNode
from athena_serving.wire.messages import Call


def nodes(call: Call) -> DataListCls:
    """As `reqData` (wrapper.md 1.3)."""
    request = DataListCls()
    request.list = [DataListNode(p.key, p.data, type=p.type, status=p.status, desc=p.desc) for p in call.pieces]
    return request


def old_nodes(call: Call) -> tuple[dict[str, object], ...]:
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
        for piece in call.pieces
    )
