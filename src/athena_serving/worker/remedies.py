"""What to do about the errors that people meet first: a line of help beside the error's own words.

An error is known by its class, by its words, and by the line of the user's file that raised it; nothing is imported
for it, so the words of libraries that are not here are known as well.
"""

import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_PACKAGES: Final = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "paddle": "paddlepaddle",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What to install for a module, where its package has another name."""

_GONE: Final = {
    "asynchat": "use asyncio",
    "asyncore": "use asyncio",
    "audioop": "install audioop-lts",
    "cgi": "install legacy-cgi",
    "distutils": "install setuptools",
    "imghdr": "install filetype",
    "imp": "use importlib",
    "pipes": "use subprocess",
    "sndhdr": "install filetype",
    "telnetlib": "install telnetlib3",
}
"""Modules that Python 3.12 and 3.13 took out of the standard library (PEP 632, PEP 594)."""

_SAMPLE: Final = 'Response([ResponseData(key="...", data=b"...")])'
_JSON: Final = "data=json.dumps(value) makes text of it"
_PICTURE: Final = 'image.save(buffer, "PNG") into an io.BytesIO, and data=buffer.getvalue()'

_AS_DATA: Final = {
    **dict.fromkeys(("dict", "list", "tuple", "int", "float", "bool", "set"), _JSON),
    "NoneType": 'it was never set; data=b"" if it shall be empty',
    "ndarray": 'data=array.tobytes(), or for a picture cv2.imencode(".png", array)[1].tobytes()',
    "Tensor": "data=json.dumps(tensor.tolist()), or tensor.cpu().numpy().tobytes()",
    "BytesIO": "data=buffer.getvalue()",
    "Image": _PICTURE,
    "PngImageFile": _PICTURE,
    "JpegImageFile": _PICTURE,
}
"""How to make an output's data of an object, by the name of its class."""


_LONGEST: Final = 4096
"""Characters of an error's words that are looked at: they may hold what a caller sent, megabytes of it."""


class _Known(NamedTuple):
    """Words of an error, of this class or one below it, and the help for them."""

    kind: type[BaseException]
    words: re.Pattern[str]
    help: Callable[[re.Match[str]], str]


def remedy(error: BaseException, words: str, line: str = "") -> str:
    """Help for an error of user code's; empty if there is none better than its own words.

    `words` is what it says, its class included; `line` the source of the user's line that raised it. Never raises.
    """
    try:
        found = _find(error, words[:_LONGEST], line)
    except Exception:  # user code: its error may have any `filename`, and a key any `__repr__`
        return ""
    # As `load.words`: a file's name may come with lone surrogates in it.
    return found.encode(errors="backslashreplace").decode()


def _find(error: BaseException, words: str, line: str) -> str:
    for kind, find in _BY_CLASS.items():
        if isinstance(error, kind) and (said := find(error, words, line)):
            return said
    for known in _BY_WORDS:
        if isinstance(error, known.kind) and (match := known.words.search(words)):
            return known.help(match)
    return ""


def returned(answer: object, method: str) -> str:
    """Help for an answer that is no `Response`."""
    if answer is None:
        return f"one of the ways through {method} ends without `return`: return {_SAMPLE}"
    return f"return {_SAMPLE}; the keys are those of responseCls"


# ── by class ──────────────────────────────────────────────────────────────────────────────────────


def _missing_module(error: BaseException, _: str, __: str) -> str:
    name = getattr(error, "name", None)
    if not isinstance(name, str) or not name:
        return ""
    top = name.partition(".")[0]
    if top in _GONE:
        return f"Python {platform.python_version()} has no {top} any more: {_GONE[top]}"
    if top != name and (found := getattr(sys.modules.get(top), "__file__", None)):
        return f"{top} is {found}, which has no {name}: another version of it, or a file of yours with its name"
    return f"install what has the module {name!r}: {sys.executable} -m pip install {_PACKAGES.get(top, top)}"


def _missing_file(error: BaseException, _: str, __: str) -> str:
    name = _name_of(error)
    if not name:
        return ""
    place = Path(name)
    if place.is_absolute():
        return f"make sure that {name} exists on this machine, or in this container"
    beside = f"Path(__file__).parent / {place.name!r}"
    return f"it was looked for at {Path.cwd() / place}: put it there, or say where it is, as by {beside}"


