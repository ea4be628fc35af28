"""Bytes into `wire.control`: an order or a report comes out, or an error that msgspec raises."""

from typing import Final

import msgspec

from athena_serving.wire import control
from athena_serving.wire.control import (
    Answer,
    Ask,
    Attach,
    DoorSetup,
    Failed,
    Groups,
    Health,
    Install,
    Join,
    Loaded,
    Ping,
    Ready,
    Retreat,
    WorkerSetup,
)

_READERS: Final = (control.read_to_worker, control.read_from_worker, control.read_to_door, control.read_from_door)

SEEDS = [
    control.encode(message)
    for message in (
        WorkerSetup("ocr-0", "/ocr/wrapper.py", "ocr", "v1", {"a": "b"}, 1, 32, 1, 1 << 26, warmup=True, log="json"),
        DoorSetup(0, b"{}", b"{}", "human", 4711, "127.0.0.1", 1888),
        Attach(0),
        Ping(7),
        Loaded("ocr", b'{"meta":{}}'),
        Ready(0.25),
        Failed("load", "no class Wrapper", "wrapper.py:1", "class Wrapper: ..."),
        Install("ocr", 2, b"{}", 256),
        Join("ocr-0.1", "ocr", 2, 1, 32, 32, 1),
        Groups([4711, 4712]),
        Health(ready=True, document=b"{}", services={"ocr": ""}, complete=True),
        Retreat("drain", 30.0),
        Ask(1),
        Answer(1, b"# HELP"),
    )
]
"""One of most kinds, and every type of field."""


def one(data: bytes) -> None:
    """Read `data` as every side would. Findings: an error that msgspec does not raise for bad bytes."""
    for read in _READERS:
        try:
            read(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
