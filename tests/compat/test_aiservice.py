"""`AIservice`, ASF's loader by its old name: line 33 of wrapper.md 14, and start commands of existing images."""

import contextlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from athena_serving.cli import aiservice
from tests.serving import ECHO, MARK, Server, eventually, text_of

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT.parent / "shared" / "golden" / "aiges.default-init.toml"
AISERVICE = Path(sys.executable).with_name("AIservice")
IMAGE_FLAGS = ("-m=0", "-c=aiges.toml", "-s=svcName", "-u=http://companion.invalid:6868", "-p=AIaaS", "-g=dx")
"""The start command of ASF's project template (wrapper.md 10)."""

OLD = """
import os

from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"warm up")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "old"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        self.said = f"{config['log.level']} {config.get('rate')} {os.getcwd()}"
        return 0

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=self.said.encode())])
"""
"""A wrapper that answers with what `wrapperInit` saw."""


class Loader(Server):
    """`AIservice` as a process, in a folder of its own; it listens where the aiges.toml says."""

    def __init__(self, folder: Path, *flags: str, toml: str = "", environ: dict[str, str] | None = None) -> None:
        super().__init__(folder, [], *flags, environ=environ)
        (folder / "aiges.toml").write_text(
            f'[fc]\nmax = 1\n[wrapper]\nhttp_listen = "127.0.0.1:{self.port}"\n"log.level" = "info"\n{toml}'
        )

    def start(self) -> None:
        """Start it; what no aiges.toml can say, it is told by variables."""
        environ = {"ATHENA_SERVER_ADMIN_PORT": str(self.admin_port), "ATHENA_SERVER_LOG": "json"}
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                [AISERVICE, *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environ, **self._environ, MARK: self._mark},
                cwd=self.folder,
                process_group=0,
            )
        self.wait_ready()


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [AISERVICE, *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ── line 33 ───────────────────────────────────────────────────────────────────────────────────────


def test_line_33_init_writes_the_file_that_asf_writes(tmp_path: Path) -> None:
    """`-init` writes a file that says the same as the recorded one, key by key, and ends with 0."""
    if not GOLDEN.exists():
        pytest.skip("the recorded file is not here")
    assert run(tmp_path, "-init").returncode == 0
    written = tomllib.loads((tmp_path / "aiges.toml").read_text(encoding="utf-8"))
    assert written == tomllib.loads(GOLDEN.read_text(encoding="utf-8"))


def test_line_33_init_leaves_a_file_alone(tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    (tmp_path / "aiges.toml").write_text("# mine\n")
    result = run(tmp_path, "-init")
    assert (result.returncode, (tmp_path / "aiges.toml").read_text()) == (0, "# mine\n")
    assert "stays as it is" in result.stdout


def test_line_33_mode_0_creates_the_missing_file(tmp_path: Path) -> None:
    """`-m=0` without a file writes the default one, then goes on, here to the missing wrapper."""
    result = run(tmp_path, "-m=0")
    assert result.returncode == 2
    assert result.stderr.startswith("error: nothing to serve: no wrapper.py here or on PYTHONPATH")
    assert tomllib.loads((tmp_path / "aiges.toml").read_text())["wrapper"]["http_listen"] == "0.0.0.0:1888"


def test_line_33_no_arguments_print_usage(tmp_path: Path) -> None:
    """Without arguments it says how it is used, touches nothing, and ends with 0."""
    result = run(tmp_path)
    assert (result.returncode, result.stderr, list(tmp_path.iterdir())) == (0, "", [])
    assert result.stdout.startswith("Usage: AIservice -m=0")
    assert result.stdout == run(tmp_path, "-h").stdout


@pytest.mark.parametrize("mode", ["C", "go", "python3"])
def test_line_33_unknown_plugin_mode_is_fatal(tmp_path: Path, mode: str) -> None:
    """Only `c` and `python` are modes; the error names both."""
    result = run(tmp_path, "-m=0", AIGES_PLUGIN_MODE=mode)
    assert result.returncode == 2
    assert f'no plug-in mode "{mode}"' in result.stderr
    assert "help: python or c" in result.stderr


# ── serving ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("environ", [{}, {"AIGES_PLUGIN_MODE": "c"}, {"AIGES_PLUGIN_MODE": "python"}], ids=str)
def test_start_command_of_an_image_serves(tmp_path: Path, environ: dict[str, str]) -> None:
    """The command in ASF's Dockerfiles serves ./wrapper.py with [wrapper] as strings, and says what it does not do."""
    (tmp_path / "wrapper.py").write_text(OLD)
    toml = "rate = 2.0\n[svcName]\nport = 5090\n[ws]\nreadTimeout = 15\nsessionTimeout = 180\n"
    with Loader(tmp_path, *IMAGE_FLAGS, toml=toml, environ=environ) as loader:
        status, body = loader.call("old", "x")
        assert (status, text_of(body)) == (200, f"info 2 {tmp_path}")
        assert loader.log("without effect: -u, -p, -g")
        assert loader.log("[svcName]: for ASF's gRPC port: XRPC comes with a later version")
        assert loader.log("[ws]: WebSockets are on the service's port")


def test_full_pool_refuses_at_once(tmp_path: Path) -> None:
    """`[fc].max` calls run; there is no queue: the next one is refused with ASF's 10110."""
    (tmp_path / "wrapper.py").write_text(ECHO)
    with Loader(tmp_path, "-m", "0") as loader:
        with contextlib.closing(loader.begin("echo", "wait 20")):
            eventually(lambda: loader.total("athena_calls_running") == 1, what="the first call's turn")
            status, body = loader.call("echo", "x")
        assert (status, body["header"]["code"]) == (429, 10110)


def test_wrapper_on_the_python_path_runs_in_the_working_directory(tmp_path: Path) -> None:
    """A wrapper.py elsewhere is found on PYTHONPATH; its relative paths start where the command did."""
    place, work = tmp_path / "lib", tmp_path / "work"
    place.mkdir()
    work.mkdir()
    (place / "wrapper.py").write_text(OLD)
    paths = (str(tmp_path / "none"), str(place), os.environ.get("PYTHONPATH", ""))
    with Loader(work, "-m=0", environ={"PYTHONPATH": os.pathsep.join(paths)}) as loader:
        assert text_of(loader.call("old", "x")[1]) == f"info None {work}"


def test_version_and_node_come_from_the_environment(tmp_path: Path) -> None:
    """AIGES_WRAPPER_VERSION adds a path of its own; AIGES_ENV_NUMA says on which processors all run."""
    if not Path("/sys/devices/system/node/node0/cpulist").exists():
        pytest.skip("the kernel says nothing of memory nodes")
    (tmp_path / "wrapper.py").write_text(OLD)
    with Loader(tmp_path, "-m=0", environ={"AIGES_WRAPPER_VERSION": "1.2.3", "AIGES_ENV_NUMA": "0"}) as loader:
        assert loader.call("old", "x")[0] == 200
        assert loader.get("/1.2.3/private/old").status_code != 404
        assert loader.log("as AIGES_ENV_NUMA says")


def test_mode_1_with_a_file_serves_it(tmp_path: Path) -> None:
    """There is no configuration centre; where its file lies here, it is served, with a warning."""
    (tmp_path / "wrapper.py").write_text(OLD)
    with Loader(tmp_path, "-m=1", *IMAGE_FLAGS[1:]) as loader:
        assert loader.call("old", "x")[0] == 200
        (line,) = loader.log("no configuration centre")
        assert line["level"] == "WARNING"


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_open_that_nobody_opened(tmp_path: Path) -> None:
    """Without `http_listen`, only this machine can call; what AIservice differs in is its own origin."""
    (tmp_path / "wrapper.py").touch()
    (tmp_path / "aiges.toml").write_text("[fc]\nmax = 2\n")
    chosen = aiservice.load(tmp_path / "aiges.toml", "svcName", environ={}, cwd=tmp_path, mode="c")
    (hosted,) = chosen.services
    assert (chosen.server.host, chosen.server.port, chosen.limits.call_timeout) == ("127.0.0.1", 1888, 120.0)
    assert (hosted.workers.seats, hosted.workers.queue, hosted.origins["workers.queue"]) == (2, 0, "AIservice")


def test_address_in_the_file_is_asked_for(tmp_path: Path) -> None:
    """The default file opens the service to all, as it says; the usual warning is given."""
    (tmp_path / "wrapper.py").touch()
    assert run(tmp_path, "-init").returncode == 0
    chosen = aiservice.load(tmp_path / "aiges.toml", "svcName", environ={}, cwd=tmp_path, mode="c")
    assert (chosen.server.host, chosen.server.port) == ("0.0.0.0", 1888)
    assert "server.host = 0.0.0.0" in (chosen.public_warning() or "")


def test_settings_of_ours_are_stronger(tmp_path: Path) -> None:
    """An athena.toml and ATHENA_ variables cover what an aiges.toml says."""
    (tmp_path / "wrapper.py").touch()
    (tmp_path / "aiges.toml").write_text("[fc]\nmax = 2\n[wrapper]\na = 1\nhttp_listen = ':1'\n")
    (tmp_path / "athena.toml").write_text("[workers]\nseats = 5\n[wrapper]\na = 2\n")
    environ = {"ATHENA_SERVER_HOST": "127.0.0.1", "AIGES_WRAPPER_VERSION": "v7"}
    chosen = aiservice.load(tmp_path / "aiges.toml", "svcName", environ=environ, cwd=tmp_path, mode="c")
    (hosted,) = chosen.services
    assert (chosen.server.host, chosen.server.port, hosted.workers.seats) == ("127.0.0.1", 1, 5)
    assert (hosted.wrapper["a"], hosted.service.version) == ("2", "v7")
    assert hosted.origins["service.version"] == "environment AIGES_WRAPPER_VERSION"


# ── refused, in words ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "environ", "error", "remedy"),
    [
        (["-m=0", "-q"], {}, "no flag -q", "Usage: AIservice"),
        (["-ini"], {}, "no flag -ini", "did you mean -init?"),
        (["-m"], {}, "-m needs a value", "Usage: AIservice"),
        (["-m=2"], {}, "there is no mode 2", "-m=0 starts from a file"),
        (["-m=0", "-c=gone.toml"], {}, "no such file: gone.toml", "-init writes aiges.toml"),
        (["-m=1", "-c=a.toml", "-u=http://x"], {}, "no configuration centre", "AIservice -m=0 -c=aiges.toml"),
        (["-mnist"], {}, "there is no -mnist", "python -m aiges create"),
        (["-m=0"], {"AIGES_ENV_NUMA": "one"}, '"one" is no node', "0 or more"),
        (["-m=0"], {"AIGES_ENV_NUMA": "4095"}, "there is no NUMA node 4095", "this machine has"),
        (["-m=0"], {"AIGES_WRAPPER_VERSION": "a/b"}, "AIGES_WRAPPER_VERSION must be a string", ""),
    ],
)
def test_what_cannot_be_is_explained(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], error: str, remedy: str
) -> None:
    """The error is on standard error with help below it, and the exit code is 2."""
    (tmp_path / "wrapper.py").touch()
    result = run(tmp_path, *arguments, **environ)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert error in result.stderr
    assert remedy in result.stderr
    assert "Traceback" not in result.stderr


