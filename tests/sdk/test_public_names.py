"""What a wrapper author imports."""

import subprocess
import sys

import pytest

from athena_serving import sdk
from athena_serving.sdk import DataListCls, WrapperBase


@pytest.mark.parametrize("name", sdk.__all__)
def test_public_name_is_there(name: str) -> None:
    """Every name of `__all__` can be imported."""
    assert hasattr(sdk, name)


def test_importing_the_sdk_loads_no_third_party_module() -> None:
    """`python wrapper.py` starts at once: the standard library and nothing else."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "import athena_serving.sdk, athena_serving.sdk.document\n"
        "roots = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(roots - sys.stdlib_module_names - {'athena_serving'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_wrapper_base_takes_both_ways_of_being_constructed() -> None:
    """ASF's plug-in server passes three keywords, its bridge nothing."""
    assert WrapperBase().legacy
    assert not WrapperBase(legacy=False, is_aipaas=True, keep_schema_default_value=True).legacy


def test_wrapper_base_has_harmless_defaults() -> None:
    """A wrapper need only write what it is about."""
    base = WrapperBase()
    assert (base.wrapperInit({}), base.wrapperFini(), base.wrapperError(7)) == (0, 0, "")
    assert base.wrapperError(100) == "user error defined here"


def test_missing_exec_is_named() -> None:
    """The error says what to write."""

    class Wrapper(WrapperBase):
        pass

    with pytest.raises(NotImplementedError, match="Wrapper has no wrapperOnceExec"):
        Wrapper().wrapperOnceExec({}, DataListCls())
