"""`athena completion`: a real bash, with the script, is asked what Tab would offer."""

import os
import subprocess
from pathlib import Path

import pytest

from athena_serving import cli
from athena_serving.cli.completion import SHELLS
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


def offered(folder: Path, words: str) -> list[str]:
    """What bash would offer after these words; the last may be empty."""
    debian.program("bash", "bash")
    environ = {**os.environ, "PATH": f"{ATHENA.parent}:{os.environ['PATH']}"}
    command = ["bash", "--norc", "-c", ASK.format(words=words)]
    result = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.split("\n")[:-1]


def test_commands_are_completed(tmp_path: Path) -> None:
    """All of them, or those that begin so."""
    assert offered(tmp_path, "athena ''") == [*COMMANDS]
    assert offered(tmp_path, "athena se") == ["serve", "settings"]


def test_flags_are_completed(tmp_path: Path) -> None:
    """Those of the command at hand."""
    assert offered(tmp_path, "athena run --st") == ["--stream"]
    assert {"--host", "--port", "--config"} <= set(offered(tmp_path, "athena serve --"))


def test_values_are_completed(tmp_path: Path) -> None:
    """What a flag or an argument may be."""
    assert offered(tmp_path, "athena new x --template ''") == ["once", "proxy"]
    assert offered(tmp_path, "athena completion ''") == [*SHELLS]


@pytest.mark.parametrize("words", ["athena run ./w", "athena run ''"])
def test_paths_are_left_to_the_shell(tmp_path: Path, words: str) -> None:
    """Where a path belongs, bash completes files by itself."""
    assert "option default" in offered(tmp_path, words)


def test_folders_are_left_to_the_shell(tmp_path: Path) -> None:
    """Where a folder belongs, bash completes folders only."""
    assert "option dirnames" in offered(tmp_path, "athena new x -p ''")


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
