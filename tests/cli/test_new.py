"""`athena new`: a project that runs, passes its tests, is served and answers before a line of it was changed."""

import base64
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from athena_serving import cli
from athena_serving.cli.new import TEMPLATES
from athena_serving.settings.catalogue import CATALOGUE
from tests import debian
from tests.serving import ATHENA, Server

NAME = "night-1"
SHARED = {"athena.toml", "README.md", "requirements.txt", "Dockerfile", ".gitignore"}
OWN = {
    "once": {"wrapper.py", "pixels.py", "picture.png", "test_wrapper.py"},
    "stream": {"wrapper.py", "sound.py", "sound.wav", "client.py", "test_wrapper.py"},
    "batch": {"wrapper.py", "nearest.py", "answers.csv", "test_wrapper.py"},
    "proxy": {"wrapper.py", "upstream.py", "test_wrapper.py"},
}
SAID = {"once": "boxes", "stream": "0.66", "batch": "May I bring my dog?", "proxy": "Hello"}
"""What stands in the answer to the calls of each README."""
OWL = "0.24\t0.66\t-11 dB\n1.04\t1.26\t-15 dB\n1.64\t2.26\t-9 dB\n"
"""What the template `stream` hears in its own sound."""


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
    environ |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}  # no business of a proxy's
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
    assert {"workers.seats", "service.name"} <= settings <= {*CATALOGUE}


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
        assert SAID[kind] in text_in(run(project, "sh", "-c", command).stdout)
        answered = run(project, str(ATHENA), *shlex.split(called[1]), "--url", server.url)
        assert answered.returncode == 0, answered.stdout + answered.stderr
        assert SAID[kind] in answered.stdout
        assert not server.log("the warm-up call failed")


def text_in(output: str) -> str:
    """The data of an answer's only output; those of the events, joined, if it came as such."""
    said = ""
    for line in re.findall(r"^(?:data: )?(\{.*\})$", output, re.MULTILINE):
        answer = json.loads(line)
        assert answer["header"]["code"] == 0, answer
        for block in answer.get("payload", {}).values():
            said += block["text"] if isinstance(block["text"], str) else json.dumps(block["text"])
    return said


@contextmanager
def made(folder: Path, kind: str, **settings: object) -> Iterator[Server]:
    """A running project of a template, with these settings."""
    assert cli.main(["new", NAME, "--template", kind, "-p", str(folder)]) == 0
    chosen = {name.replace("__", "."): value for name, value in settings.items()}
    with Server(folder, folder / NAME, settings=chosen) as server:
        yield server


def test_wrong_picture_is_answered_in_words(tmp_path: Path) -> None:
    """The error code of the wrapper reaches the caller with what it means."""
    with made(tmp_path, "once") as server:
        status, body = server.call(NAME, b"no picture", key="image")
    assert (status, body["header"]["message"]) == (502, "send a PNG of 8 bits a channel, not interlaced;code=100")


def test_client_streams_a_sound(tmp_path: Path) -> None:
    """client.py sends its sound by WebSocket, a piece at a time, and prints each line."""
    with made(tmp_path, "stream") as server:
        address = server.url.replace("http", "ws")
        done = run(tmp_path / NAME, sys.executable, "client.py", "sound.wav", address)
        assert (done.returncode, done.stdout) == (0, OWL), done.stderr


def test_wrong_sound_is_answered_in_words(tmp_path: Path) -> None:
    """The same error reaches who streams and who posts."""
    words = "send 16 bits, one channel: WAV, or raw with 16,000 samples a second;code=100"
    with made(tmp_path, "stream") as server:
        project = tmp_path / NAME
        wrong = (project / "sound.wav").read_bytes()[:30]
        (project / "wrong.wav").write_bytes(wrong)
        block = {"audio": base64.b64encode(wrong).decode(), "status": 3}
        whole = server.post(NAME, {"header": {"app_id": "123456"}, "payload": {"audio": block}})
        done = run(project, sys.executable, "client.py", "wrong.wav", server.url.replace("http", "ws"))
    assert (whole.status_code, whole.json()["header"]["message"]) == (502, words)
    assert done.returncode == 1
    assert done.stderr.endswith(f": {words}\n")


def test_calls_that_come_at_once_are_answered_together(tmp_path: Path) -> None:
    """Three calls meet in one batch, which waits for the third; each has its own answer."""
    questions = {"bring a dog": "dog", "lost card": "card", "how many books": "books"}
    # Longer than the test may take: only that it is full lets the batch go. A warm-up would wait alone.
    meeting = {"batch__max": 3, "batch__max_wait_ms": 15_000, "workers__warmup": "false"}
    with made(tmp_path, "batch", **meeting) as server, ThreadPoolExecutor(3) as threads:
        answers = [*threads.map(lambda text: server.call(NAME, text, key="text"), questions)]
    results = [body["payload"]["result"]["text"] for status, body in answers if status == 200]
    assert [result["together"] for result in results] == [3, 3, 3], answers
    assert all(word in result["question"] for word, result in zip(questions.values(), results, strict=True))


def test_call_without_a_text_fails_alone(tmp_path: Path) -> None:
    """Its neighbour in the batch is answered."""
    meeting = {"batch__max": 2, "batch__max_wait_ms": 15_000, "workers__warmup": "false"}
    with made(tmp_path, "batch", **meeting) as server, ThreadPoolExecutor(2) as threads:
        (good, found), (bad, refused) = threads.map(lambda text: server.call(NAME, text, key="text"), ["dog", ""])
    assert (good, found["payload"]["result"]["text"]["together"]) == (200, 2)
    assert (bad, refused["header"]["message"]) == (502, "send a text;code=101")


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


def test_unknown_template_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error has those that there are."""
    assert cli.main(["new", NAME, "--template", "twice", "-p", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert all(f"--template {kind}" in error for kind in TEMPLATES)


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
    """And what its service does."""
    assert cli.main(["new", "--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"  {kind:6}  {template.words}" in output for kind, template in TEMPLATES.items())
