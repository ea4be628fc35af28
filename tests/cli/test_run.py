"""`athena run`: the self-test of any wrapper that can be served, as its own process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ECHO

WRAPPERS = Path(__file__).parents[1] / "compat" / "wrappers"

CONFIGURED = """
import os, sys
from athena_serving.sdk import *


class Wrapper(WrapperBase):
    class responseCls:
        result = StringBodyField(key="result")

    config = {"mode": "own"}

    def wrapperInit(self, config):
        print("config", config, "folder", os.path.basename(os.getcwd()), "beside", os.environ.get("BESIDE"))
        print("worker", os.environ["ATHENA_WORKER"], os.environ.get("CUDA_VISIBLE_DEVICES"))
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data="fine")])
"""

FUNCTIONS = """
texts = {7: "no such thing"}


def wrapperInit(config):
    return int(config.get("code", "0"))


def wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt):
    node = reqData[0]
    assert (node["key"], node["len"], node["type"], usrTag) == ("text", 4, 0, params["sid"])
    respData.append({"key": ANSWERED, "data": node["data"].upper(), "len": 4, "status": 3, "type": 0})
    return CODE


def wrapperError(code):
    return texts.get(code, "")
"""
"""A module of ASF's first style; ANSWERED and CODE are its test's."""

BY_HAND = {
    "meta": {
        "serviceId": "by-hand",
        "version": "v1",
        "service": ["by-hand"],
        "by-hand": {"input": {"text": {"dataType": "text"}}, "accept": {"result": {"dataType": "text"}}},
    },
    "schemainput": {"type": "object", "properties": {}},
    "schemaoutput": {"type": "object", "properties": {}},
}
"""A schema.json for it."""


def write(folder: Path, source: str, **files: str) -> Path:
    """A folder with a wrapper.py and other files."""
    folder.mkdir(exist_ok=True)
    (folder / "wrapper.py").write_text(source, encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command. A process that does not end fails the test."""
    command = [sys.executable, "-m", "athena_serving.cli", "run", *map(str, arguments)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ATHENA_")}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False)


# ── what it tries, and with what ──────────────────────────────────────────────────────────────────


def test_wrapper_in_order_ends_with_0(tmp_path: Path) -> None:
    """Each check is printed, on standard output, and a last line; without a PATH the wrapper here is meant."""
    result = run(cwd=write(tmp_path, ECHO))
    assert result.returncode == 0, result.stderr
    assert "  ok    types are as declared\n" in result.stdout
    last = "wrapper.py has been verified: 11 checks, 0 warnings. Serve it: athena serve wrapper.py"
    assert result.stdout.splitlines()[-1] == last


@pytest.mark.parametrize(
    ("path", "said"), [("ocr", "ocr"), ("ocr/wrapper.py", "ocr/wrapper.py"), ("my ocr", "'my ocr'")]
)
def test_last_line_serves_what_was_tried(tmp_path: Path, path: str, said: str) -> None:
    """By the path that was given, ready to be typed."""
    write(tmp_path / path.removesuffix("/wrapper.py"), ECHO)
    assert run(path, cwd=tmp_path).stdout.splitlines()[-1].endswith(f" Serve it: athena serve {said}")


def test_failed_check_ends_with_1(tmp_path: Path) -> None:
    """What the server would refuse is printed with FAIL."""
    result = run(write(tmp_path, ECHO.replace('key="result", data', 'key="other", data')))
    assert result.returncode == 1
    assert "  FAIL  keys are declared: 'other' is not among 'result'" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("wrapper.py is not ready")


def test_settings_are_those_of_the_server(tmp_path: Path) -> None:
    """[wrapper], the environment of the first worker, its devices and its folder: from files and flags alike."""
    settings = "[wrapper]\nlang = 'zh'\n[workers]\ndevices = ['3', '4']\n[workers.env]\nBESIDE = 'file'\n"
    folder = write(tmp_path / "far", CONFIGURED, athena_toml=settings)
    result = run(folder, "--set", "wrapper.level=2", "--set", "service.name=called", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "config {'lang': 'zh', 'level': '2'} folder far beside file\nworker 0 3\n" in result.stdout
    assert "service 'called'" in result.stdout


def test_class_s_own_config_holds_without_settings(tmp_path: Path) -> None:
    """As in a worker."""
    assert "config {'mode': 'own'}" in run(write(tmp_path, CONFIGURED)).stdout


@pytest.mark.parametrize(
    "name", ["old_class_method", "static_methods", "cls_for_self", "class_methods", "with_context"]
)
def test_every_spelling_is_tried(name: str) -> None:
    """Classes without WrapperBase, and methods in every way that ASF took, pass."""
    result = run(WRAPPERS / name)
    assert result.returncode == 0, result.stdout + result.stderr


def test_session_is_tried_where_there_is_nothing_else() -> None:
    """A wrapper without wrapperOnceExec is tried as a session, with or without --stream."""
    for words in ([], ["--stream"]):
        result = run(WRAPPERS / "only_streams", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "  ok    wrapperDestroy\n" in result.stdout


def test_stream_asks_for_a_session(tmp_path: Path) -> None:
    """A wrapper of once-calls has no session to try."""
    result = run(write(tmp_path, ECHO), "--stream")
    assert result.returncode == 1
    assert "FAIL  wrapperCreate" in result.stdout


# ── for programs ──────────────────────────────────────────────────────────────────────────────────


NOISY = """
import os, subprocess
print("imported", flush=True)
"""
"""Begins a wrapper that writes in every way."""
SHOUT = "os.write(1, b'raw\\n'); subprocess.run(['echo', 'child']); print('printed'); return 0"


def test_json_has_every_check(tmp_path: Path) -> None:
    """What is in order, each with its name, and nothing else on standard output."""
    result = run(write(tmp_path, ECHO), "--json")
    document = json.loads(result.stdout)
    assert result.returncode == 0
    assert (document["ok"], document["warnings"], len(document["checks"])) == (True, [], 11)
    assert document["checks"][1] == {"name": "wrapperInit", "ok": True, "message": ""}


def test_json_is_alone_on_standard_output(tmp_path: Path) -> None:
    """What user code writes, in any way, goes to standard error, and so does the report for people."""
    result = run(write(tmp_path, NOISY + ECHO.replace("return 0", SHOUT)), "--json")
    assert json.loads(result.stdout)["ok"]
    assert {"imported", "raw", "child", "printed", "  ok    wrapperInit"} <= set(result.stderr.splitlines())


def test_json_of_a_failure_has_its_place(tmp_path: Path) -> None:
    """The line of the wrapper's that raised; the traceback is on standard error."""
    source = ECHO.replace("return 0", "raise ValueError('no model')")
    folder = write(tmp_path, source)
    result = run(folder, "--json")
    line = source.splitlines().index("        raise ValueError('no model')") + 1
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["checks"][-1] == {
        "name": "wrapperInit",
        "ok": False,
        "message": "it raised ValueError: no model",
        "place": f"{folder / 'wrapper.py'}:{line}",
    }
    assert "Traceback" in result.stderr


def test_json_has_warnings_of_the_answer_and_of_the_class(tmp_path: Path) -> None:
    """What the server puts right, and what nobody calls, is no failed check."""
    slip = ECHO.replace("return 0", "pass") + "\n    def wrapperfini(self):\n        pass\n"
    result = run(write(tmp_path, slip), "--json")
    document = json.loads(result.stdout)
    assert (result.returncode, document["ok"]) == (0, True)
    warnings = {warning["name"]: warning["message"] for warning in document["warnings"]}
    assert warnings["wrapperInit"] == "it returned None, which counts as 0"
    assert "wrapperfini, which nobody calls" in warnings["log"]


def test_json_of_what_cannot_be_loaded(tmp_path: Path) -> None:
    """One failed check with the place and the remedy; the error for people and the exit code are as ever."""
    folder = write(tmp_path, "import os\nimport no_such_model\n")
    result = run(folder, "--json")
    document = json.loads(result.stdout)
    (check,) = document["checks"]
    assert (result.returncode, document["ok"], check["ok"]) == (3, False, False)
    assert "No module named 'no_such_model'; install what has the module" in check["message"]
    assert check["place"] == f"{folder / 'wrapper.py'}:2"
    assert "error: wrapper.py cannot be imported" in result.stderr


# ── ASF's first style ─────────────────────────────────────────────────────────────────────────────


def functions(folder: Path, *, answered: str = "result", code: int = 0) -> Path:
    """A module of ASF's first style, with a schema by hand."""
    source = f"ANSWERED, CODE = {answered!r}, {code}\n{FUNCTIONS}"
    return write(folder, source, schema_json=json.dumps(BY_HAND))


def test_module_of_functions_is_tried_on_its_schema(tmp_path: Path) -> None:
    """Inputs and outputs are those of schema.json, dicts go in and come out."""
    result = run(functions(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "service 'by-hand'" in result.stdout
    assert "input 'text' has a test value: it has none" in result.stdout
    assert "  ok    keys are declared\n" in result.stdout


def test_module_s_wrong_output_fails(tmp_path: Path) -> None:
    """A key that schema.json has not is what the server would refuse."""
    result = run(functions(tmp_path, answered="other"))
    assert result.returncode == 1
    assert "'other' is not among 'result'" in result.stdout


def test_module_s_error_code_is_told_with_its_words(tmp_path: Path) -> None:
    """An error code is an answer; wrapperError says what it means."""
    result = run(functions(tmp_path, code=7))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "wrapperError: 7, which wrapperError calls 'no such thing'" in result.stdout


def test_module_s_session_is_refused_in_words(tmp_path: Path) -> None:
    """Sessions of this style cannot be tried, and what can is said."""
    result = run(functions(tmp_path), "--stream")
    assert result.returncode == 2
    assert "without --stream" in result.stderr


# ── what user code may do ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("place", "code"), [("if True:", 0), ("class Wrapper: pass", 3), ("raise ValueError('no model')", 3)]
)
def test_threads_that_are_left_keep_nobody(tmp_path: Path, place: str, code: int) -> None:
    """A thread of the wrapper's that never ends does not keep the process, whether it could be loaded or not."""
    thread = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    source = ECHO if place == "if True:" else place
    assert run(write(tmp_path, thread + source)).returncode == code


def test_wrapper_that_cannot_be_loaded_ends_with_3(tmp_path: Path) -> None:
    """The error has the line, and what helps."""
    result = run(write(tmp_path, "import no_such_model\n"))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("error: wrapper.py cannot be imported: ModuleNotFoundError: ")
    assert f"{tmp_path / 'wrapper.py'}:1" in result.stderr


def test_broken_schema_ends_with_3(tmp_path: Path) -> None:
    """A schema.json that no server takes is no wrapper to try."""
    result = run(write(tmp_path, ECHO, schema_json="{"))
    assert result.returncode == 3
    assert "schema.json" in result.stderr


def test_exit_by_user_code_is_a_failure(tmp_path: Path) -> None:
    """sys.exit(0) in a method is not taken for success."""
    result = run(write(tmp_path, ECHO.replace("return 0", "sys.exit(0)")))
    assert result.returncode == 1
    assert "  FAIL  wrapperInit: it called sys.exit(0), which ends a worker" in result.stdout


def test_exit_by_a_property_is_a_failure(tmp_path: Path) -> None:
    """Also where no method is called: it is a wrapper that cannot be loaded."""
    source = ECHO + "\n    @property\n    def params_test_values(self):\n        sys.exit(0)\n"
    result = run(write(tmp_path, source))
    assert result.returncode == 3
    assert "SystemExit" in result.stderr


def test_nothing_to_try_is_said() -> None:
    """A folder without a wrapper is a usage error, which names this command."""
    result = run(cwd=Path(__file__).parent)
    assert result.returncode == 2
    assert "athena run ./wrapper.py" in result.stderr
