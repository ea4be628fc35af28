"""Names under which existing wrappers import things: all there, each the one object that it is in `athena_serving.sdk`.

The census of wrapper.md 1.1. What the objects do is taken apart in tests/sdk, and by `test_sdk_lines.py`.
"""

import importlib
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from athena_serving import sdk
from athena_serving.sdk import constants, data, inference, logs, stream

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 120.0  # seconds; mypy begins without a cache

NUMBERS: Final = [
    *("STRING", "AUDIO", "IMAGE", "VIDEO"),
    *("DataText", "DataAudio", "DataImage", "DataVideo"),
    *("DataBegin", "DataContinue", "DataEnd", "DataOnce"),
    *("Once", "Types", "Status", "THREAD_MODE", "PROCESS_MODE"),
]
DATA: Final = ["DataListCls", "DataListNode", "Response", "ResponseData", "SessionCreateResponse"]
FIELDS: Final = [
    *("StringBodyField", "JsonBodyField", "AudioBodyField", "ImageBodyField"),
    *("StringParamField", "NumberParamField", "IntegerParamField", "BooleanParamField"),
]
THREADS: Final = [
    *("SessionManager", "ThreadPool", "WorkerThread", "StreamHandleThread", "RequestPool", "ReqHandleThread"),
    *("Context", "ModelProcess", "WorkerProcess", "ProcessThreadPool"),
]
NAMES: Final = {
    "aiges": ["EXIT_SIG"],
    "aiges.callback": ["callback"],
    "aiges.concurrent.fixpool": ["FixedPool"],
    "aiges.core.types": NUMBERS,
    "aiges.dto": [*NUMBERS, *DATA, "callback"],
    "aiges.errors": ["OK", "INIT_ERROR", "USER_INIT_ERROR", "USER_EXEC_ERROR"],
    "aiges.sdk": [*NUMBERS, *DATA, *FIELDS, *THREADS, "WrapperBase", "json", "os", "queue", "sys"],
    "aiges.stream": [*NUMBERS, *THREADS],
    "aiges.types": NUMBERS,
    "aiges.utils.log": ["getFileLogger", "getLogger", "log"],
    "aiges.worker": ["InferClass", "Worker"],
    "aiges_embed": [*DATA, "callback", "callback_metric", "callback_trace"],
}
"""Every module that wrappers import names from, and the names that it has for them."""

SOURCES: Final = {
    **{name: getattr(sdk, name) for name in (*FIELDS, "WrapperBase")},
    **{name: getattr(constants, name) for name in (*NUMBERS, *NAMES["aiges.errors"], "EXIT_SIG")},
    **{name: getattr(data, name) for name in DATA},
    **{name: getattr(stream, name) for name in THREADS},
    **{name: getattr(inference, name) for name in ("FixedPool", "InferClass", "Worker")},
    **{name: getattr(sdk, name) for name in ("callback", "callback_metric", "callback_trace")},
    **{name: getattr(logs, name) for name in ("getFileLogger", "getLogger", "log")},
    **{name: importlib.import_module(name) for name in ("json", "os", "queue", "sys")},
}
"""What the names mean, wherever they are imported from."""


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Our interpreter with these arguments, in a process of its own."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.parametrize("module", NAMES)
def test_old_module_has_exactly_the_names_of_old(module: str) -> None:
    """`import *` gives what it gave, and each name is the same object everywhere."""
    loaded = importlib.import_module(module)
    assert sorted(loaded.__all__) == sorted(NAMES[module])
    for name in NAMES[module]:
        assert getattr(loaded, name) is SOURCES[name], name


LOADED: Final = """
import sys
before = set(sys.modules)
import {modules}
new = set(sys.modules) - before
roots = {{name.partition(".")[0] for name in new}}
foreign = roots - sys.stdlib_module_names - {{"athena_serving", "aiges", "aiges_embed"}}
ours = {{name for name in new if name.startswith("athena_serving.")}}
inside = {{name for name in ours if name.split(".")[1] not in ("sdk", "errors")}}
heavy = new & {{"typing", "inspect", "dataclasses", "pathlib", "asyncio", "socket", "logging.handlers", "tempfile"}}
print(sorted(foreign), sorted(inside), sorted(heavy))
"""


def test_old_names_load_nothing_but_the_sdk() -> None:
    """Nobody else's package, none of the server's rooms, none of the slow modules of the standard library."""
    assert ran("-c", LOADED.format(modules=", ".join(NAMES))).stdout == "[] [] []\n"


def test_old_names_load_in_no_time() -> None:
    """`import aiges.sdk` takes less than 100 ms.

    Measured from outside: the median of seven interpreters that import it, less the median of seven that import
    nothing, taken in turns so that whatever else the machine does hits both. About 30 ms on an idle core, where a bare
    interpreter takes 15; where that one takes more than 25, four times as much is allowed.
    """

    def took(script: str) -> float:
        began = time.perf_counter()
        assert ran("-c", script).returncode == 0
        return time.perf_counter() - began

    pairs = [(took("pass"), took("import aiges.sdk")) for _ in range(7)]
    bare, loaded = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert loaded - bare < max(0.1, 4 * bare)


@pytest.mark.parametrize("package", ["athena_serving", "aiges", "aiges_embed"])
def test_package_says_that_it_is_typed(package: str) -> None:
    """Type checkers look for this file."""
    assert (ROOT / "src" / package / "py.typed").is_file()


def test_every_name_is_known_to_type_checkers(tmp_path: Path) -> None:
    """`mypy --strict` finds each where wrappers import it from, in a project that is not ours."""
    uses = [f"{module}.{name}" for module, names in NAMES.items() for name in names]
    imports = [f"import {module}" for module in NAMES]
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text("\n".join([*imports, f"uses: list[object] = [{', '.join(uses)}]\n"]))
    options = ("--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache"))
    checked = ran("-m", "mypy", *options, str(wrapper))
    assert checked.stdout == "Success: no issues found in 1 source file\n", checked.stdout + checked.stderr


def test_page_names_everything() -> None:
    """docs/sdk.md tells of every module and of every name, public in the SDK or old."""
    said = set(re.findall(r"`([\w.]+)", (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")))
    public = {*sdk.__all__, *NAMES, *(name for names in NAMES.values() for name in names)}
    assert sorted(public - said) == []
