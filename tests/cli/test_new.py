"""`athena new`: a project that runs, passes its tests, is served and answers before a line of it was changed."""

import json
import os
import re
import runpy
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from athena_serving import cli
from athena_serving.cli.new import PLANNED, TEMPLATES
from athena_serving.settings.catalogue import CATALOGUE
from tests import debian
from tests.serving import ATHENA, Server

NAME = "night-1"
SHARED = {"athena.toml", "README.md", "requirements.txt", "Dockerfile", ".gitignore"}
OWN = {
    "once": {"wrapper.py", "pixels.py", "picture.png", "test_wrapper.py"},
    "proxy": {"wrapper.py", "upstream.py", "test_wrapper.py"},
}


def names(folder: Path) -> set[str]:
    """Names of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=[*TEMPLATES])
def kind(request: pytest.FixtureRequest) -> str:
    """Each template."""
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, kind: str) -> Path:
    """A project of each template."""
    assert cli.main(["new", NAME, "--template", kind, "-p", str(tmp_path)]) == 0
    return tmp_path / NAME


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project, far from this repository's settings."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ATHENA_", "PYTEST_"))}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)


@contextmanager
def served(project: Path, folder: Path) -> Iterator[Server]:
    """The project behind a server; one of the template `proxy` with what stands for its API."""
    if not (project / "upstream.py").exists():
        with Server(folder, project) as server:
            yield server
        return
    handler = runpy.run_path(str(project / "upstream.py"))["Handler"]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as upstream:
        thread = threading.Thread(target=upstream.serve_forever, args=[0.01])
        thread.start()
        try:
            with Server(
                folder, project, settings={"wrapper.url": f"http://127.0.0.1:{upstream.server_port}/"}
            ) as server:
                yield server
        finally:
            upstream.shutdown()
            thread.join()


# ── what is made ──────────────────────────────────────────────────────────────────────────────────


def test_project_has_its_files(project: Path, kind: str) -> None:
    """Its template's own and the shared ones, with the name in them, and nothing left to be filled in."""
    assert names(project) == OWN[kind] | SHARED
    texts = [path.read_bytes().decode(errors="replace") for path in project.iterdir()]
    assert not [text for text in texts if re.search("@[A-Z]+@", text)]
    assert f'serviceId = "{NAME}"' in (project / "wrapper.py").read_text(encoding="utf-8")


def test_tree_and_next_commands_are_printed(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file is in the tree with what it is for, and three commands follow, quoted for a shell."""
    folder = tmp_path / "my services"
    assert cli.main(["new", NAME, "--template", kind, "-p", str(folder)]) == 0
    tree, _, commands = capsys.readouterr().out.partition("\n\nnext:\n")
    lines = tree.splitlines()
    assert lines[0] == f"{folder / NAME}/"
    assert {line.split()[1] for line in lines[1:]} == OWN[kind] | SHARED
    assert all(len(line.split()) > 2 for line in lines[1:])
    assert len(commands.splitlines()) == 3
    assert f"athena serve '{folder / NAME}' " in commands


def test_default_is_a_once_service_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a name needs to be said."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "ocr"]) == 0
    assert names(tmp_path / "ocr") == OWN["once"] | SHARED


def test_settings_that_are_commented_out_exist(project: Path) -> None:
    """Every line of athena.toml is a setting, also without its `#`."""
    text = (project / "athena.toml").read_text(encoding="utf-8")
    document = tomllib.loads(re.sub(r"^# (?=\w+ +=)", "", text, flags=re.MULTILINE))
    settings = {f"{section}.{key}" for section, keys in document.items() for key in keys if section != "wrapper"}
    assert {"workers.seats", "workers.queue", "service.name"} <= settings <= {*CATALOGUE}


# ── that it works ─────────────────────────────────────────────────────────────────────────────────


def test_project_passes_its_own_tests(project: Path) -> None:
    """`python -m pytest` in it ends with 0."""
    result = run(project, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio")
    assert result.returncode == 0, result.stdout + result.stderr


def test_project_passes_its_self_test(project: Path) -> None:
    """`athena run` and `python wrapper.py` find nothing wrong, with a test value for every input."""
    for command in ([str(ATHENA), "run"], [sys.executable, "wrapper.py"]):
        result = run(project, *command)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "has been verified" in result.stdout
        assert "0 warnings" in result.stdout


def test_project_is_typed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A strict type checker finds nothing in its files."""
    cache = tmp_path_factory.getbasetemp() / "mypy"  # one for all: most of its time goes to the standard library
    result = run(project, sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), ".")
    assert result.returncode == 0, result.stdout + result.stderr


