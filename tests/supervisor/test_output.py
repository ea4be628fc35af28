"""What a child writes: read whatever it does, logged with its name, bounded, and kept to explain a death."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator

import pytest

from athena_serving.supervisor import output
from athena_serving.supervisor.output import MARK, Output

Start = Callable[..., Output]

WITHIN = 10.0  # seconds; a busy machine included


class Pipes:
    """A child's end to write to, and one to read what was passed on."""

    def __init__(self) -> None:
        self._captured, self._sink = os.pipe()
        os.set_blocking(self._sink, False)  # a child that is not read fails the test instead of hanging it
        self._passed, self._passed_on = os.pipe()
        os.set_blocking(self._passed, False)
        self._is_open = True

    def output(self, lines_per_second: int = 1000) -> Output:
        """The reader, started."""
        one = Output("ocr-0", self._captured, lines_per_second=lines_per_second, passed_on=self._passed_on)
        one.start()
        return one

    def write(self, data: bytes) -> None:
        """The child writes."""
        assert os.write(self._sink, data) == len(data)

    def end(self) -> None:
        """The child dies."""
        if self._is_open:
            os.close(self._sink)
            self._is_open = False

    def passed(self) -> bytes:
        """What went through as it was."""
        try:
            return os.read(self._passed, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Everything."""
        self.end()
        os.close(self._passed)
        os.close(self._passed_on)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """A child's output."""
    one = Pipes()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def read() -> None:
    """Let the loop read what has been written."""
    for _ in range(5):
        await asyncio.sleep(0)


async def ended(pipes: Pipes, one: Output) -> None:
    """The child dies; what it wrote is read to the end."""
    pipes.end()
    for _ in range(1000):
        await read()
        if one._is_closed:
            return
    pytest.fail("the end was not noticed")


async def test_lines_are_logged_with_the_workers_name(pipes: Pipes, caplog: pytest.LogCaptureFixture) -> None:
    """However they are cut; the last one need not end."""
    one = pipes.output()
    for part in (b"one\ntw", b"o\r\n\nthr", b"ee"):
        pipes.write(part)
        await read()
    await ended(pipes, one)
    assert [record.message for record in caplog.records] == ["one", "two", "", "three"]
    assert all(record.__dict__["fields"] == {"worker": "ocr-0"} for record in caplog.records)


async def test_text_that_is_none_is_shown_all_the_same(pipes: Pipes) -> None:
    """Bytes that are no UTF-8 become question marks."""
    one = pipes.output()
    pipes.write(b"caf\xe9\n")
    await ended(pipes, one)
    assert one.last_lines() == ["caf�"]


async def test_last_lines_are_kept(pipes: Pipes) -> None:
    """Twenty of them, oldest first, to explain a death."""
    one = pipes.output()
    pipes.write(b"".join(b"%d\n" % number for number in range(100)))
    await ended(pipes, one)
    assert one.last_lines() == [str(number) for number in range(80, 100)]


async def test_what_is_over_the_rate_is_counted(pipes: Pipes, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody prints in a loop: the log says how much it is without being it."""
    one = pipes.output(lines_per_second=10)
    pipes.write(b"again\n" * 5000)
    await ended(pipes, one)
    lines = [record.message for record in caplog.records if record.levelno == logging.INFO]
    lost = [int(record.message.split()[0]) for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) + sum(lost) == 5000
    assert len(lines) <= 30  # the clock may go on to another second meanwhile, or two
    assert one.last_lines() == ["again"] * 20


async def test_what_was_lost_is_told_though_nothing_follows(pipes: Pipes, caplog: pytest.LogCaptureFixture) -> None:
    """A child that falls silent after its flood is told of soon, not when it speaks again, and once."""
    told = asyncio.Event()

    class Bell(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno == logging.WARNING:
                told.set()

    output.log.addHandler(bell := Bell())
    one = pipes.output(lines_per_second=2)
    pipes.write(b"again\n" * 50)
    async with asyncio.timeout(WITHIN):
        await told.wait()
    output.log.removeHandler(bell)
    await ended(pipes, one)
    kept = [record for record in caplog.records if record.levelno == logging.INFO]
    lost = [int(record.message.split()[0]) for record in caplog.records if record.levelno == logging.WARNING]
    assert len(kept) + sum(lost) == 50


async def test_endless_line_is_cut(pipes: Pipes, caplog: pytest.LogCaptureFixture) -> None:
    """Its beginning is kept; memory is not filled with the rest; the next line is whole."""
    one = pipes.output()
    for _ in range(100):
        pipes.write(b"x" * 60_000)
        await read()
    assert len(one._rest) <= 1 << 16
    pipes.write(b"the end\nnext\n")
    await ended(pipes, one)
    assert [len(record.message) for record in caplog.records] == [4096, 4]
    assert one.last_lines()[-1] == "next"


async def test_log_lines_are_passed_on_as_they_are(pipes: Pipes, caplog: pytest.LogCaptureFixture) -> None:
    """They are log lines already; one that begins amid a line of user code's is found."""
    line = b'{"message": "' + b"x" * 40_000 + b'"}'
    one = pipes.output()
    for part in (b"progress 50 %" + MARK + b'{"message": "mine"}\n', MARK + line[:20_000], line[20_000:] + b"\n"):
        pipes.write(part)
        await read()
    await ended(pipes, one)
    assert pipes.passed() == b'{"message": "mine"}\n' + line + b"\n"
    assert [record.message for record in caplog.records] == ["progress 50 %"]


async def test_log_that_nobody_reads_stops_nobody(pipes: Pipes) -> None:
    """Where our own standard error is closed, lines are lost, not the process."""
    os.close(pipes._passed_on)
    one = pipes.output()
    pipes.write(MARK + b"line\n")
    await ended(pipes, one)
    pipes._passed_on = os.dup(0)


async def test_dead_childs_output_is_read_to_the_end(pipes: Pipes) -> None:
    """Even if something that it started still holds the other end; closing twice is closing once."""
    one = pipes.output()
    pipes.write(b"last words\nhalf a line")
    one.close()
    one.close()
    assert one.last_lines() == ["last words", "half a line"]
