"""The command line: what a person types, and what they read when it is wrong."""

import json
import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from athena_serving import cli, supervisor
from athena_serving.cli.program import COMMANDS
from athena_serving.settings import Serve
from athena_serving.settings.catalogue import CATALOGUE, FLAGS

Server = Callable[[Serve], int]


def broken(settings: Serve) -> int:
    """A server with a bug."""
    return len(settings.services) // 0


class Recorder:
    """A server that remembers what it was told to serve, and ends at once."""

    def __init__(self, result: int = 0) -> None:
        self.result = result
        self.given: list[Serve] = []

    def __call__(self, settings: Serve) -> int:
        """Serve, as the supervisor does."""
        self.given.append(settings)
        return self.result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `ocr/wrapper.py` in it and no ATHENA_ variables around."""
    (tmp_path / "ocr").mkdir()
    (tmp_path / "ocr" / "wrapper.py").touch()
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("ATHENA_")]:
        monkeypatch.delenv(variable)
    return tmp_path


@pytest.fixture
def serve_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Puts a server in the place of the supervisor's."""

    def install(run: Server) -> None:
        name = "athena_serving.supervisor.service"
        service = types.ModuleType(name)
        monkeypatch.setattr(service, "run", run, raising=False)
        monkeypatch.setitem(sys.modules, name, service)
        monkeypatch.setattr(supervisor, "service", service, raising=False)

    return install


