"""Log lines: their form, and that they never hurt the process that writes them."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.kit import logs

LOG = logging.getLogger("athena_test.room.crew")


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """Give the root logger back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers, logger.level = handlers, level


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


class Full(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:  # noqa: ARG002  # refused whatever it is
        """Refuse, as a full disk does."""
        raise OSError(28, "No space left on device")


class Clumsy:
    """An argument that cannot be written."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def human() -> io.StringIO:
    """Logs for people go to the stream returned."""
    stream = io.StringIO()
    logs.setup("human", stream=stream)
    return stream


def machine() -> io.StringIO:
    """Logs for machines go to the stream returned."""
    stream = io.StringIO()
    logs.setup("json", stream=stream)
    return stream


# ── for people ────────────────────────────────────────────────────────────────────────────────────


def test_human_line_has_time_level_name_message_fields() -> None:
    """One line, with the logger's last name, and each field as one word."""
    stream = human()
    LOG.info("worker is %s", "ready", extra={"fields": {"pid": 7, "why": "two words", "empty": "", "a": 'x="y"'}})
    pattern = r'\d\d:\d\d:\d\d\.\d{3} INFO    crew  worker is ready  pid=7 why="two words" empty="" a="x=\\"y\\""\n'
    assert re.fullmatch(pattern, stream.getvalue())


def test_human_exception_follows_on_its_own_lines() -> None:
    """A traceback is for reading, so it keeps its lines."""
    stream = human()
    try:
        raise KeyError("gone")
    except KeyError:
        LOG.exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR   crew  failed")
    assert (rest[0], rest[-1]) == ("Traceback (most recent call last):", "KeyError: 'gone'")


def test_message_cannot_forge_a_line_or_command_the_terminal() -> None:
    """What a caller sent stays on its line, and its control characters are shown, not obeyed."""
    stream = human()
    LOG.info("a\nERROR\r\x1b[2J\x9b", extra={"fields": {"sid": "b\nc\x1b"}})
    assert stream.getvalue().count("\n") == 1
    assert "a\\nERROR\\r\\x1b[2J\\x9b" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_without_no_color(
    no_colour: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal gets colour unless NO_COLOR is set and not empty."""
    monkeypatch.setenv("NO_COLOR", no_colour)
    stream = Terminal()
    logs.setup("human", stream=stream)
    LOG.warning("hot", extra={"fields": {"n": 1}})
    assert ("\x1b[33m" in stream.getvalue()) is coloured


def test_no_colour_in_files_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes are for eyes only."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = human()
    LOG.error("plain")
    terminal = Terminal()
    logs.setup("json", stream=terminal)
    LOG.error("plain")
    assert "\x1b" not in stream.getvalue() + terminal.getvalue()


# ── for machines ──────────────────────────────────────────────────────────────────────────────────


def test_json_line_is_one_object() -> None:
    """Time is RFC 3339 in UTC with milliseconds; fields stand beside the message; a traceback is one string."""
    stream = machine()
    try:
        raise KeyError("gone")
    except KeyError:
        LOG.exception("调用\nfailed", extra={"fields": {"sid": "s1", "ms": 1.5}})
    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("exception").endswith("KeyError: 'gone'")
    assert line == {
        "level": "ERROR",
        "logger": "athena_test.room.crew",
        "message": "调用\nfailed",
        "sid": "s1",
        "ms": 1.5,
    }
    assert "调用" in text


def test_field_does_not_hide_the_message() -> None:
    """A field named like one of the line's own keys is kept under another."""
    stream = machine()
    LOG.info("said", extra={"fields": {"message": "mine"}})
    line = json.loads(stream.getvalue())
    assert (line["message"], line["message_"]) == ("said", "mine")


def test_fields_that_are_no_mapping_are_passed_over() -> None:
    """Somebody else's `fields` do not break the line."""
    stream = machine()
    LOG.info("said", extra={"fields": 3})
    assert json.loads(stream.getvalue())["message"] == "said"


@given(
    message=st.text(),
    fields=st.dictionaries(st.text(), st.one_of(st.text(), st.floats(), st.integers(), st.binary(), st.none())),
)
def test_whatever_is_logged_is_one_json_line(message: str, fields: dict[str, object]) -> None:
    """Any text and any field, lone surrogates and nan included, give one line that a strict parser reads."""
    raw = io.BytesIO()
    logs.setup("json", stream=io.TextIOWrapper(raw, encoding="utf-8", newline=""))
    LOG.info("%s", message, extra={"fields": fields})
    (text,) = raw.getvalue().decode("utf-8").split("\n")[:-1]
    line = json.loads(text, parse_constant=pytest.fail)
    assert line["message"] == message
    assert len(line) == 4 + len(fields)


def test_circle_in_a_field_is_written_as_text() -> None:
    """A value that JSON cannot hold becomes words."""
    circle: list[object] = []
    circle.append(circle)
    stream = machine()
    LOG.info("round", extra={"fields": {"circle": circle, ("no", "text"): 1}})
    assert json.loads(stream.getvalue())["circle"] == "[[...]]"


def test_narrow_stream_gets_escapes() -> None:
    """A stream that speaks ASCII only gets JSON's escapes, and the line still parses."""
    raw = io.BytesIO()
    logs.setup("json", stream=io.TextIOWrapper(raw, encoding="ascii"))
    LOG.info("café 😀")
    assert json.loads(raw.getvalue())["message"] == "café 😀"


# ── no harm ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["human", "json"])
def test_line_that_cannot_be_formatted_is_still_a_line(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments cost the arguments, not the line, and nothing is printed elsewhere."""
    logging.getLogger().handlers = []  # pytest's own handler raises on such a line
    stream = human() if mode == "human" else machine()
    LOG.info("got %d", "x")
    LOG.info("got %s", Clumsy())
    LOG.info(Clumsy())
    LOG.info("field", extra={"fields": {"it": Clumsy()}})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert "got %d (arguments of this line: TypeError)" in lines[0]
    assert "Clumsy (arguments of this line: RuntimeError)" in lines[2]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stream", [Full(), io.StringIO()])
def test_stream_that_takes_nothing_does_not_raise(stream: TextIO, capsys: pytest.CaptureFixture[str]) -> None:
    """On a closed stream or a full disk the line is lost, quietly."""
    logs.setup("human", stream=stream)
    if not isinstance(stream, Full):
        stream.close()
    LOG.info("lost")
    assert capsys.readouterr() == ("", "")


def test_stack_asked_for_is_written() -> None:
    """`stack_info` is a trace like any other, and stands after the exception."""
    stream = machine()
    LOG.info("here", stack_info=True)
    assert "test_stack_asked_for_is_written" in json.loads(stream.getvalue())["exception"]


def test_second_setup_replaces_the_first() -> None:
    """Each line is written once, by the last setup; handlers of others stay."""
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = human(), human()
    LOG.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert other in logging.getLogger().handlers


def test_debug_is_not_written() -> None:
    """INFO and up."""
    stream = human()
    LOG.debug("quiet")
    assert stream.getvalue() == ""
