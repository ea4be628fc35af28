"""Loggers that wrappers import (wrapper.md 1.7). Importing this shows INFO lines, unless somebody logs already.

In a worker the server has set the root logger up: there `log` is that, and only files are added.
"""

import logging
import os

TYPE_CHECKING = False  # not typing's: it costs 5 ms of every start
if TYPE_CHECKING:
    from logging.handlers import RotatingFileHandler

FORMAT = "%(asctime)s - %(name)s:%(funcName)s:%(lineno)s - %(levelname)s:  %(message)s"
"""ASF's."""

FOLDER_VARIABLE = "AIGES_LOG_DIR"
FOLDERS = ("/log/app", "log")
"""Where log files go, the first that can be written to: the variable's, ASF's, `log` in the working directory, at last
`athena-logs-<uid>` in the system's folder for temporary files."""

FILE_BYTES = 16 << 20
FILE_COUNT = 4
"""A log file is begun anew at 16 MiB, and three old ones are kept: a worker that runs for a year fills no disk."""

log = logging.getLogger()
"""The root logger."""


class Console(logging.StreamHandler):  # type: ignore[type-arg]  # generic for type checkers only
    """Ours on the root logger, known by its class."""

    def __init__(self, fmt: str, level: int | str) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(fmt))
        self.setLevel(level)


class LogFile(logging.Handler):
    """A rotating file that is opened by its first record; if it cannot be, a warning is all there is."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._file: RotatingFileHandler | None = None
        self._is_tried = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record. Raises nothing."""
        if not self._is_tried:
            self._is_tried = True  # before it warns: that may come back here
            self._file = _opened(self._name)
        if self._file is not None:
            self._file.setFormatter(self.formatter)
            self._file.emit(record)  # which handles its own errors

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()


def getLogger(fmt: str = FORMAT, level: int | str = logging.INFO, name: str = "root") -> logging.Logger:  # noqa: ARG001
    """The root logger, whatever `name` says; lines from `level` up go to stderr in the format `fmt`.

    Where somebody else has set it up, as in a worker of the server, it stays as it is.
    """
    ours = [handler for handler in log.handlers if isinstance(handler, Console)]
    if len(ours) == len(log.handlers):
        log.handlers = [Console(fmt, level)]
        log.setLevel(logging.DEBUG)
    return log


def getFileLogger(fmt: str = FORMAT, level: int | str = logging.DEBUG, name: str = "wrapper") -> logging.Logger:
    """The logger `name`, which writes to `<name>.log` as well: see `FOLDERS` for where.

    Its first record makes the file; a folder that cannot be written to is no error. Raises ValueError for a name that
    is no name of a file.
    """
    if not name or name in (".", "..") or os.path.basename(name) != name or "\0" in name:  # noqa: PTH119  # light
        raise ValueError(f"{name!r} is no name for a log file: no folders, please")
    logger = logging.getLogger(name)
    for handler in [one for one in logger.handlers if isinstance(one, LogFile)]:
        logger.removeHandler(handler)
        handler.close()
    handler = LogFile(name)
    handler.setFormatter(logging.Formatter(fmt))
    logger.addHandler(handler)
    if logger is not log:  # "root": its level is the server's, or getLogger's
        logger.setLevel(level)
    return logger


def _opened(name: str) -> "RotatingFileHandler | None":
    # Not at the top: sockets, pickle and more, 10 ms at the start of every wrapper that may never log to a file.
    from logging.handlers import RotatingFileHandler  # noqa: PLC0415

    reason: OSError | None = None
    for folder in (os.environ.get(FOLDER_VARIABLE), *FOLDERS, _private()):
        if not folder:
            continue
        try:
            os.makedirs(folder, mode=0o755, exist_ok=True)  # noqa: PTH103  # no pathlib in this room: see fields
            path = os.path.join(folder, f"{name}.log")  # noqa: PTH118
            return RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILE_COUNT - 1, encoding="utf-8")
        except OSError as error:
            reason = error
    logging.getLogger(__name__).warning("%s.log cannot be written anywhere: %s", name, reason)
    return None


def _private() -> str:
    """A folder of ours among the temporary files; empty if its place is somebody else's."""
    import tempfile  # noqa: PLC0415  # the same 10 ms

    try:
        folder = os.path.join(tempfile.gettempdir(), f"athena-logs-{os.getuid()}")  # noqa: PTH118
        os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
        return folder if os.lstat(folder).st_uid == os.getuid() else ""
    except OSError:
        return ""


getLogger()
