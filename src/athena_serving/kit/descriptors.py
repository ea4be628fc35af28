"""Bytes and file descriptors over a unix stream socket.

Descriptors arrive with the bytes they were sent with or before them, never after; a message therefore says how many
descriptors belong to it, and the receiver takes them from a queue in order.
"""

import array
import fcntl
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Final

MAX_DESCRIPTORS: Final = 64
"""Most descriptors that one receive accepts."""

_ANCILLARY: Final = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
_FLAGS: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # a user's subprocess must not inherit what we are handed

Buffer = bytes | bytearray | memoryview


def send(link: socket.socket, buffers: Sequence[Buffer], descriptors: Sequence[int] = ()) -> int:
    """Write buffers, with descriptors attached to their first byte. Gives the number of bytes taken."""
    if not descriptors:
        return link.sendmsg(buffers)
    return link.sendmsg(buffers, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


def receive(link: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """Read up to `size` bytes, and the descriptors that came along. Raises `OSError` if some were cut off."""
    data, ancillary, flags, _ = link.recvmsg(size, _ANCILLARY, _FLAGS)
    descriptors: list[int] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found = array.array("i")
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
            descriptors.extend(found)
    if flags & socket.MSG_CTRUNC:
        close_all(descriptors)
        raise OSError(f"more than {MAX_DESCRIPTORS} descriptors in one message")
    return data, [above_standard(descriptor) for descriptor in descriptors]


def above_standard(descriptor: int) -> int:
    """The same open file under a number above 2; it has got one below if somebody closed a standard stream.

    Who then prints all the same would write into it. So the free numbers go to the null device.
    """
    if descriptor > 2:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # it stays
    os.close(null)
    return moved


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that nobody will use."""
    for descriptor in descriptors:
        os.close(descriptor)
