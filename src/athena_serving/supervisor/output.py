"""What a child writes to its standard output and error.

It is read at the descriptor, so that nothing user code does to `sys.stdout` hides it. Lines are logged with the
worker's name; the last ones are kept to explain a death.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from typing import Final

from athena_serving.kit import logs
from athena_serving.wire import control

log = logging.getLogger("output")

MARK: Final = control.LINE_MARK.encode()
_CHUNK: Final = 1 << 16
_LONGEST: Final = 4096
"""Bytes of a line that are kept."""
_LONGEST_MARKED: Final = 1 << 20
"""The same for a log line, which may hold a traceback and, cut, would be no JSON any more."""
_KEPT: Final = 20
"""Last lines that are kept."""


class Output:
    """One child's output. It is read as fast as it comes; what is over the rate is counted, not logged."""

    def __init__(self, name: str, descriptor: int, *, lines_per_second: int, passed_on: int) -> None:
        os.set_blocking(descriptor, False)
        self.name = name
        """Stands before each line."""
        self._descriptor = descriptor
        self._rate = lines_per_second
        self._passed_on = logs.Unwaiting(passed_on)
        self._rest = b""
        self._is_cut = False
        self._last: deque[str] = deque(maxlen=_KEPT)
        self._second = 0
        self._count = 0
        self._telling: asyncio.TimerHandle | None = None
        """Tells what was lost, should the child fall silent after it."""
        self._is_closed = False

    def start(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def last_lines(self) -> list[str]:
        """The last lines, oldest first."""
        return list(self._last)

    def close(self) -> None:
        """The child is dead: read what is left and let go, even if something of its still holds the other end."""
        if self._is_closed:
            return
        for _ in range(64):
            if not self._read():
                break
        self._finish()

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._finish()
            return False
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(rest) > (_LONGEST_MARKED if rest.startswith(MARK) else _LONGEST):
            self._take(rest)
            self._is_cut, rest = True, b""
        self._rest = rest
        return True

    def _finish(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        if self._rest:
            self._take(self._rest)
        self._tell_lost()

    def _take(self, line: bytes) -> None:
        begun, mark, ours = line.partition(MARK)
        if begun and mark:  # a log line came while user code had printed half of its own
            self._take(begun)
            self._take(mark + ours)
            return
        if self._is_cut:  # the rest of a line that was too long
            self._is_cut = False
            return
        is_ours = line.startswith(MARK)
        text = line.removeprefix(MARK)[:_LONGEST].decode(errors="replace").rstrip("\r")
        self._last.append(text)
        second = int(time.monotonic())
        if second != self._second:
            self._tell_lost()
            self._second, self._count = second, 0
        self._count += 1
        if self._count > self._rate:
            if self._telling is None:
                self._telling = asyncio.get_running_loop().call_later(1.0, self._tell_lost)
            return
        if is_ours:
            with contextlib.suppress(OSError):  # nobody reads our log
                self._passed_on.write_bytes(line[1:] + b"\n")
        else:
            log.info("%s", text, extra={"fields": {"worker": self.name}})

    def _tell_lost(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        lost = self._count - self._rate
        if lost > 0:
            log.warning(
                "%d more lines in that second (setting workers.log_lines)",
                lost,
                extra={"fields": {"worker": self.name}},
            )
            self._count = 0