def _forbidden_file(error: BaseException, _: str, __: str) -> str:
    name = _name_of(error)
    return f"`ls -l {Path.cwd() / name}` shows who may; the server is user id {os.geteuid()}" if name else ""


def _name_of(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else ""


def _bad_syntax(error: BaseException, words: str, _: str) -> str:
    version = f"Python {platform.python_version()}"
    if "unicode error" in words or "Non-UTF-8" in words:
        return "save the file as UTF-8"
    if "in call to 'print'" in words or "in call to 'exec'" in words:
        return f"that is Python 2, and this is {version}"
    if isinstance(error, IndentationError):
        return "indent it like its neighbours: four spaces a step, no tabs"
    return f"mend the line; {version} read it"


def _missing_key(error: BaseException, _: str, line: str) -> str:
    key = repr(error.args[0]) if error.args else "..."
    if "config[" in line:
        return f"config is [wrapper] of athena.toml: write {key} there, or config.get({key})"
    if "params[" in line:
        return f"params has what the caller sent: params.get({key}, ...), or required=True in its field"
    return ""


_BY_CLASS: Final[Mapping[type[BaseException], Callable[[BaseException, str, str], str]]] = {
    ModuleNotFoundError: _missing_module,
    FileNotFoundError: _missing_file,
    PermissionError: _forbidden_file,
    SyntaxError: _bad_syntax,
    KeyError: _missing_key,
    UnicodeDecodeError: lambda *_: 'open a text with its encoding="...", and what is no text with mode "rb"',
    SystemExit: lambda *_: "do not call sys.exit(): raise an error instead",
}


# ── by words ──────────────────────────────────────────────────────────────────────────────────────


def _no_card(_: re.Match[str]) -> str:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = "" if shown is None else f"; CUDA_VISIBLE_DEVICES is {shown!r} ([workers] devices sets it)"
    return f'nvidia-smi shows what there is, a container needs --gpus all; without a card: device="cpu"{seen}'


def _as_data(match: re.Match[str]) -> str:
    return _AS_DATA.get(match[1], f"make bytes or str of the {match[1]} first")


def _always(text: str) -> Callable[[re.Match[str]], str]:
    return lambda _: text


_CROWDED: Final = "every worker loads a model of its own: lower [workers] count or seats, or take a smaller model"

_BY_WORDS: Final = [
    _Known(kind, re.compile(words), help_text if callable(help_text) else _always(help_text))
    for kind, words, help_text in (
        (TypeError, r"data must be bytes, bytearray, memoryview or str, not (\w+)", _as_data),
        (TypeError, r"Response.list holds a \w+, not a ResponseData", f"{_SAMPLE}; the keys are those of responseCls"),
        (
            TypeError,
            r"'str' and '(?:int|float)'|'(?:int|float)' and 'str'|of type 'float'$|can only concatenate str",
            'params are strings: int(params["..."]), float(...)',
        ),
        (
            AttributeError,
            r"'NoneType' object has no attribute '(?:data|desc|len|status|type|get_data)'",
            "reqData.get(key) is None for what the caller did not send: ask first, and compare the key with requestCls",
        ),
        (
            ImportError,
            r"cannot import name .+ from .+",
            "is that file the package you mean, in the version you mean? A file of yours with its name hides it",
        ),
        (
            ImportError,
            r"libGL\.so|libgthread|libSM\.so",
            f"install opencv-python-headless for opencv-python: {sys.executable} -m pip install opencv-python-headless",
        ),
        (
            Exception,
            r"no NVIDIA driver|driver version is insufficient|no CUDA-capable device|CUDA_ERROR_NO_DEVICE|libcuda\.so",
            _no_card,
        ),
        (Exception, r"not compiled with CUDA", 'install the library\'s CUDA build, or device="cpu"'),
        (
            Exception,
            r"invalid device ordinal",
            'a worker sees its own card only, as "cuda:0"; [workers] devices says which that is',
        ),
        (
            Exception,
            r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY",
            f'{_CROWDED}; [workers] devices = ["0", "1"] gives each a card',
        ),
        (Exception, r"^MemoryError|[Cc]annot allocate memory|DefaultCPUAllocator|Unable to allocate", _CROWDED),
        (
            Exception,
            r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object",
            lambda match: f"install the system's package that has {match[1]}",
        ),
    )
]
