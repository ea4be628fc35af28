"""Bytes and descriptors into `kit.channel`, over a real socket: messages come out, or `ChannelBroken`."""

import contextlib
import socket
import struct
from pathlib import Path

from athena_serving.kit import descriptors
from athena_serving.kit.channel import Channel, ChannelBroken


def _message(text: bytes, count: int = 0) -> bytes:
    return struct.pack("<II", len(text), count) + text


# The first byte says in what pieces the rest is written, the second which of them bring a descriptor.
SEEDS = [
    b"\x40\x00" + _message(b"one") + _message(b"") + _message(b"three" * 50),
    b"\x40\x01" + _message(b"with one", 1) + _message(b"with none"),
    b"\x0b\x03" + _message(b"one", 1) + _message(b"two", 1),
    b"\x01\x01" + _message(b"byte by byte", 1),
]
"""Good streams in different pieces."""


def one(data: bytes) -> None:
    """Write and read `data` piece by piece. Findings: another error, or a descriptor that nobody has closed."""
    before = _open_descriptors()
    size, which = (data + b"\1\0")[:2]
    ours, theirs = socket.socketpair()
    with ours, theirs, contextlib.suppress(ChannelBroken):
        _play(ours, Channel(theirs), data[2:2000], size=size or 1, which=which)
    if _open_descriptors() != before:
        raise AssertionError("a descriptor is left open")


def _play(link: socket.socket, channel: Channel, data: bytes, *, size: int, which: int) -> None:
    for number, start in enumerate(range(0, len(data), size)):
        passed = [link.fileno()] if which >> (number % 8) & 1 else []
        descriptors.send(link, [data[start : start + size]], passed)
        _close(channel.pending())
    link.shutdown(socket.SHUT_WR)
    _close(channel.pending())


def _close(messages: list[tuple[bytes, list[int]]] | None) -> None:
    for _, fds in messages or []:
        descriptors.close_all(fds)


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
