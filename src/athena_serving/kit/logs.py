"""One line per log record, for people or for machines, on a stream that may go away.

Fields travel beside the message, not inside it:

    log.info("worker is ready", extra={"fields": {"worker": 0, "pid": 4711}})

    12:00:01.250 INFO    crew  worker is ready  worker=0 pid=4711
    {"time": "2025-01-31T11:00:01.250Z", "level": "INFO", "logger": "shop.crew", "message": "worker is ready", ...}
"""

import io
import json
import logging
import os
import select
import time
from collections.abc import Mapping
from typing import Literal, TextIO


def setup(mode: Literal["human", "json"], *, stream: "TextIO | Unwaiting") -> None:
    """Send this process's log records, from INFO up, to `stream`, in the place of what an earlier call set up.

    Colours appear only on a terminal, and not where NO_COLOR is set (no-color.org). Writing a record never raises:
    a line that the stream does not take is lost, whole.
    """
    colour = mode == "human" and stream.isatty() and not os.environ.get("NO_COLOR")
    handler = LineHandler(stream)
    handler.setFormatter(HumanLine(colour=colour) if mode == "human" else JsonLine())
    handler.setLevel(logging.INFO)  # a logger of user code's may be more talkative, for a file of its own
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, LineHandler)), handler]
    root.setLevel(logging.INFO)


class LineHandler(logging.Handler):
    """Writes each record in one piece; drops it if the stream is closed or full."""

    def __init__(self, stream: "TextIO | Unwaiting") -> None:
        super().__init__()
        self.stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. Raises nothing: a log must not stop what it tells of."""
        try:
            line = self.format(record)
        except Exception as error:  # arguments bring their own __str__ and __format__
            line = self.format(_unformatted(record, error))
        try:
            self._write(line + "\n")
        except (OSError, ValueError):  # ValueError: the stream is closed
            return

    def _write(self, line: str) -> None:
        try:
            self.stream.write(line)
        except UnicodeEncodeError:  # raised before anything is written
            # Escapes of JSON, so that a JSON line stays one; a lone surrogate has no other form.
            self.stream.write("".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in line))
        self.stream.flush()


class Unwaiting(io.TextIOBase):
    """A text stream on a descriptor that others read, or do not: what they leave no room for is lost, never waited for.

    A terminal that was stopped, or a log collector that hangs, must not stop whoever tells it something.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._is_cut = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Is it a terminal?"""
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        """Write what there is room for."""
        self.write_bytes(text.encode())
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write whole lines. After a line that was cut the next one begins on a line of its own."""
        if self._is_cut:
            data = b"\n" + data
        for start in range(0, len(data), select.PIPE_BUF):
            # A pipe that is ready takes PIPE_BUF bytes without waiting (select(2), pipe(7)).
            self._is_cut = not select.select([], [self._descriptor], [], 0)[1]
            if self._is_cut:
                self._is_cut = start > 0
                return
            os.write(self._descriptor, data[start : start + select.PIPE_BUF])


class HumanLine(logging.Formatter):
    """Time, level, the logger's last name, message, `key=value`; on lines of their own a traceback, `where`, `help`."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One record as text without its last newline."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = self._paint(_COLOURS.get(record.levelno, ""), f"{record.levelname:<7}")
        name = record.name.rpartition(".")[2]
        line = f"{self._paint(_DIM, f'{clock}.{_millis(record)}')} {level} {name}  {_printable(record.getMessage())}"
        fields = _fields(record)
        beside = [f"{self._paint(_DIM, f'{key}=')}{_word(fields[key])}" for key in fields if key not in _SENTENCES]
        # As the command line ends an error: the last thing to be read.
        below = [
            f"  {self._paint(_DIM, f'{key}:')} {_printable(str(fields[key]))}" for key in _SENTENCES if key in fields
        ]
        lines = [f"{line}  {' '.join(beside)}" if beside else line, _trace(self, record), *below]
        return "\n".join(filter(None, lines))

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self.colour and colour else text


class JsonLine(logging.Formatter):
    """One JSON object: time (RFC 3339, UTC, milliseconds), level, logger, message, fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a JSON object on one line."""
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{clock}.{_millis(record)}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key, value in _fields(record).items():
            line[key if key not in line else f"{key}_"] = value
        trace = _trace(self, record)
        if trace:
            line["exception"] = trace
        try:
            return json.dumps(line, ensure_ascii=False, allow_nan=False, default=str)
        except (TypeError, ValueError, RecursionError):  # a key that is no string, nan, a circle
            return json.dumps({key: value if isinstance(value, str) else str(value) for key, value in line.items()})


_SENTENCES = ("where", "help")
"""Fields that people read as sentences."""

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_COLOURS = {
    logging.DEBUG: _DIM,
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}

# A message holds what callers sent: it must neither begin a new line nor speak to the terminal.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\t"}


def _printable(text: str) -> str:
    return text.translate(_ESCAPES)


def _word(value: object) -> str:
    """A field's value, in quotes where it would otherwise not be one word."""
    text = str(value)
    if text and text.isprintable() and not any(sign in text for sign in ' "='):
        return text
    return _printable(json.dumps(text, ensure_ascii=False))


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return {str(key): value for key, value in fields.items()} if isinstance(fields, Mapping) else {}


def _millis(record: logging.LogRecord) -> str:
    return f"{int(record.created * 1000) % 1000:03d}"


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or ""]
    if record.exc_info and not record.exc_text:
        parts = [formatter.formatException(record.exc_info)]
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(part for part in parts if part)


def _unformatted(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """The record without the arguments and fields that could not be written, and with the reason."""
    plain = logging.makeLogRecord({**record.__dict__, "args": None, "exc_info": None, "fields": None})
    plain.msg = f"{record.msg if isinstance(record.msg, str) else type(record.msg).__name__} (arguments of this line: "
    plain.msg += f"{type(error).__name__})"
    return plain