def athena(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    command = [sys.executable, "-m", "athena_serving.cli", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ATHENA_")}
    return subprocess.run(command, env={**clean, **environ}, capture_output=True, text=True, timeout=60, check=False)


# ── serve ─────────────────────────────────────────────────────────────────────────────────────────


def test_serve_hands_settings_over_and_returns_the_result(
    folder: Path, serve_with: Callable[[Server], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags, environment and file become the one value that the server gets; its result is the exit code."""
    server = Recorder(result=7)
    serve_with(server)
    monkeypatch.setenv("ATHENA_WORKERS_COUNT", "3")
    (folder / "other.toml").write_text("[wrapper]\nlang = 'zh'\n", encoding="utf-8")
    words = ["--port", "0", "--seats", "2", "--set", "server.limits.body=1MiB", "--config", "other.toml"]
    assert cli.main(["serve", "ocr", *words]) == 7
    (hosted,) = server.given[0].services
    assert (server.given[0].server.port, server.given[0].limits.body) == (0, 1024**2)
    assert (hosted.workers.count, hosted.workers.seats, hosted.wrapper) == (3, 2, {"lang": "zh"})


def test_every_flag_reaches_its_setting(folder: Path, serve_with: Callable[[Server], None]) -> None:
    """Each setting with a flag of its own is set by it."""
    server = Recorder()
    serve_with(server)
    words = {"--host": "::1", "--port": "1", "--admin-port": "2", "--workers": "3", "--seats": "4", "--queue": "5"}
    words["--log"] = "json"
    assert {*words, "--reload"} == set(FLAGS.values())
    assert cli.main(["serve", "ocr", "--reload", *(part for pair in words.items() for part in pair)]) == 0
    (hosted,) = server.given[0].services
    origins = {**server.given[0].origins, **hosted.origins}
    assert {origins[name] for name in FLAGS} == {f"flag {flag}" for flag in FLAGS.values()}
    assert (server.given[0].server.host, hosted.workers.queue, server.given[0].server.reload) == ("::1", 5, True)


def test_switch_that_is_not_given_says_nothing(
    folder: Path, serve_with: Callable[[Server], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --reload the environment's word stands."""
    server = Recorder()
    serve_with(server)
    monkeypatch.setenv("ATHENA_SERVER_RELOAD", "yes")
    assert cli.main(["serve", "ocr"]) == 0
    assert (server.given[0].server.reload, server.given[0].origins["server.reload"]) == (
        True,
        "environment ATHENA_SERVER_RELOAD",
    )


def test_serve_without_a_path_takes_the_wrapper_here(folder: Path, serve_with: Callable[[Server], None]) -> None:
    """In a folder with a wrapper.py nothing needs to be said."""
    server = Recorder()
    serve_with(server)
    (folder / "wrapper.py").touch()
    assert cli.main(["serve"]) == 0
    assert server.given[0].services[0].path == folder / "wrapper.py"


def test_serve_with_nothing_to_serve_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a path and without a wrapper.py here, the error says what to type."""
    assert cli.main(["serve"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0] == "error: nothing to serve: no wrapper.py in this folder"
    assert error[1:] == [f"  where: {folder}", "  help: name a wrapper.py or its folder: athena serve ./wrapper.py"]


def test_serve_logs_what_an_aiges_toml_says_in_vain(
    folder: Path,
    serve_with: Callable[[Server], None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each outcome is one line that names its keys; what ASF did not read either is not worth one."""
    serve_with(Recorder())
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers])  # the command adds one
    (folder / "ocr" / "aiges.toml").write_text("[aiges]\nsub = 'ase'\n[fc]\nwave = 1\nreport = 1\n", encoding="utf-8")
    with caplog.at_level("INFO"):
        assert cli.main(["serve", "ocr"]) == 0
    (line,) = [record.getMessage() for record in caplog.records if record.name == "settings"]
    assert line.startswith("aiges.toml: [fc].wave, [fc].report: ")


def test_serve_does_not_load_rich(folder: Path) -> None:
    """The library for tables takes memory that a server has no use for."""
    script = """
import sys, types
service = types.ModuleType("athena_serving.supervisor.service")
service.run = lambda settings: int("rich" in sys.modules)
sys.modules[service.__name__] = service
import athena_serving.supervisor
athena_serving.supervisor.service = service
from athena_serving.cli import main
sys.exit(main(["serve", "ocr"]))
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=folder, timeout=60, check=False).returncode == 0


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


def test_settings_as_json_have_value_and_origin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get every setting, its value and where it is from."""
    assert cli.main(["settings", "--json", "ocr", "--workers", "2", "--set", "wrapper.lang=中文"]) == 0
    document = json.loads(capsys.readouterr().out)
    (service,) = document["services"]
    assert service["path"] == str(folder / "ocr" / "wrapper.py")
    assert service["settings"]["workers.count"] == {"value": 2, "origin": "flag --workers"}
    assert service["settings"]["wrapper.lang"] == {"value": "中文", "origin": "flag --set"}
    assert document["server"]["server.limits.body"] == {"value": 64 * 1024**2, "origin": "default"}
    names = {name for name, setting in CATALOGUE.items() if not setting.is_open}
    assert names | {"wrapper.lang"} == {*document["server"], *service["settings"]}


def test_settings_as_table_show_values_as_toml(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People get a table per server and service, with values to paste into athena.toml."""
    assert cli.main(["settings", "ocr", "--set", "workers.devices=0,1"]) == 0
    output = capsys.readouterr().out
    assert '"64MiB"' in output
    assert '["0", "1"]' in output
    assert "flag --set" in output


def test_settings_without_a_wrapper_show_the_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a wrapper there is still a server to show, and a word on how to see more."""
    assert cli.main(["settings"]) == 0
    output = capsys.readouterr().out
    assert "server.port" in output
    assert "name one to see [service], [workers], [batch], [stream] and [wrapper]" in " ".join(output.split())


def test_settings_say_what_became_of_an_aiges_toml(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys of ASF's file without effect are listed, for people and for programs."""
    (folder / "ocr" / "aiges.toml").write_text("[fc]\nmax = 3\nbest = 1\n[log]\nlevel = 'debug'\n", encoding="utf-8")
    assert cli.main(["settings", "ocr"]) == 0
    shown = "".join(capsys.readouterr().out.split())  # a long path is broken into lines
    assert f"withouteffectin{folder / 'ocr' / 'aiges.toml'}" in shown
    assert cli.main(["settings", "--json", "ocr"]) == 0
    (service,) = json.loads(capsys.readouterr().out)["services"]
    assert service["settings"]["workers.seats"] == {"value": 3, "origin": str(folder / "ocr" / "aiges.toml")}
    assert set(service["remarks"]) == {"[fc].best", "[log]"}


# ── words ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["serv"], "no command serv", "did you mean `athena serve`?"),
        (["./ocr/wrapper.py"], "no command ./ocr/wrapper.py", "did you mean `athena serve ./ocr/wrapper.py`?"),
        (["xyzzy"], "no command xyzzy", f"commands: {', '.join(COMMANDS)}"),
        (["serve", "--prot", "1"], "no such option", "athena serve --help"),
        (["--prot"], "no such option", "athena --help"),
        (["serve", "--port"], "option '--port' requires an argument", "athena --help"),
        (["serve", "ocr", "--reload", "--set", "server.reload=no"], "server.reload is set twice", "flag --reload"),
        (["serve", "nowhere"], "no such file or folder: nowhere", "name a wrapper.py, or its folder"),
        (["serve", "ocr", "--port", "x"], 'server.port must be a whole number from 0 to 65535, not "x"', ""),
    ],
)
def test_wrong_words_are_answered_with_help(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str, remedy: str
) -> None:
    """Every error is `error: ...` on stderr, mostly with help below, and exit code 2."""
    assert cli.main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: {message}")
    assert remedy in output.err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["serve", "--help"], ["schema", "-h"], ["settings", "-h"]])
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help says what to type."""
    assert cli.main(arguments) == 0
    assert "Examples:\n" in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The list of commands is whole."""
    assert cli.main(["--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"\n  {name} " in output for name in COMMANDS)


def test_version_is_the_distribution_s() -> None:
    """`athena --version` says name and version."""
    result = athena("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("athena ")


@pytest.mark.parametrize("name", ["athena", "asectl"])
def test_help_calls_the_program_what_was_typed(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who knows it as asectl reads of asectl."""
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{name}"])
    assert cli.main(["serve", "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: {name} serve ")


def test_our_bug_is_called_that(
    folder: Path, serve_with: Callable[[Server], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that nobody foresaw is named, without a traceback, and with the way to one."""
    serve_with(broken)
    assert cli.main(["serve", "ocr"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("error: this is our bug: ZeroDivisionError: ")
    assert "ATHENA_DEBUG=1" in error
    assert "Traceback" not in error


def test_debug_shows_the_traceback(
    folder: Path,
    serve_with: Callable[[Server], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With ATHENA_DEBUG=1 the traceback of a bug is printed."""
    serve_with(broken)
    monkeypatch.setenv("ATHENA_DEBUG", "1")
    assert cli.main(["serve", "ocr"]) == 70
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_interrupt_ends_quietly(folder: Path, serve_with: Callable[[Server], None]) -> None:
    """Ctrl-C before the server minds signals is 130, as shells say it."""

    def run(settings: Serve) -> int:
        raise KeyboardInterrupt

    serve_with(run)
    assert cli.main(["serve", "ocr"]) == 130


def test_real_process_reports_a_bad_variable() -> None:
    """The real program reads the real environment."""
    result = athena("settings", ATHENA_SERVER_PROT="1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == "error: unknown variable ATHENA_SERVER_PROT"
