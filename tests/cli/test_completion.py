"""`athena completion`: real shells, with the script, are asked what Tab would offer."""

import contextlib
import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from athena_serving import cli
from athena_serving.cli.completion import SHELLS
from athena_serving.cli.new import TEMPLATES
from athena_serving.cli.program import COMMANDS
from tests import debian
from tests.serving import ATHENA

ASK = """
set -- {words}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
eval "$(athena completion bash)"
compopt() {{ echo "option $2"; }}   # only a real Tab has one
_athena_completion athena
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


ZSHRC: Final = """
autoload -U compinit && compinit -u -D
PS1='> '
"""
"""What somebody has in their file before they add our line."""
ECHOING: Final = """
athena() { print -r -- "typed: $*" }
"""
"""What Enter does in the test; for completion the real program counts."""
WITHIN: Final = 30.0  # seconds; a busy machine included


def answer(folder: Path, *command: str) -> str:
    """What a shell prints: one whose home is `folder`, and that finds our program."""
    environ = {**os.environ, "PATH": f"{ATHENA.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    for name in [name for name in environ if name.startswith("XDG_")]:
        del environ[name]
    result = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def install(folder: Path, shell: str) -> None:
    """Do what the script's last line says."""
    debian.program(shell, shell)
    script = answer(folder, "sh", "-c", f"athena completion {shell}")
    _, _, line = script.splitlines()[-1].partition("# To install it: ")
    answer(folder, "sh", "-c", line)


def offered(folder: Path, words: str) -> list[str]:
    """What bash would offer after these words; the last may be empty."""
    debian.program("bash", "bash")
    return answer(folder, "bash", "--norc", "-c", ASK.format(words=words)).split("\n")[:-1]


def test_commands_are_completed(tmp_path: Path) -> None:
    """All of them, or those that begin so."""
    assert offered(tmp_path, "athena ''") == [*COMMANDS]
    assert offered(tmp_path, "athena se") == [name for name in COMMANDS if name.startswith("se")]


def test_flags_are_completed(tmp_path: Path) -> None:
    """Those of the command at hand."""
    assert offered(tmp_path, "athena run --st") == ["--stream"]
    assert {"--host", "--port", "--config"} <= set(offered(tmp_path, "athena serve --"))


def test_values_are_completed(tmp_path: Path) -> None:
    """What a flag or an argument may be."""
    assert offered(tmp_path, "athena new x --template ''") == [*TEMPLATES]
    assert offered(tmp_path, "athena completion ''") == [*SHELLS]


@pytest.mark.parametrize("words", ["athena run ./w", "athena run ''", "athena serve ./w", "athena doctor ''"])
def test_paths_are_left_to_the_shell(tmp_path: Path, words: str) -> None:
    """Where a path belongs, bash completes files by itself."""
    assert "option default" in offered(tmp_path, words)


def test_folders_are_left_to_the_shell(tmp_path: Path) -> None:
    """Where a folder belongs, bash completes folders only."""
    assert "option dirnames" in offered(tmp_path, "athena new x -p ''")


def test_fish_completes_once_installed(tmp_path: Path) -> None:
    """Commands with all their words of help, flags, and paths; in a home where fish was never used."""
    install(tmp_path, "fish")
    (tmp_path / "wrapper.py").touch()
    for words, start in (
        ("athena se", "serve\tServe each PATH: a wrapper.py, or a folder"),
        ("athena serve --po", "--port\tPort for calls; 0 takes a free one. [1888]"),
        ("athena serve ./wr", "./wrapper.py"),
    ):
        lines = answer(tmp_path, "fish", "-c", f"complete --do-complete '{words}'").splitlines()
        assert any(line.startswith(start) for line in lines), lines


class Zsh:
    """A zsh that somebody types in."""

    def __init__(self, folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        environ = {**os.environ, "PATH": f"{ATHENA.parent}:{os.environ['PATH']}", "TERM": "dumb"}
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "zsh", "-d", "-i"],  # without the machine's own files
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environ, "HOME": str(folder), "ZDOTDIR": str(folder)},
        )
        os.close(theirs)
        self._read = ""

    def wait_for(self, pattern: str) -> None:
        """Return once it has written this since it was last waited for."""
        while (match := re.search(pattern, self._read)) is None:
            ready = select.select([self._ours], [], [], WITHIN)[0]
            assert ready, f"zsh did not write {pattern}: {self._read!r}"
            self._read += os.read(self._ours, 1 << 16).decode(errors="replace")
        self._read = self._read[match.end() :]

    def type(self, keys: str) -> None:
        """Press them."""
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        """Hang up, as a closed window does."""
        os.close(self._ours)
        self._process.wait(WITHIN)


@pytest.fixture
def zsh(tmp_path: Path) -> Iterator[Zsh]:
    """With our line in its file, waiting for keys, in a folder with a wrapper."""
    (tmp_path / ".zshrc").write_text(ZSHRC, encoding="utf-8")
    (tmp_path / "wrapper.py").touch()
    install(tmp_path, "zsh")
    with (tmp_path / ".zshrc").open("a", encoding="utf-8") as file:
        file.write(ECHOING)
    with contextlib.closing(Zsh(tmp_path)) as one:
        one.wait_for("> ")
        yield one


def test_zsh_completes_once_installed(zsh: Zsh) -> None:
    """Commands, flags, and paths, by a real Tab; several are listed with their words of help."""
    zsh.type("athena se\t")
    zsh.wait_for(r"serve +-- Serve each PATH")
    zsh.wait_for(r"settings +-- ")
    zsh.type("rv\t--po\t0 ./wr\t\n")
    zsh.wait_for(r"typed: serve --port 0 \./wrapper\.py")


@pytest.mark.parametrize("shell", [*SHELLS])
@pytest.mark.parametrize("name", ["athena", "asectl"])
def test_script_is_the_program_s_and_says_how_to_install_it(
    shell: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It completes the program that was typed; its last line is how to install it."""
    monkeypatch.setattr("sys.argv", [f"/usr/bin/{name}"])
    assert cli.main(["completion", shell]) == 0
    output = capsys.readouterr().out
    assert f"_{name.upper()}_COMPLETE={shell}_complete" in output
    last = output.splitlines()[-1]
    assert last.startswith("# To install it: ")
    assert f"{name} completion {shell}" in last
    if shell == "zsh":
        assert output.startswith(f"#compdef {name}\n")  # else zsh does not load it from a file


def test_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error has those that there are."""
    assert cli.main(["completion", "tcsh"]) == 2
    error = capsys.readouterr().err
    assert all(shell in error for shell in SHELLS)
