"""`athena schema`: the document on standard output, and nothing else there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import Json

NOISY = """
import os, subprocess
from pathlib import Path
from athena_serving.sdk import Response, StringBodyField, StringParamField, WrapperBase

print("printed")
os.write(1, b"written\\n")
subprocess.run(["echo", "started"])
here, mode = Path("here.txt").read_text(), os.environ.get("MODE", "")


class UserRequest:
    data = StringBodyField(key="data")
    mode = StringParamField(key="mode", enums=[here, mode])


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "noisy"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        return Response()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a wrapper in `noisy/` that writes in every way, and reads a file beside it."""
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "wrapper.py").write_text(NOISY)
    (tmp_path / "noisy" / "here.txt").write_text("near")
    return tmp_path


def schema(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "athena_serving.cli", "schema", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def document(folder: Path, *arguments: str) -> Json:
    """What it prints, which is one JSON document."""
    result = schema(folder, *arguments)
    assert result.returncode == 0, result.stderr
    printed: Json = json.loads(result.stdout)
    return printed


def test_document_is_all_that_is_on_standard_output(folder: Path) -> None:
    """Whatever user code writes, and however, goes to standard error."""
    result = schema(folder, "noisy")
    assert json.loads(result.stdout)["meta"]["serviceId"] == "noisy"
    assert set(result.stderr.split()) == {"printed", "written", "started"}


def test_document_is_the_server_s(folder: Path) -> None:
    """Name, version, body limit and the workers' environment of the settings count; the file runs in its folder."""
    words = ["--set", "service.name=other", "--set", "service.version=v9", "--set", "server.limits.body=1KiB"]
    printed = document(folder, "noisy", *words, "--set", "workers.env.MODE=far")
    assert (printed["meta"]["serviceId"], printed["meta"]["version"]) == ("other", "v9")
    asked = printed["schemainput"]["properties"]
    assert asked["payload"]["properties"]["data"]["properties"]["text"]["maxLength"] == 1024
    assert asked["parameter"]["properties"]["other"]["properties"]["mode"]["enum"] == ["near", "far"]


def test_openapi_is_that_of_the_service(folder: Path) -> None:
    """`--openapi` prints OpenAPI 3.1 with the service's path."""
    printed = document(folder, "noisy", "--openapi")
    assert printed["openapi"].startswith("3.1")
    assert "/v1/private/noisy" in printed["paths"]


def test_legacy_is_the_older_form(folder: Path) -> None:
    """`--legacy` prints what ASF's Python package made, which knows `appid` only."""
    printed = document(folder, "noisy/wrapper.py", "--legacy")
    assert printed["meta"]["serviceId"] == "noisy"
    header = printed["schemainput"]["properties"]["header"]
    assert "appid" in header["properties"]
    assert "app_id" not in header["properties"]


def test_wrapper_here_needs_no_path(folder: Path) -> None:
    """Without a path it is ./wrapper.py, or help."""
    assert document(folder / "noisy")["meta"]["serviceId"] == "noisy"
    result = schema(folder)
    assert result.returncode == 2
    assert "athena schema ./wrapper.py" in result.stderr


@pytest.mark.parametrize("form", [(), ("--openapi",), ("--legacy",)])
@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_that_exists", "wrapper.py cannot be imported: ModuleNotFoundError"),
        ("class OcrWrapper: ...", "no class Wrapper in wrapper.py"),
    ],
)
def test_wrapper_that_cannot_be_loaded_is_code_3(folder: Path, form: tuple[str, ...], source: str, error: str) -> None:
    """The error is the server's, and standard output stays empty."""
    (folder / "noisy" / "wrapper.py").write_text(source)
    result = schema(folder, "noisy", *form)
    assert (result.returncode, result.stdout) == (3, "")
    assert f"error: {error}" in result.stderr


def test_older_form_needs_an_instance(folder: Path) -> None:
    """Only `--legacy` makes one, as ASF's package did; what it raises is told with its line."""
    (folder / "noisy" / "wrapper.py").write_text(f"{NOISY}    def __init__(self): raise ValueError('no')\n")
    assert document(folder, "noisy")["meta"]["serviceId"] == "noisy"
    result = schema(folder, "noisy", "--legacy")
    assert (result.returncode, result.stdout) == (3, "")
    assert "error: Wrapper() raised: ValueError: no" in result.stderr


def test_functions_have_no_older_form(folder: Path) -> None:
    """A module in ASF's first style has a schema, but not in the form that its classes made."""
    source = "serviceId = 'old'\ndef wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt): return 0\n"
    (folder / "noisy" / "wrapper.py").write_text(source)
    assert document(folder, "noisy")["meta"]["serviceId"] == "old"
    result = schema(folder, "noisy", "--legacy")
    assert (result.returncode, result.stdout) == (3, "")
    assert "leave --legacy out" in result.stderr
