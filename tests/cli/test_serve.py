"""`athena serve` when it cannot: read as a person would, each time from a real process that leaves nothing behind."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.serving import ATHENA, ECHO, Server, eventually

FIELDS = """
from athena_serving.sdk import IntegerParamField, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")


class UserResponse:
    result = StringBodyField(key="result")
"""
END = """
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=b"x")])
"""
WITHIN = 15.0  # seconds; a busy machine included


class Told(NamedTuple):
    """How the command ended, and what it said last."""

    code: int
    error: str
    """What stands after `error: `."""
    where: str
    help: str
    text: str
    """All that it wrote."""


def refused(folder: Path, source: str | Path | list[str], *flags: str, **environ: str) -> Told:
    """Serve what cannot be served. The server's tree is gone afterwards, or the test fails."""
    with Server(folder, source, "--log", "human", *flags, environ=environ, ready=False) as server:
        code = server.wait(WITHIN)
        return told(code, server.log_text())


def told(code: int, text: str) -> Told:
    """The words of an error, which end what the command wrote; never a traceback."""
    assert "Traceback" not in text
    error = re.search(r"^error: (.*?)(?:\n  where: (.*?))?(?:\n  help: (.*?))?\n\Z", text, re.MULTILINE | re.DOTALL)
    assert error is not None, text
    return Told(code, error[1], error[2] or "", error[3] or "", text)


# ── wrappers that cannot be loaded ────────────────────────────────────────────────────────────────


def test_missing_class_is_named_with_the_near_one(tmp_path: Path) -> None:
    """A file without `Wrapper` is refused; the class that looks like it is the remedy."""
    said = refused(tmp_path, f"{FIELDS}\n\nclass OcrWrapper(WrapperBase):{END}")
    assert (said.code, said.error) == (3, "no class Wrapper in wrapper.py")
    assert said.where == str(tmp_path / "service-0" / "wrapper.py")
    assert said.help == "rename class OcrWrapper to Wrapper"


def test_missing_class_shows_what_one_looks_like(tmp_path: Path) -> None:
    """Where nothing looks like a wrapper, the help is the line to begin with."""
    assert refused(tmp_path, "model = 1\n").help == "class Wrapper(WrapperBase): ..."


def test_syntax_error_has_file_and_line(tmp_path: Path) -> None:
    """The place of a syntax error is the file and the line in it."""
    said = refused(tmp_path, "x = 1\ny = (\n")
    assert said.code == 3
    assert said.error.startswith("wrapper.py cannot be imported: SyntaxError: ")
    assert said.where == f"{tmp_path / 'service-0' / 'wrapper.py'}:2"


def test_missing_package_is_named_with_the_environment(tmp_path: Path) -> None:
    """An import that fails names the module, the line, and where to install it."""
    said = refused(tmp_path, f"import os\nimport not_a_package_at_all\n{FIELDS}")
    assert said.code == 3
    assert "No module named 'not_a_package_at_all'" in said.error
    assert said.where.endswith("wrapper.py:2  import not_a_package_at_all")
    assert "'not_a_package_at_all'" in said.help
    assert sys.prefix in said.help


def test_error_of_the_module_itself_has_its_line(tmp_path: Path) -> None:
    """What a wrapper raises while it is imported is said in its words, with the line that raised it."""
    said = refused(tmp_path, "def load():\n    raise ValueError('no weights')\n\n\nload()\n")
    assert said.code == 3
    assert said.error == "wrapper.py cannot be imported: ValueError: no weights"
    assert said.where.endswith("wrapper.py:2  raise ValueError('no weights')")


def test_exit_while_imported_is_no_end_without_a_word(tmp_path: Path) -> None:
    """A module that calls sys.exit() is told so."""
    said = refused(tmp_path, "import sys\nsys.exit(0)\n")
    assert said.code == 3
    assert "SystemExit" in said.error
    assert "sys.exit()" in said.help


def test_field_that_makes_no_schema_is_named(tmp_path: Path) -> None:
    """A field with a bound that is no number is refused by its key, before anybody is served."""
    source = FIELDS.replace(
        "class UserResponse", '    size = IntegerParamField(key="size", minimum="low")\n\n\nclass UserResponse'
    )
    said = refused(tmp_path, f"{source}\n\nclass Wrapper(WrapperBase):{END}")
    assert (said.code, said.error) == (3, "minimum of field 'size' must be a finite number")
    assert said.help == "it is 'low'"


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


def test_name_of_the_servers_own_path_is_refused(tmp_path: Path) -> None:
    """A service cannot take a path that the door answers itself."""
    said = refused(tmp_path, f'{FIELDS}\n\nclass Wrapper(WrapperBase):\n    serviceId = "metrics"{END}')
    assert said.code == 3
    assert said.error == "a service cannot be called 'metrics': that path is the server's own"
    assert said.where.endswith("wrapper.py")
    assert "serviceId" in said.help


