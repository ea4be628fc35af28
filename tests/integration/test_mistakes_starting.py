"""Mistakes before the first call, made for real: what a person reads names the thing, the place and the remedy."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration import mistakes
from tests.serving import Server, eventually

END = 15.0  # seconds; a busy machine included

HEAD = """
import os
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "ocr"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        return Response([ResponseData(key="result", data=b"x")])
"""
"""A wrapper without a mistake, and without `wrapperInit`."""


INIT = """
    def wrapperError(self, code):
        return "no licence" if code == 100 else ""

    def wrapperInit(self, config):
"""
FIRST = f"/ocr/wrapper.py:{(HEAD + INIT).count(chr(10)) + 1}"
"""Where the first line of `wrapperInit` is."""


def initialised(*lines: str) -> str:
    """The wrapper with a `wrapperInit` of these lines."""
    return HEAD + INIT + "".join(f"        {line}\n" for line in lines)


class Mistake(NamedTuple):
    """One mistake in a folder with a wrapper, and the place that must be named."""

    name: str
    """As docs/mistakes.md has it."""
    files: Mapping[str, str | bytes]
    place: str
    """Stands in what was said."""
    flags: tuple[str, ...] = ()
    serves: str = ""
    """What is served, in the folder."""


ENDING = [
    Mistake("no class `Wrapper`", {"wrapper.py": "model = 1\n"}, "/ocr/wrapper.py"),
    Mistake("the class misspelt", {"wrapper.py": HEAD.replace("class Wrapper(", "class Wraper(")}, "/ocr/wrapper.py"),
    Mistake("a method misspelt", {"wrapper.py": HEAD.replace("OnceExec", "OnceExce")}, "/ocr/wrapper.py"),
    Mistake(
        "a package that is not installed", {"wrapper.py": f"import no_such_package\n{HEAD}"}, "wrapper.py:1  import"
    ),
    Mistake("a slip of the keyboard", {"wrapper.py": HEAD.replace("):", ")", 1)}, "/ocr/wrapper.py:14"),
    Mistake(
        "code for Python 2", {"wrapper.py": f'{HEAD}\nprint "ready"\n'}, f"/ocr/wrapper.py:{HEAD.count(chr(10)) + 2}"
    ),
    Mistake(
        "a file that is not UTF-8", {"wrapper.py": f"{HEAD}\nUNIT = 'Größe'\n".encode("latin-1")}, "/ocr/wrapper.py"
    ),
    Mistake(
        "an id that is no name", {"wrapper.py": HEAD.replace('"ocr"', '"my ocr"')}, "/ocr/wrapper.py: class Wrapper"
    ),
    Mistake("an id that is the server's own", {"wrapper.py": HEAD.replace('"ocr"', '"metrics"')}, "/ocr/wrapper.py"),
    Mistake("the file called otherwise", {"model.py": HEAD}, "/ocr"),
    Mistake("a folder without a wrapper", {"readme.txt": "x"}, "/ocr"),
    Mistake("a path that leads nowhere", {"wrapper.py": HEAD}, "/ocr/wraper.py", serves="wraper.py"),
    Mistake("a file of another kind", {"model.onnx": "x"}, "/ocr/model.onnx", serves="model.onnx"),
    Mistake("a flag's value of the wrong kind", {"wrapper.py": HEAD}, "flag --workers", ("--workers", "two")),
    Mistake(
        "a setting misspelt",
        {"wrapper.py": HEAD, "athena.toml": "[workers]\ncuont = 2\n"},
        "/ocr/athena.toml",
    ),
    Mistake(
        "a setting in the wrong file",
        {"wrapper.py": HEAD, "athena.toml": "[server]\nport = 8000\n"},
        "/ocr/athena.toml",
    ),
]
"""Those that end `athena serve`."""

WAITING = [
    Mistake(
        "the model's file is not there",
        {"wrapper.py": initialised('self.model = open("weights/model.bin")')},
        f'{FIRST}  self.model = open("weights/model.bin")',
    ),
    Mistake(
        "the model's file may not be read",
        {
            # Root may read everything, so it is somebody else while it tries.
            "wrapper.py": initialised(
                "try: os.geteuid() or os.seteuid(65534); open('model.bin')", "finally: os.getuid() or os.seteuid(0)"
            ),
            "model.bin": b"",
        },
        f"{FIRST}  try: os.geteuid()",
    ),
    Mistake(
        "no CUDA",
        {"wrapper.py": initialised("raise RuntimeError('Found no NVIDIA driver on your system.')")},
        FIRST,
    ),
    Mistake(
        "too little memory on the card",
        {"wrapper.py": initialised("raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')")},
        FIRST,
    ),
    Mistake("`wrapperInit` raises", {"wrapper.py": initialised("raise ValueError('no such model')")}, FIRST),
    Mistake(
        "`wrapperInit` returns another number than 0", {"wrapper.py": initialised("return 100")}, "/ocr/wrapper.py"
    ),
    Mistake("a key that [wrapper] has not", {"wrapper.py": initialised("config['model']")}, FIRST),
]
"""Those that the server says, tries again, and lives with."""


def made(folder: Path, mistake: Mistake) -> Path:
    """Write the files of a mistake; what is to be served."""
    place = folder / "ocr"
    place.mkdir()
    for name, content in mistake.files.items():
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if name == "model.bin":
            (place / name).chmod(0)
    return place / mistake.serves


def ended(folder: Path, sources: str | Path | list[str], *flags: str) -> str:
    """What a person reads of an `athena serve` that cannot start; it ends, and without a traceback."""
    with Server(folder, sources, "--log", "human", *flags, ready=False) as server:
        assert server.wait(END) in (2, 3)
        said = server.log_text()
    assert "Traceback" not in said
    assert "\nerror: " in f"\n{said}"
    return said


def name_of(mistake: Mistake) -> str:
    """For pytest."""
    return mistake.name


@pytest.mark.parametrize("mistake", ENDING, ids=name_of)
def test_mistake_that_ends_the_start_is_told(tmp_path: Path, mistake: Mistake) -> None:
    """The command ends with the thing, the place and the remedy, in the words that the page has."""
    said = ended(tmp_path, made(tmp_path, mistake), *mistake.flags)
    assert mistake.place in said
    mistakes.assert_told(mistake.name, said)


@pytest.mark.parametrize("mistake", WAITING, ids=name_of)
def test_mistake_in_init_is_told(tmp_path: Path, mistake: Mistake) -> None:
    """The log has the thing, the place and the remedy; the server waits and tries again."""
    with Server(tmp_path, made(tmp_path, mistake), "--log", "human", ready=False) as server:
        eventually(lambda: "\n  help: " in server.log_text(), timeout=END, what="the help")
        said = server.log_text()
    assert f"  where: {tmp_path}{mistake.place}" in said
    mistakes.assert_told(mistake.name, said)


def test_port_in_use_is_told(tmp_path: Path) -> None:
    """Who has it, the setting, and another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = ended(tmp_path, HEAD, "--port", str(port))
    assert f"server.port = {port}" in said
    mistakes.assert_told("a port in use", said)


def test_two_services_with_one_id_are_told(tmp_path: Path) -> None:
    """Both files, and where a name is said."""
    said = ended(tmp_path, [HEAD, HEAD])
    assert all(str(tmp_path / place / "wrapper.py") in said for place in ("service-0", "service-1"))
    mistakes.assert_told("two services with one id", said)


def test_method_that_nobody_calls_is_told(tmp_path: Path) -> None:
    """A service works without it, so it is a warning with the right name."""
    source = initialised("return 1").replace("wrapperInit", "wrapperinit")
    with Server(tmp_path, source, "--log", "human") as server:
        assert server.call("ocr", "x")[0] == 200
        mistakes.assert_told("a method that nobody calls", server.log_text())
