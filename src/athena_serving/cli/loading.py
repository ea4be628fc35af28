"""The line that says on a terminal that workers load, `  loading 12 s`; gone when they are ready.

It needs no place of its own in the log. It is shorter than the shortest line there and leaves the cursor at the left
edge, so whoever writes next, this process or a door, writes over it whole, and nobody has to know of it.
"""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

from athena_serving.kit import logs
from athena_serving.settings import Serve

TICK: Final = 1.0
"""Seconds between two drawings, and before the first: what loads faster needs no line."""
WIDTH: Final = 24
"""Columns of the line at most. The log's have the time and the level in their first 20, then a name and words."""


@contextlib.contextmanager
def shown(chosen: Serve) -> Iterator[None]:
    """Show the line meanwhile, until all workers are ready: for a person at a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or chosen.server.log_form(is_terminal=True) != "human":
        yield
        return
    line = Line(sum(hosted.workers.count for hosted in chosen.services), logs.Unwaiting(2))
    told = logging.getLogger("supervisor")
    told.addHandler(line)
    drawing = threading.Thread(target=line.draw, name="loading", daemon=True)
    drawing.start()
    try:
        yield
    finally:
        told.removeHandler(line)
        line.end()
        drawing.join()


class Line(logging.Handler):
    """The line for this many workers. What the supervisor logs says when it is over."""

    def __init__(self, workers: int, stream: logs.Unwaiting) -> None:
        super().__init__(logging.INFO)
        self._workers = workers
        self._stream = stream
        self._ready: set[object] = set()
        self._over = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Count the ready workers; an error, or the end of the server, is to be read without a clock below it."""
        if record.msg == "%s is ready":
            self._ready.add(record.args)
        if len(self._ready) >= self._workers or record.levelno >= logging.ERROR or record.msg == "stopping":
            self.end()

    @property
    def is_over(self) -> bool:
        """Is it gone, or about to be?"""
        return self._over.is_set()

    def end(self) -> None:
        """The line is not needed any more."""
        self._over.set()

    def draw(self) -> None:
        """Draw until the end, then wipe it out."""
        began = time.monotonic()
        while not self._over.wait(TICK):
            self._write(self._words(time.monotonic() - began))
        self._write("")

    def _words(self, seconds: float) -> str:
        if self._workers == 1:
            return f"  loading {seconds:.0f} s"
        return f"  {len(self._ready)} of {self._workers} loaded, {seconds:.0f} s"

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone
            self._stream.write(f"\r{text[:WIDTH]:{WIDTH}}\r")
