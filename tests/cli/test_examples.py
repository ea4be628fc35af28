"""What --help shows to type can be typed."""

import importlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from athena_serving.cli.program import COMMANDS, program
from tests.serving import ATHENA, ECHO

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
FAR: dict[str, str] = dict.fromkeys(("serve", "call", "status", "sessions", "cancel"), "it needs a server, or is one")
"""Commands whose examples are only parsed here."""

SESSIONS = """
from athena_serving.sdk import *


class Wrapper(WrapperBase):
    class responseCls:
        result = StringBodyField(key="result")

    def wrapperCreate(self, params, sid):
        return SessionCreateResponse("handle")

    def wrapperWrite(self, handle, datas):
        item = ResponseData(key="result", data="heard", status=DataEnd)
        return callback(Response([item]), handle)
"""


def examples() -> Iterator[str]:
    """The lines of all epilogs, and those that docs/commands.md begins with, without `athena`."""
    first_hour = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    yield from re.findall(r"^ {4}athena (.*)$", first_hour, re.MULTILINE)
    for command in (program, *(importlib.import_module(module).command for module in COMMANDS.values())):
        lines = str(command.epilog or "").splitlines()
        yield from (line.removeprefix("  athena ") for line in lines if line.startswith("  athena "))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the examples are about: wrappers here, in ocr/ and in tts/, and a settings file."""
    for place, source in (("", ECHO), ("ocr", ECHO), ("tts", ECHO.replace('"echo"', '"tts"') + SESSIONS)):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / "wrapper.py").write_text(source, encoding="utf-8")
    (tmp_path / "prod.toml").write_text("[server]\nport = 0\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("line", sorted({*examples()}))
def test_example_is_understood(line: str) -> None:
    """Every command and flag of an example exists, and takes what it is given."""
    name, *words = shlex.split(re.split(r" [<>|] ", line)[0])
    command = importlib.import_module(COMMANDS[name]).command
    assert isinstance(command, click.Command)
    parent = click.Context(program, **program.context_settings)  # click keeps the names of `--help` that it met first
    command.make_context(name, words, parent=parent)


@pytest.mark.parametrize("line", sorted(line for line in {*examples()} if line.split()[0] not in FAR))
def test_example_ends_with_0(folder: Path, line: str) -> None:
    """In a folder with what it is about, an example does what it says; of `athena new` in one without that."""
    place = folder / "elsewhere"
    place.mkdir()
    environ = {**os.environ, "PATH": f"{ATHENA.parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["sh", "-c", f"athena {line}"],
        cwd=place if line.startswith("new ") else folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout or " > " in line


@pytest.mark.parametrize("name", [*COMMANDS])
def test_every_command_has_examples(name: str) -> None:
    """Whoever asks for help sees what to type."""
    epilog = importlib.import_module(COMMANDS[name]).command.epilog
    assert str(epilog).startswith("\b\nExamples:\n")
