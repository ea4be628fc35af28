"""`python -m aiges`: line 43 of wrapper.md, chapter 14."""

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from athena_serving.cli import aiges, create, pack
from athena_serving.errors import UsageError
from tests import debian
from tests.serving import Server

ASF_FILES = {"Dockerfile", "README.md", "requirements.txt", "wrapper/wrapper.py", "wrapper/test_data/test.png"}
"""What `aiges create` makes (wrapper.md 10)."""
OUR_FILES = {"wrapper/athena.toml"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m aiges` in a folder."""
    command = [sys.executable, "-m", "aiges", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def files(folder: Path) -> set[str]:
    """Names of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project called `ocr-1`."""
    create.create("ocr-1", tmp_path)
    return tmp_path / "ocr-1"


# ── create ────────────────────────────────────────────────────────────────────────────────────────


def test_line_43_create_makes_the_file_set(tmp_path: Path) -> None:
    """`create -n NAME -p PATH` makes ASF's files in PATH/NAME, and ours."""
    result = run(tmp_path, "create", "-n", "ocr", "-p", "some/where")
    assert result.returncode == 0
    assert files(tmp_path / "some" / "where" / "ocr") == ASF_FILES | OUR_FILES
    assert "athena serve some/where/ocr/wrapper" in result.stdout


def test_line_43_create_has_asf_s_defaults(tmp_path: Path) -> None:
    """Without flags the project is ./wrapperDemo."""
    assert run(tmp_path, "create").returncode == 0
    assert files(tmp_path / "wrapperDemo") == ASF_FILES | OUR_FILES


def test_line_43_project_passes_its_own_self_test(project: Path) -> None:
    """`python wrapper/wrapper.py` ends with 0, and `run` finds nothing wrong."""
    for words in (
        ["wrapper/wrapper.py"],
        ["-c", "from wrapper.wrapper import Wrapper; assert Wrapper().run() is True"],
    ):
        command = [sys.executable, *words]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_project_is_served_and_answers_its_readme(project: Path, tmp_path: Path) -> None:
    """The call that README.md shows is answered with what wrapper.py makes of it; a wrong picture with its words."""
    debian.program("curl", "curl")
    shown = re.search(r"^```sh\n(.*?)^```$", (project / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    with Server(tmp_path, project / "wrapper") as server:
        command = shown[1].replace("http://127.0.0.1:1888", server.url).replace("curl ", "curl --noproxy '*' ", 1)
        answer = json.loads(subprocess.check_output(["sh", "-c", command], cwd=project, timeout=60))
        assert answer["header"]["code"] == 0, answer
        assert "32" in json.dumps(answer["payload"]["result"])
        assert not server.log("the warm-up call failed")
        status, body = server.call("ocr-1", b"no picture", key="image")
        assert (status, body["header"]["message"]) == (502, "the picture is not a PNG;code=100")


def test_picture_is_a_picture(project: Path) -> None:
    """The test picture is a PNG that another reader takes."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    with image.open(project / "wrapper" / "test_data" / "test.png") as picture:
        picture.load()
        assert picture.size == (create.SIDE, create.SIDE)


def test_project_is_not_written_over(tmp_path: Path, project: Path) -> None:
    """A folder with anything in it is left alone; an empty one is taken."""
    (project / "wrapper" / "wrapper.py").write_text("# mine\n")
    result = run(tmp_path, "create", "-n", "ocr-1")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ocr-1 is there already")
    assert (project / "wrapper" / "wrapper.py").read_text() == "# mine\n"
    (tmp_path / "empty").mkdir()
    assert len(create.create("empty", tmp_path)) == len(ASF_FILES | OUR_FILES)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "-n", "a b", "ä", "x" * 65, 'a"b', "a\n"])
def test_name_that_no_service_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """The name becomes a part of the URL, of paths and of Python text."""
    with pytest.raises(UsageError, match="cannot be the name of a service"):
        create.create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be is an error with the path."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write Dockerfile"):
        create.create("ocr", tmp_path / "file")


# ── pack ──────────────────────────────────────────────────────────────────────────────────────────


def test_line_43_pack_keeps_every_file_in_its_folder(tmp_path: Path, project: Path) -> None:
    """The archive has the project's files under their own names, where `-o` says."""
    (project / "wrapper" / "__pycache__").mkdir()
    (project / "wrapper" / "__pycache__" / "wrapper.pyc").touch()
    (project / ".git").mkdir()
    (project / ".git" / "config").touch()
    result = run(tmp_path, "pack", "-l", "ocr-1", "-o", "out.tgz")
    assert (result.returncode, result.stderr) == (0, "")
    with tarfile.open(tmp_path / "out.tgz") as tar:
        assert set(tar.getnames()) == ASF_FILES | OUR_FILES
        assert {(one.uid, one.uname) for one in tar} == {(0, "")}
        tar.extractall(tmp_path / "unpacked", filter="data")
    for name in ASF_FILES:
        assert (tmp_path / "unpacked" / name).read_bytes() == (project / name).read_bytes()


def test_pack_has_asf_s_defaults(project: Path) -> None:
    """Without flags this folder goes to ./pywrapper.tar.gz, which is not packed into itself the next time."""
    for _ in range(2):
        assert run(project, "pack").returncode == 0
    with tarfile.open(project / "pywrapper.tar.gz") as tar:
        assert set(tar.getnames()) == ASF_FILES | OUR_FILES


def test_archive_may_be_named_by_its_folder(project: Path, tmp_path: Path) -> None:
    """A folder for `-o` gets an archive of ASF's name."""
    assert pack.pack(project, tmp_path).archive == tmp_path / "pywrapper.tar.gz"


def test_links_out_of_the_project_are_left_out(project: Path, tmp_path: Path) -> None:
    """A link inside stays a link; one that leads out, or is absolute, is left out and named."""
    (project / "model.py").symlink_to("wrapper/wrapper.py")
    (project / "data").symlink_to("wrapper/test_data")
    (project / "secret").symlink_to("../../../etc/passwd")
    (project / "absolute").symlink_to(project / "README.md")
    (project / "loop").symlink_to("..")
    packed = pack.pack(project, tmp_path / "out.tgz")
    assert {"model.py", "data"} <= set(packed.files)
    assert {warning.partition(":")[0] for warning in packed.warnings} == {
        "left out secret",
        "left out absolute",
        "left out loop",
    }


def test_missing_wrapper_is_refused(tmp_path: Path) -> None:
    """Without a wrapper.py nothing is written."""
    (tmp_path / "README.md").touch()
    with pytest.raises(UsageError, match=r"no wrapper\.py below"):
        pack.pack(tmp_path, tmp_path / "out.tgz")
    assert files(tmp_path) == {"README.md"}


def test_missing_companions_are_warned_of(tmp_path: Path) -> None:
    """A project without requirements.txt or README is packed, and told."""
    (tmp_path / "wrapper.py").touch()
    (tmp_path / "Readme.md").touch()
    assert pack.pack(tmp_path, tmp_path / "out.tgz").warnings == ("there is no requirements.txt",)


@pytest.mark.parametrize("output", ["nowhere/out.tgz", "file/out.tgz"])
def test_archive_that_cannot_be_written_is_named(project: Path, output: str) -> None:
    """The error has the path; nothing half done stays."""
    (project / "file").touch()
    before = files(project)
    with pytest.raises(UsageError, match="cannot pack"):
        pack.pack(project, project / output)
    assert files(project) == before


def test_missing_location_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(UsageError, match="no such folder"):
        pack.pack(tmp_path / "gone", tmp_path)


# ── the rest ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arguments", [["-v"], ["version"]])
def test_version_is_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Both of ASF's ways to ask for it."""
    assert aiges.main(arguments) == 0
    assert re.fullmatch(r"aiges \d\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["config", "set", "a", "b"], ["config", "get", "a"], ["config"]])
def test_config_says_where_settings_are(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What stored nothing says so, and where to look."""
    assert aiges.main(arguments) == 2
    assert "athena.toml" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command it says what there is."""
    assert aiges.main([]) == 0
    output = capsys.readouterr().out
    assert all(f"\n  {name} " in output for name in ("create", "pack", "config", "version"))


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong word is an error with the way to the list."""
    assert aiges.main(["serve"]) == 2
    assert "python -m aiges --help" in capsys.readouterr().err