def test_project_is_served_and_answers_its_readme(project: Path, kind: str, tmp_path: Path) -> None:
    """The calls of README.md, by curl and by `athena call`, are answered; the warm-up was as well."""
    debian.program("curl", "curl")
    text = (project / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    called = re.search(r"^    athena (call .*)$", text, re.MULTILINE)
    assert shown is not None
    assert called is not None
    with served(project, tmp_path) as server:
        command = shown[1].replace("http://127.0.0.1:1888", server.url).replace("curl ", "curl --noproxy '*' ", 1)
        answer = json.loads(run(project, "sh", "-c", command).stdout)
        assert answer["header"]["code"] == 0, answer
        result = answer["payload"]["result"]["text"]
        result = json.loads(result) if isinstance(result, str) else result
        assert result == {"text": "Hello"} if kind == "proxy" else result["boxes"][0]["score"] > 0.9
        answered = run(project, str(ATHENA), *called[1].split(), "--url", server.url)
        assert answered.returncode == 0, answered.stdout + answered.stderr
        assert ("Hello" if kind == "proxy" else "boxes") in answered.stdout
        assert not server.log("the warm-up call failed")


def test_wrong_picture_is_answered_in_words(tmp_path: Path) -> None:
    """The error code of the wrapper reaches the caller with what it means."""
    assert cli.main(["new", NAME, "-p", str(tmp_path)]) == 0
    with Server(tmp_path, tmp_path / NAME) as server:
        status, body = server.call(NAME, b"no picture", key="image")
    assert (status, body["header"]["message"]) == (502, "send a PNG of 8 bits a channel, not interlaced;code=100")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_reader_of_pictures_agrees_with_pillow(tmp_path: Path, mode: str) -> None:
    """Every kind of PNG that the project's reader takes has the size and brightness that another reader finds."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    assert cli.main(["new", NAME, "-p", str(tmp_path)]) == 0
    with image.open(tmp_path / NAME / "picture.png") as picture:
        picture.convert(mode).save(tmp_path / "other.png")
        grey = picture.convert("L").tobytes()
    read = runpy.run_path(str(tmp_path / NAME / "pixels.py"))["read"]
    width, height, bright = read((tmp_path / "other.png").read_bytes())
    assert (width, height) == (160, 120)
    assert max(abs(one - other) for one, other in zip(bright, grey, strict=True)) < 8  # their weights differ


# ── what is refused ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [*PLANNED])
def test_template_to_come_is_refused_in_words(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says with what it comes, and what there is until then; nothing is made."""
    assert cli.main(["new", NAME, "--template", kind, "-p", str(tmp_path)]) == 2
    message, _, remedy = capsys.readouterr().err.splitlines()
    assert message == f"error: the template {kind} is not here yet: it comes with {PLANNED[kind]}"
    assert remedy == "  help: until then: --template once or --template proxy"
    assert names(tmp_path) == set()


def test_unknown_template_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error has those that there are."""
    assert cli.main(["new", NAME, "--template", "twice", "-p", str(tmp_path)]) == 2
    assert "--template once or --template proxy" in capsys.readouterr().err


def test_project_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with anything in it is left alone, and named."""
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "wrapper.py").write_text("# mine\n")
    assert cli.main(["new", NAME, "-p", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / NAME} is there already")
    assert "choose another NAME" in error
    assert names(tmp_path) == {f"{NAME}/wrapper.py"}


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a b", "ä", "x" * 65, "docs", "metrics"])
def test_name_that_no_service_can_have_is_refused(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name becomes the last part of a URL; some of these are the server's own."""
    assert cli.main(["new", name, "-p", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'error: "{name}" cannot be the name of a service')
    assert "  where: argument NAME" in error
    assert names(tmp_path) == set()


def test_help_has_every_template(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that there are with what they do, and those to come."""
    assert cli.main(["new", "--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"  {kind:6}  {template.words}" in output for kind, template in TEMPLATES.items())
    assert "Templates stream and batch come with streams and batches" in output
