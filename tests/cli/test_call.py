"""`athena call` as its own process, against real servers."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from athena_serving.cli.call import _extension, typed
from athena_serving.client import Output
from athena_serving.wire import signature
from tests.client.scripted import Said, scripted
from tests.integration.rich import RICH
from tests.serving import ECHO, Server, free_port

ECHO_EXAMPLE = Path(__file__).parents[2] / "examples" / "01-echo"
PICTURES = (
    ECHO.replace("import DataListCls", "import DataImage, DataListCls, ImageBodyField")
    .replace('StringBodyField(key="result")', 'ImageBodyField(key="result")')
    .replace("data=text.encode()", "data=text.encode(), type=DataImage")
    .replace('"echo"', '"pictures"')
)
"""Answers its text as if it were a picture."""
ESCAPE = "\x1b[2Jgone"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The example and two more services."""
    with Server(tmp_path_factory.mktemp("call"), [ECHO_EXAMPLE, RICH, PICTURES]) as one:
        yield one


def call(
    url: str, *words: str, cwd: Path | None = None, given: bytes = b"", keys: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command. A process that does not end fails the test."""
    command = [sys.executable, "-m", "athena_serving.cli", "call", *words, "--url", url]
    env = {**os.environ, "COLUMNS": "100", **(keys or {})}
    done = subprocess.run(command, cwd=cwd, env=env, input=given, capture_output=True, timeout=60, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def called(url: str, *words: str, cwd: Path | None = None, given: bytes = b"") -> Any:
    """What `--json` prints of a call that goes well."""
    done = call(url, *words, "--json", cwd=cwd, given=given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ── what it prints ────────────────────────────────────────────────────────────────────────────────


def test_example_is_called(server: Server) -> None:
    """examples/01-echo: a table with the text, then sid and time; nothing on standard error."""
    done = call(server.url, "echo", "-i", "data=Grüße, 雅典娜")
    assert (done.returncode, done.stderr) == (0, "")
    assert "│ result │ text │ Grüße, 雅典娜 │" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("sid ase")
    assert done.stdout.rstrip().endswith(" ms")


def test_json_is_one_object(server: Server) -> None:
    """With service, sid, request id, seconds and outputs; a text is `text`, JSON is `json`."""
    answer = called(server.url, "rich", "-i", "text=123", "-p", "language=zh")
    assert answer["service"] == "rich"
    assert answer["sid"] == answer["request_id"]
    assert answer["seconds"] > 0
    assert answer["outputs"]["boxes"]["json"] == [3]
    assert (answer["outputs"]["caption"]["text"], answer["outputs"]["caption"]["type"]) == ("3", "text")


def test_output_is_wanted_in_a_form(server: Server) -> None:
    """`--output KEY.NAME=VALUE`."""
    words = ("-i", "text=1", "-p", "language=zh", "--output", "boxes.format=plain")
    boxes = called(server.url, "rich", *words)["outputs"]["boxes"]
    assert (boxes["text"], boxes["attributes"]["format"]) == ("[1]", "plain")


def test_long_json_is_clipped(server: Server) -> None:
    """The table shows the beginning, and says how much more there is."""
    text = json.dumps(list(range(100)))
    done = call(server.url, "echo", "-i", f"data={text}", "--output", "result.format=json")
    assert "78 more lines; --json has them all" in done.stdout


def test_answer_cannot_steer_the_terminal(server: Server) -> None:
    """Escape sequences of a service, in outputs and errors, are shown as text."""
    done = call(server.url, "echo", "-i", f"data={ESCAPE}")
    assert "\x1b" not in done.stdout
    assert "\\x1b[2Jgone" in done.stdout
    assert "\x1b" not in call(server.url, "pictures", "-i", f"data=raise {ESCAPE}").stderr


# ── what it sends ─────────────────────────────────────────────────────────────────────────────────


def test_inputs_are_text_files_and_stdin(server: Server, tmp_path: Path) -> None:
    """`@FILE`, `-`, and `@@x` for a text that begins so."""
    (tmp_path / "voice.wav").write_bytes(b"12345")
    words = ("-i", "voice=@voice.wav", "-i", "picture=-", "-i", "text=@@x", "-p", "language=zh")
    answer = called(server.url, "rich", *words, cwd=tmp_path, given=b"123")
    assert sorted(answer["outputs"]["boxes"]["json"]) == [2, 3, 5]


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("123", ["string", "null"], "123"),
        ('"quoted"', "string", "quoted"),
        ("123", "integer", 123),
        ("007", "integer", 7),
        ("1.5", "number", 1.5),
        ("true", "boolean", True),
        ("no", "boolean", False),
        ("1", "boolean", True),
        ("true", "integer", "true"),
        ("much", "integer", "much"),
        ("NaN", "number", "NaN"),
        ("[1, 2]", ["array"], [1, 2]),
        ("1", [], 1),
        ("words", None, "words"),
    ],
)
def test_parameters_are_typed_by_the_schema(text: str, types: object, value: object) -> None:
    """A text stays one where the schema wants one; what does not fit goes as it is, for the server to refuse."""
    found = typed(text, {} if types is None else {"type": types})
    assert (found, type(found)) == (value, type(value))


def test_parameters_reach_the_service(server: Server) -> None:
    """Of every type; the server checks them all."""
    params = ["size=3", "ratio=1", "note=42", "strict=yes", "language=en"]
    words = [word for param in params for word in ("-p", param)]
    assert called(server.url, "rich", "-i", "text=1", *words, "--header", "request_id=7")["outputs"]


def test_call_is_signed_by_environment(server: Server) -> None:
    """ATHENA_CALL_KEY and ATHENA_CALL_SECRET: the URL is one that the verifier takes; the app id is the flag's."""
    document, success = server.get("/openapi.json").content, b'{"header":{"code":0,"sid":"s"},"payload":{}}'
    with scripted(Said(200, document), Said(200, success)) as script:
        keys = {"ATHENA_CALL_KEY": "key", "ATHENA_CALL_SECRET": "secret"}
        done = call(script.url, "echo", "-i", "data=x", "--app-id", "me", keys=keys)
    assert done.returncode == 0, done.stderr
    for heard in script.heard:
        parts = urlsplit(heard.target)
        signed = signature.read_query(dict(parse_qsl(parts.query)))
        signature.verify(signed, keys_of("key"), method=heard.method, path=parts.path, now=datetime.now(UTC))
    assert json.loads(script.heard[1].body)["header"]["app_id"] == "me"


def keys_of(key: str) -> Any:
    """A look-up of one key's secret."""
    return {key: "secret"}.get


# ── what it saves ─────────────────────────────────────────────────────────────────────────────────


def test_binary_output_is_saved_and_never_overwrites(server: Server, tmp_path: Path) -> None:
    """Into a folder that is made for it, named by its content, under the next free name; `--force` takes the first."""
    words = ("pictures", "-i", "data=GIF89a one", "-o", str(tmp_path / "new"))
    done = call(server.url, *words)
    assert done.returncode == 0, done.stderr
    assert "10 bytes in" in done.stdout
    assert called(server.url, *words)["outputs"]["result"]["file"].endswith("pictures-result-2.gif")
    call(server.url, "pictures", "-i", "data=GIF89a two", "-o", str(tmp_path / "new"), "--force")
    first, second = tmp_path / "new" / "pictures-result.gif", tmp_path / "new" / "pictures-result-2.gif"
    assert (first.read_bytes(), second.read_bytes()) == (b"GIF89a two", b"GIF89a one")


def test_service_cannot_choose_the_folder(server: Server, tmp_path: Path) -> None:
    """An output's name is the server's: what is not a letter, digit, dot or dash of it is replaced."""
    document = server.get("/openapi.json").content
    evil = b'{"header":{"code":0,"sid":"s"},"payload":{"/../../evil":{"image":"AAAA","encoding":"../x"}}}'
    (tmp_path / "a" / "b").mkdir(parents=True)
    with scripted(Said(200, document), Said(200, evil)) as script:
        assert call(script.url, "echo", "-i", "data=x", cwd=tmp_path / "a" / "b").returncode == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / "a" / "b" / "echo-_.._.._evil.bin"]