def test_c_library_is_told_from_nothing(tmp_path: Path) -> None:
    """In mode `c` a library without a wrapper.py is named, also where LD_LIBRARY_PATH leads to it."""
    place = tmp_path / "library"
    place.mkdir()
    (place / "libwrapper.so").touch()
    result = run(tmp_path, "-m=0", LD_LIBRARY_PATH=str(place))
    assert result.returncode == 3
    assert result.stderr.startswith("error: wrappers in C come with a later version")
    assert str(place / "libwrapper.so") in result.stderr
    assert run(tmp_path, "-m=0", LD_LIBRARY_PATH=str(place), AIGES_PLUGIN_MODE="python").returncode == 2


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where the default file cannot be written, the error has its place."""
    (tmp_path / "aiges.toml").symlink_to(tmp_path / "gone" / "aiges.toml")
    result = run(tmp_path, "-m=0")
    assert result.returncode == 2
    assert "aiges.toml" in result.stderr


def test_version_is_printed(tmp_path: Path) -> None:
    """`-v` prints a name and a version."""
    name, version = run(tmp_path, "-v").stdout.split()
    assert name == "AIservice"
    assert version[0].isdigit()


def test_every_flag_is_documented() -> None:
    """docs/commands.md has each flag, and the usage text has it too."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").partition("\n## AIservice\n")[2]
    for name in aiservice.FLAGS:
        assert f"`-{name}" in page
        assert f"\n  -{name}" in aiservice.USAGE


def test_module_is_the_command() -> None:
    """`python -m athena_serving.cli.aiservice` is for where the script is not on the path."""
    command = [sys.executable, "-m", "athena_serving.cli.aiservice"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: AIservice")
