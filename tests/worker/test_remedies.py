"""Errors that people meet first have help that goes on where their own words end."""

import errno
import platform
import sys
from pathlib import Path

import pytest

from athena_serving.sdk.data import Response, to_bytes
from athena_serving.wire.messages import Status
from athena_serving.worker import load, outputs, remedies


def remedy(error: BaseException, line: str = "") -> str:
    """What is said to an error."""
    return remedies.remedy(error, load.words(error), line)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("Found no NVIDIA driver on your system. Please check"), 'device="cpu"'),
        (RuntimeError("The NVIDIA driver on your system is too old"), ""),
        (OSError("libcuda.so.1: cannot open shared object file: No such file"), "--gpus all"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "[workers] devices"),
        (AssertionError("Torch not compiled with CUDA enabled"), "CUDA build"),
        (RuntimeError("CUDA error: invalid device ordinal"), '"cuda:0"'),
        (MemoryError(), "[workers] count"),
        (ImportError("libGL.so.1: cannot open shared object file"), "opencv-python-headless"),
        (ImportError("libsndfile.so.1: cannot open shared object file"), "package that has libsndfile.so.1"),
        (ImportError("cannot import name 'x' from 'torch' (/home/me/torch.py)"), "hides it"),
        (AttributeError("'NoneType' object has no attribute 'data'"), "reqData.get(key)"),
        (AttributeError("'NoneType' object has no attribute 'shape'"), ""),
        (TypeError("'<' not supported between instances of 'str' and 'int'"), "params are strings"),
        (TypeError('can only concatenate str (not "int") to str'), "params are strings"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "encoding"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/models/big.bin"), "/models/big.bin exists"),
        (FileNotFoundError("said without a name"), ""),
        (PermissionError(errno.EACCES, "Permission denied", "/models/big.bin"), "ls -l /models/big.bin"),
        (TabError("inconsistent use of tabs"), "four spaces"),
        (SyntaxError("Missing parentheses in call to 'print'. Did you mean print(...)?"), "Python 2"),
        (SyntaxError("(unicode error) 'utf-8' codec can't decode byte 0xb5"), "save the file as UTF-8"),
        (ValueError("no such model"), ""),
    ],
)
def test_words_of_an_error_have_their_remedy(error: BaseException, expected: str) -> None:
    """Also those of libraries that are not here; what is not known gets none rather than a wrong one."""
    said = remedy(error)
    assert (expected in said) if expected else not said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cv2", f"{sys.executable} -m pip install opencv-python-headless"),
        ("sklearn.svm", f"{sys.executable} -m pip install scikit-learn"),
        ("distutils.core", f"Python {platform.python_version()} has no distutils any more: install setuptools"),
        ("pytest.models", f"pytest is {pytest.__file__}, which has no pytest.models"),
    ],
)
def test_missing_module_is_named_as_it_is_installed(name: str, expected: str) -> None:
    """A package may have another name, a module may be gone, or hidden by a file of one's own."""
    assert expected in remedy(ModuleNotFoundError(f"No module named {name!r}", name=name))


def test_relative_path_is_said_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file was looked for, which nobody guesses."""
    monkeypatch.chdir(tmp_path)
    error = FileNotFoundError(errno.ENOENT, "No such file", "weights/model.bin")
    assert remedy(error).startswith(f"it was looked for at {tmp_path / 'weights/model.bin'}: ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [('config["model"]', "[wrapper] of athena.toml"), ('int(params["model"])', "params.get('model'"), ("table[x]", "")],
)
def test_missing_key_is_known_by_its_line(line: str, expected: str) -> None:
    """What the author took it from says where it should have come from."""
    said = remedy(KeyError("model"), line)
    assert (expected in said) if expected else not said


class Unprintable:
    """A key that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyError(Unprintable()), ""),
        (ValueError("lib" * 1_000_000), ""),
        (FileNotFoundError(errno.ENOENT, "No such file", "/models/\udcff.bin"), "/models/\\udcff.bin"),
    ],
)
def test_no_error_is_too_strange(error: BaseException, expected: str) -> None:
    """What user code made of its error, or a caller put into it, neither raises nor takes long, and can be sent on."""
    said = remedies.remedy(error, "KeyError" if isinstance(error, KeyError) else load.words(error), "params[key]")
    assert expected in said
    said.encode()


class Image:
    """Called as a picture of PIL is."""


class Unknown:
    """Nothing that has a usual form."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [({}, "json.dumps"), (None, "never set"), (Image(), "io.BytesIO"), (Unknown(), "make bytes or str of the Unknown")],
)
def test_object_in_the_place_of_data_has_its_way_to_bytes(value: object, expected: str) -> None:
    """By the class that our own words name."""
    with pytest.raises(TypeError) as caught:
        to_bytes(value)
    assert expected in remedy(caught.value)


def test_item_that_is_no_output_has_its_remedy() -> None:
    """By our own words as well."""
    with pytest.raises(TypeError) as caught:
        outputs.piece(b"x", Status.ONCE)
    assert remedy(caught.value).startswith("Response([ResponseData(")


def test_forgotten_return_is_told_from_a_wrong_one() -> None:
    """None comes from a way through the method that ends without `return`."""
    assert "without `return`" in remedies.returned(None, "wrapperOnceExec")
    assert remedies.returned(Response(), "wrapperOnceExec").startswith("return Response([ResponseData(")


def test_card_that_was_hidden_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable by which a worker gets its card may be why it sees none."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "CUDA_VISIBLE_DEVICES is '7'" in remedy(RuntimeError("no CUDA-capable device is detected"))
