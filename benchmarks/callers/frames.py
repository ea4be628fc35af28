"""Frames of a WebSocket, as far as a caller needs them (RFC 6455, 5.2): whole messages only, no extensions."""

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
NORMAL = (1000).to_bytes(2)
"""The close code of a session that ended well."""
_FINAL = 0x80
_MASKED = 0x80
_NO_MASK = bytes(4)


def upgrade(path: str, host: str) -> bytes:
    """The request that opens a connection; servers may not compress, since nothing is offered."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: YXRoZW5hLWJlbmNobWFyaw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def written(opcode: int, payload: bytes) -> bytes:
    """A client's frame. Its mask is zero: legal, the same work for the server, none here."""
    size = len(payload)
    if size < 126:
        length = bytes([_MASKED | size])
    elif size < 1 << 16:
        length = bytes([_MASKED | 126]) + size.to_bytes(2)
    else:
        length = bytes([_MASKED | 127]) + size.to_bytes(8)
    return bytes([_FINAL | opcode]) + length + _NO_MASK + payload


class Reader:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete now: opcode and payload."""
        buffer = self._rest + data if self._rest else data
        at, found = 0, []
        while (place := _payload(buffer, at)) and place[1] <= len(buffer):
            start, end = place
            found.append((buffer[at] & 0x0F, buffer[start:end]))
            at = end
        self._rest = buffer[at:]
        return found


def _payload(buffer: bytes, at: int) -> tuple[int, int] | None:
    """From where to where the payload of the frame at this place goes; None while its head is not complete."""
    if len(buffer) < at + 2:
        return None
    size, start = buffer[at + 1], at + 2
    extra = {126: 2, 127: 8}.get(size, 0)
    if len(buffer) < start + extra:
        return None
    if extra:
        size, start = int.from_bytes(buffer[start : start + extra]), start + extra
    return start, start + size
