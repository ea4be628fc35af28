"""Session ids: `ase00190001@dx1a207f509d30001182` (http-api.md, chapter 9).

<sub><pid><seq>@<location><milliseconds><ip><port>2
"""

import socket

from athena_serving.wire.messages import Sid


class Sids:
    """The ids of one process. Not for several threads at once."""

    def __init__(self, *, pid: int, ip: str | bytes, port: int, location: str = "dx") -> None:
        """`ip` as text or packed; its last two bytes count. Raises OSError if the text is no address."""
        packed = _pack(ip) if isinstance(ip, str) else ip
        self._pid = f"{pid & 0xFF:04x}"
        self._location = f"@{location:>2}"
        # Two characters of the port, as ASF has it; a port of one digit made it panic.
        self._tail = f"{packed[-2:].hex():0>4}{port:02}"[:6] + "2"
        self._count = 0
        self._moment = -1
        self._end = ""

    def next(self, now: float, sub: str = "ase") -> Sid:
        """A new id. `now` is Unix time in seconds; `sub` the service's business type, at least 3 letters wide."""
        # 16 bits, from 1: with the time in milliseconds no two are alike below 65 million calls a second.
        self._count = count = (self._count + 1) & 0xFFFF
        moment = int(now * 1000)
        if moment != self._moment:
            self._moment, self._end = moment, f"{self._location}{moment:011x}{self._tail}"
        return Sid(f"{sub or 'src':>3}{self._pid}{count:04x}{self._end}")


def _pack(ip: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