def test_two_services_of_one_name_are_both_named(tmp_path: Path) -> None:
    """Both files are named, and the way out."""
    said = refused(tmp_path, [ECHO, ECHO])
    assert (said.code, said.error) == (3, "two services are called 'echo'")
    assert {f"{tmp_path / place / 'wrapper.py'}" for place in ("service-0", "service-1")} == set(
        said.where.split(" and ")
    )
    assert "serviceId" in said.help


# ── ports ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(("flag", "setting"), [("--port", "server.port"), ("--admin-port", "server.admin_port")])
def test_busy_port_names_who_has_it(tmp_path: Path, taken: int, flag: str, setting: str) -> None:
    """The process that holds the port is named by pid and command; the remedy is another port."""
    said = refused(tmp_path, ECHO, flag, str(taken))
    assert said.code == 2
    assert re.fullmatch(rf"port {taken} is in use by pid {os.getpid()} \(.+\)", said.error)
    command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    assert command[:40] in said.error
    assert said.where == f"{setting} = {taken}"
    assert f"{flag} {taken + 1}" in said.help


def test_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    """An address that is not ours is an error with the ones that are."""
    said = refused(tmp_path, ECHO, "--host", "192.0.2.1")  # RFC 5737: nobody's
    assert said.code == 2
    assert "cannot listen on 192.0.2.1" in said.error
    assert "127.0.0.1" in said.help


def test_busy_default_admin_port_is_replaced(tmp_path: Path) -> None:
    """Nobody chose 1890: where it is taken the server says so in one line and takes another."""
    (tmp_path / "wrapper.py").write_text(ECHO)
    log = tmp_path / "log"
    with suppress(OSError):  # somebody has it already, which will do
        blocker = socket.create_server(("127.0.0.1", 1890))
    with log.open("wb") as output:
        server = subprocess.Popen(
            [ATHENA, "serve", tmp_path, "--port", "0", "--log", "human"], stdout=output, stderr=output
        )
    try:
        eventually(lambda: "service echo is ready" in log.read_text(), timeout=WITHIN, what="the service")
    finally:
        server.terminate()
        code = server.wait(WITHIN)
        if "blocker" in locals():
            blocker.close()
    assert code == 0
    line = next(line for line in log.read_text().splitlines() if "1890" in line)
    assert "WARNING" in line
    assert "the admin port is another one" in line


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("flags", "environ", "error", "where", "remedy"),
    [
        (
            ["--workers", "none"],
            {},
            'workers.count must be a whole number, 1 or more, not "none"',
            "flag --workers",
            "",
        ),
        (["--set", "workers.cuont=2"], {}, "unknown setting workers.cuont", "flag --set", "workers.count"),
        ([], {"ATHENA_SERVER_PROT": "1"}, "unknown variable ATHENA_SERVER_PROT", "environment", "ATHENA_SERVER_PORT"),
        (["--set", "workers.devices=0", "--workers", "2"], {}, "2 workers, but 1 devices", "workers.devices", "twice"),
    ],
)
def test_bad_settings_name_their_source(
    tmp_path: Path, flags: list[str], environ: dict[str, str], error: str, where: str, remedy: str
) -> None:
    """A wrong setting is refused before anything starts: what, where it was said, what was meant."""
    said = refused(tmp_path, ECHO, *flags, **environ)
    assert said.code == 2
    assert error in said.error
    assert where in said.where
    assert remedy in said.help
    assert "starting" not in said.text


def test_bad_file_beside_the_wrapper_is_named(tmp_path: Path) -> None:
    """A wrong line in a wrapper's own athena.toml names that file."""
    folder = tmp_path / "ocr"
    folder.mkdir()
    (folder / "wrapper.py").write_text(ECHO)
    (folder / "athena.toml").write_text("[workers]\ncount = 0\n")
    said = refused(tmp_path, folder)
    assert said.code == 2
    assert said.error == "workers.count must be a whole number, 1 or more, not 0"
    assert said.where == str(folder / "athena.toml")


@pytest.mark.parametrize("path", ["nothing", "nothing.py"])
def test_path_that_leads_nowhere_is_named(tmp_path: Path, path: str) -> None:
    """A path without a wrapper is refused with what to name instead."""
    said = refused(tmp_path, tmp_path / path)
    assert said.code == 2
    assert said.error == f"no such file or folder: {tmp_path / path}"
    assert "wrapper.py" in said.help


def test_http2_without_its_package_is_an_error_not_a_loop(tmp_path: Path) -> None:
    """Where the extra is missing the command ends with the way to install it."""
    shadow = tmp_path / "shadow" / "zttp.py"
    shadow.parent.mkdir()
    shadow.write_text('raise ModuleNotFoundError("No module named \'zttp\'", name="zttp")\n')
    said = refused(tmp_path, ECHO, "--set", "server.http2=true", PYTHONPATH=str(shadow.parent))
    assert (said.code, said.error, said.where) == (2, "HTTP/2 needs the package zttp", "server.http2")
    assert said.help == "pip install 'athena-serving[http2]'"
