"""What a wrapper author imports."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from athena_serving import sdk
from athena_serving.sdk import WrapperBase

PAGE: Final = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
OLD: Final = (
    *("aiges", "aiges.sdk", "aiges.dto", "aiges.core.types", "aiges.types", "aiges.stream", "aiges.worker"),
    *("aiges.concurrent.fixpool", "aiges.callback", "aiges.utils.log", "aiges.errors", "aiges_embed"),
)


@pytest.mark.parametrize("name", sdk.__all__)
def test_public_name_is_there(name: str) -> None:
    """Every name of `__all__` can be imported, and the page says what it is for."""
    assert hasattr(sdk, name)
    assert f"`{name}`" in PAGE


def test_callback_is_the_function_though_a_module_has_its_name() -> None:
    """Whoever imports first; the engine's side of it stays within reach."""
    script = (
        "from athena_serving.sdk.callback import sessions\n"
        "from athena_serving.sdk import callback, callback_metric, callback_trace, Response\n"
        "print(callback(Response().response_err(5), 'nobody'))\n"
        "print(callback_metric('t', 'k', 1), callback_trace('t', 'k', 'v'))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["-1", "0", "0"]


@pytest.mark.parametrize("module", OLD)
def test_old_module_has_what_it_says(module: str) -> None:
    """Every name of its `__all__`, all of them ours or the standard library's; the page has the module."""
    found = importlib.import_module(module)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []
    assert f"`{module}`" in PAGE


@pytest.mark.parametrize("module", ["callback", "stream", "inference", "logs"])
def test_page_has_every_name_of_a_module(module: str) -> None:
    """Those that old modules hand on."""
    home = f"athena_serving.sdk.{module}"
    handed = {
        name
        for old in map(importlib.import_module, OLD)
        for name in old.__all__
        if getattr(getattr(old, name), "__module__", "") == home
    }
    assert handed
    assert {name for name in handed if f"`{name}" not in PAGE} == set()


def test_importing_the_sdk_loads_no_third_party_module() -> None:
    """`python wrapper.py` starts at once: the standard library and nothing else."""
    script = (
        "import importlib, pkgutil, sys; before = set(sys.modules)\n"
        "import athena_serving.sdk as sdk\n"
        "for found in pkgutil.iter_modules(sdk.__path__): importlib.import_module(f'athena_serving.sdk.{found.name}')\n"
        "roots = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(roots - sys.stdlib_module_names - {'athena_serving'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_wrapper_base_takes_both_ways_of_being_constructed() -> None:
    """ASF's plug-in server passes three keywords, its bridge nothing."""
    assert WrapperBase().legacy
    assert not WrapperBase(legacy=False, is_aipaas=True, keep_schema_default_value=True).legacy
