"""A worker's log lines: marked, so that the supervisor passes them on as they are, and with the worker's name."""

import io
import logging
import os
from collections.abc import Mapping
from typing import Literal

from athena_serving.kit import logs
from athena_serving.wire.control import LINE_MARK


class MarkedStream(io.TextIOWrapper):
    """Standard error as it was at the start, whatever user code does to it; every line begins with the mark."""

    def __init__(self) -> None:
        super().__init__(os.fdopen(os.dup(2), "wb"), encoding="utf-8", errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write whole lines."""
        marked = text.removesuffix("\n").replace("\n", f"\n{LINE_MARK}")
        return super().write(f"{LINE_MARK}{marked}\n")


class Named(logging.Filter):
    """Adds the worker's name to every record's fields."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self.worker = worker

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through, with the name."""
        fields = getattr(record, "fields", None)
        record.fields = {**(fields if isinstance(fields, Mapping) else {}), "worker": self.worker}
        return True


def setup(form: Literal["human", "json"], worker: str) -> Named:
    """Send this process's log records to the supervisor's log. The name may be changed later."""
    logs.setup(form, stream=MarkedStream())
    named = Named(worker)
    for handler in logging.getLogger().handlers:
        handler.addFilter(named)
    return named