@pytest.mark.parametrize(
    ("data", "encoding", "extension"),
    [
        (b"RIFF" + struct.pack("<I", 4) + b"WAVE", "raw", "wav"),
        (b"\x89PNG....", "jpg", "png"),
        (b"....", "jpeg", "jpg"),
        (b"....", "lame", "mp3"),
        (b"....ftyp", "", "mp4"),
        (b"....", "", "bin"),
    ],
)
def test_extension_is_that_of_the_content(data: bytes, encoding: str, extension: str) -> None:
    """By its first bytes, else as the output says."""
    assert _extension(Output("x", "image", data, {"encoding": encoding})) == extension


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────


def test_unknown_service_is_told_with_the_near_one(server: Server) -> None:
    """Exit code 2; where none is near, with all of them."""
    done = call(server.url, "ecko", "-i", "data=x")
    assert done.returncode == 2
    assert done.stderr == f"error: no service ecko\n  where: {server.url}\n  help: did you mean echo?\n"
    words = call(server.url, "zzz").stderr.partition("services there: ")[2]
    assert sorted(words.strip().split(", ")) == ["echo", "pictures", "rich"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "dato=x"], "service echo has no input dato\n  help: did you mean data?"),
        (["-p", "zzz=1"], "service echo has no parameter zzz\n  help: it has no parameters"),
        (["--output", "resul.format=json"], "has no output resul\n  help: did you mean result?"),
        (["--output", "result=json"], "--output result=json: no attribute is named\n  help: --output result.format"),
        (["--header", "aid=1"], "has no header aid"),
        (["-i", "data"], "-i data: a name, = and a value are wanted"),
        (["-i", "data=1", "-i", "data=2"], "-i data is given twice"),
        (["-i", "data=@/none.txt"], "input data: no such file or directory\n  where: /none.txt"),
        (["-o", "/dev/null"], "outputs need a folder, and this is none"),
        (["--key", "k"], "api_key and api_secret belong together"),
    ],
)
def test_wrong_words_are_told_before_the_call(server: Server, words: list[str], said: str) -> None:
    """Exit code 2, the word, and what it might have been."""
    done = call(server.url, "echo", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_refused_request_is_told_in_the_words_of_the_command_line(server: Server) -> None:
    """Exit code 1; places are called as they were typed, and the sid is there."""
    done = call(server.url, "rich", "-i", "text=x", "-p", "language=zh", "-p", "size=99")
    assert done.returncode == 1
    assert "error: service rich refuses the request: parameter size: value must be less or equal than 9" in done.stderr
    assert f"where: {server.url}, code 10163, HTTP 400, sid ase" in done.stderr


def test_failure_is_json_as_well(server: Server) -> None:
    """For programs: kind, code, status, message, sid; the words still go to standard error."""
    done = call(server.url, "pictures", "-i", "data=raise no model", "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert (answer["error"]["kind"], answer["error"]["code"]) == ("WrapperFailed", 10909)
    assert "the code of service pictures failed: " in done.stderr
    assert answer["sid"] in done.stderr


def test_too_slow_call_is_given_up(server: Server) -> None:
    """Exit code 1, and how to wait longer."""
    done = call(server.url, "pictures", "-i", "data=wait 20", "--timeout", "0.7")
    assert done.returncode == 1
    assert "help: --timeout SECONDS waits longer" in done.stderr


def test_nobody_there_is_69() -> None:
    """With the address; one without a scheme is HTTP."""
    done = call(f"127.0.0.1:{free_port()}", "echo")
    assert done.returncode == 69
    assert "error: no server at http://127.0.0.1:" in done.stderr
    assert "is `athena serve` running there?" in done.stderr
