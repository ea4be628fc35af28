"""What only a person at a terminal sees: that something goes on. Each time a real process with a real terminal."""

import contextlib
import logging
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import pytest

from athena_serving import settings
from athena_serving.cli import loading, waiting
from athena_serving.kit import logs
from athena_serving.settings import Serve
from tests.serving import ATHENA, ECHO, Server, eventually, free_port

WITHIN = 30.0  # seconds; a busy machine included

GATE = ECHO.replace(
    "        return 0\n",
    "        while not os.path.exists('go'):\n            time.sleep(0.01)\n        return 0\n",
)
"""Loads until there is a file `go` beside it."""


class Terminal:
    """A terminal, of which everything that is written to it is kept."""

    def __init__(self) -> None:
        self._ours, self.descriptor = pty.openpty()
        """What a process gets as its standard error."""
        self.raw = b""
        self._reading = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        os.close(self._ours)

    def hang_up(self) -> None:
        """No process will write any more; all that was written is read."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._reading.join(WITHIN)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: nobody has the other side any more
            while data := os.read(self._ours, 1 << 16):
                self.raw += data

    def wait_for(self, text: str) -> None:
        """Return once this was written."""
        eventually(lambda: text.encode() in self.raw, timeout=WITHIN, what=f"{text!r} on the terminal")

    def lines(self) -> list[str]:
        """What stands there at last: a line that was written over is gone."""
        return [written_over(line) for line in self.raw.decode().split("\n")]


def written_over(line: str) -> str:
    """A line as it looks after its carriage returns."""
    cells: list[str] = []
    for part in line.split("\r"):
        cells[: len(part)] = part
    return "".join(cells).rstrip()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal to write to."""
    with Terminal() as one:
        yield one


@contextlib.contextmanager
def running(terminal: Terminal, folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`athena` with its standard error on the terminal; ended in order if it still runs."""
    environ = {**os.environ, "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(
        [ATHENA, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal.descriptor,
        cwd=folder,
        env=environ,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextlib.contextmanager
def serving(terminal: Terminal, folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`athena serve` of a wrapper that loads until it is let."""
    (folder / "wrapper.py").write_text(GATE, encoding="utf-8")
    ports = ("--port", str(free_port()), "--admin-port", str(free_port()))
    with running(terminal, folder, "serve", *ports, *words) as process:
        terminal.wait_for("starting")
        yield process


# ── athena serve ──────────────────────────────────────────────────────────────────────────────────


def test_serve_counts_the_seconds_while_workers_load(terminal: Terminal, tmp_path: Path) -> None:
    """A line at the bottom says so, and is gone when they are ready; the log has no trace of it."""
    with serving(terminal, tmp_path):
        terminal.wait_for("\r  loading 1 s")
        (tmp_path / "go").touch()
        terminal.wait_for("service echo is ready")
    terminal.hang_up()
    assert "loading" not in "\n".join(terminal.lines())
    assert any("INFO    supervisor  echo-0 is ready" in line for line in terminal.lines())


def test_serve_stopped_while_workers_load_leaves_no_line(terminal: Terminal, tmp_path: Path) -> None:
    """The clock ends with the stop."""
    with serving(terminal, tmp_path, "--workers", "2"):
        terminal.wait_for("\r  0 of 2 loaded, 1 s")
    terminal.hang_up()
    assert "loaded" not in "\n".join(terminal.lines())
    assert terminal.lines()[-2].endswith("INFO    supervisor  stopped")


@pytest.mark.parametrize(("form", "has_line"), [("auto", True), ("human", True), ("json", False)])
def test_only_the_log_for_people_has_a_line(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, form: Literal["auto", "human", "json"], *, has_line: bool
) -> None:
    """On a terminal; a log for machines has none even there."""
    told = logging.getLogger("supervisor")
    chosen = Serve(settings.Server(log=form), settings.Limits(), ())
    with open(terminal.descriptor, "w", closefd=False) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        with loading.shown(chosen):
            assert any(isinstance(one, loading.Line) for one in told.handlers) is has_line
    assert not any(isinstance(one, loading.Line) for one in told.handlers)


@pytest.mark.parametrize(
    ("said", "level", "is_over"),
    [
        (["%s is ready", "%s is ready"], logging.INFO, False),
        (["rolling restart"], logging.INFO, False),
        (["stopping"], logging.INFO, True),
        (["%s died: no card"], logging.ERROR, True),
    ],
)
def test_line_ends_when_there_is_something_else_to_read(said: list[str], level: int, *, is_over: bool) -> None:
    """At the stop, and after an error; one worker that is ready twice is one of two."""
    line = loading.Line(2, logs.Unwaiting(2))
    for message in said:
        line.emit(logging.LogRecord("supervisor", level, "", 0, message, ("echo-0",), None))
    assert line.is_over is is_over


def test_line_is_shorter_than_any_of_the_log() -> None:
    """Else a log line would not write over all of it."""
    shortest = logging.LogRecord("x", logging.INFO, "", 0, "x", None, None)
    assert len(logs.HumanLine(colour=False).format(shortest)) >= loading.WIDTH


# ── athena call ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that can be told to take its time."""
    with Server(tmp_path_factory.mktemp("server"), ECHO) as one:
        yield one


def test_call_that_takes_long_shows_what_it_waits_for(terminal: Terminal, server: Server, tmp_path: Path) -> None:
    """With the size of what is sent, and the seconds."""
    (tmp_path / "long.txt").write_text(f"wait 1.5 {' ' * 1_500_000}")
    words = ("call", "echo", "-i", "data=@long.txt", "--url", server.url)
    with running(terminal, tmp_path, *words) as process:
        terminal.wait_for("calling echo with 1.5 MB, 1 s")
        assert process.wait(WITHIN) == 0


def test_call_for_programs_shows_nothing(terminal: Terminal, server: Server, tmp_path: Path) -> None:
    """However long it takes."""
    words = ("call", "echo", "-i", "data=wait 1", "--url", server.url, "--json")
    with running(terminal, tmp_path, *words) as process:
        assert process.wait(WITHIN) == 0
    terminal.hang_up()
    assert terminal.raw == b""


def test_sign_waits_for_its_patience(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over before has shown nothing."""
    monkeypatch.setattr(waiting, "PATIENCE", WITHIN)
    with open(terminal.descriptor, "w", closefd=False) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        with waiting.sign("calling echo"):
            pass
    terminal.hang_up()
    assert terminal.raw == b""
