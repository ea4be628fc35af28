"""A stretch of a call in which it may be interrupted. What the worker does for the call before and after it may not.

    gate = Gate()           `gate.interrupt` is the task's `abort`
    ...                     whatever must be known of, to be undone
    with gate:
        ...                 user code

Who comes to it when nobody waits any more is not let in: `with gate` raises `CallInterrupted` at once.
"""

import threading

from athena_serving.worker.interrupts import CallInterrupted, let_come, raise_in


class Gate:
    """Belongs to one call. It is passed once, on the thread that runs the call; `interrupt` is anybody's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = 0
        """The thread that is inside; 0 if none is."""
        self._is_interrupted = False

    def interrupt(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            if self._is_interrupted:
                return
            self._is_interrupted = True
            if self._thread:
                raise_in(self._thread)

    def __enter__(self) -> None:
        with self._lock:
            if self._is_interrupted:
                raise CallInterrupted
            self._thread = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._thread = 0
            if self._is_interrupted:
                let_come()
