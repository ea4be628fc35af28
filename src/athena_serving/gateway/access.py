"""The access log: one line a call, written by a thread of its own, so that a stuck terminal never holds up a call."""

import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from athena_serving.gateway.meters import STAGES

_MOST: Final = 10_000
"""Lines that may wait to be written; beyond it the oldest are lost, and counted."""
_PAUSE: Final = 0.05
"""Seconds over which lines are gathered, so that the thread wakes at most so often."""


class Entry(NamedTuple):
    """One call as the log tells of it."""

    sid: str
    service: str
    app: str
    method: str
    path: str
    status: int
    code: int
    bytes_in: int
    bytes_out: int
    seconds: float
    stages: tuple[float, ...]
    """Seconds that each stage but the last of `meters.STAGES` took; empty if user code did not answer."""
    trace_id: str
    request_id: str
    """The caller's own X-Request-ID; empty if it sent none that we answer with."""


class Access:
    """Takes entries from the event loop and writes them behind its back."""

    def __init__(self, *, form: str, is_on: bool, descriptor: int = 2) -> None:
        self.is_on = is_on
        self._line = _json_line if form == "json" else _human_line
        self._descriptor = descriptor
        self._waiting: deque[tuple[float, Entry]] = deque()
        self._lost = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)

    def start(self) -> None:
        """Start the thread, if there is to be a log."""
        if self.is_on:
            self._thread.start()

    def write(self, entry: Entry) -> None:
        """Tell of one call. Never waits."""
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append((time.time(), entry))
        self._wake.set()

    def close(self) -> None:
        """Write what waits; at most a second."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        pause = threading.Event()
        while not (self._closing and not self._waiting):
            self._wake.wait()
            self._wake.clear()
            lines = [self._line(*self._waiting.popleft()) for _ in range(len(self._waiting))]
            if self._lost:
                lost, self._lost = self._lost, 0
                lines.append(f"({lost} lines of the access log were lost: nobody read them)\n".encode())
            try:
                _write_all(self._descriptor, b"".join(lines))
            except OSError:
                return  # nobody reads
            if not self._closing:
                pause.wait(_PAUSE)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _json_line(when: float, entry: Entry) -> bytes:
    moment = datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line: dict[str, object] = {
        "time": moment,
        "level": "INFO",
        "logger": "access",
        "message": "call",
        **entry._asdict(),
    }
    line["seconds"] = round(entry.seconds, 6)
    line["stages"] = {name: round(seconds, 6) for name, seconds in zip(STAGES, entry.stages, strict=False)}
    for name in ("trace_id", "request_id"):
        if not line[name]:
            del line[name]
    return msgspec.json.encode(line) + b"\n"


def _human_line(when: float, entry: Entry) -> bytes:
    clock = time.strftime("%H:%M:%S", time.localtime(when))
    outcome = f"{entry.status}" if not entry.code else f"{entry.status} code={entry.code}"
    trace = f" trace={entry.trace_id}" if entry.trace_id else ""
    request = f" request={entry.request_id!r}" if entry.request_id else ""
    times = " ".join(f"{name} {took * 1000:.1f}" for name, took in zip(STAGES, entry.stages, strict=False))
    stages = f" ({times})" if times else ""
    return (
        f"{clock}.{int(when % 1 * 1000):03} CALL    {entry.service}  {outcome}  {entry.seconds * 1000:.1f} ms{stages}  "
        f"in={entry.bytes_in} out={entry.bytes_out} "
        f"sid={entry.sid} app={entry.app!r} {entry.method} {entry.path!r}{trace}{request}\n"
    ).encode(errors="backslashreplace")
