"""Loading a wrapper: what is wrong with it is said with the place and a remedy."""

import platform
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from athena_serving.errors import UsageError, WrapperNotLoadable
from athena_serving.worker import load

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """Write `wrapper.py`, or a file of another name; the interpreter forgets it afterwards."""
    modules, path = set(sys.modules), list(sys.path)

    def write(source: str, name: str = "wrapper.py") -> Path:
        file = tmp_path / name
        file.write_text(textwrap.dedent(source))
        return file

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def failure(path: Path) -> WrapperNotLoadable:
    """Why a file cannot be loaded."""
    with pytest.raises(WrapperNotLoadable) as caught:
        load.load(path)
    assert caught.value.exit_code == 3
    return caught.value


def test_class_is_found(written: Written) -> None:
    """`Wrapper`, also where it is imported from a neighbour, or extends nothing of ours."""
    written("class Wrapper:\n    def wrapperOnceExec(self, params, reqData): ...", "neighbour.py")
    assert load.load(written("from neighbour import Wrapper")).__name__ == "Wrapper"


@pytest.mark.parametrize(
    "source",
    ["class Wrapper: pass", "from athena_serving.sdk import WrapperBase\nclass Wrapper(WrapperBase): pass"],
)
def test_class_that_answers_nothing_is_refused(written: Written, source: str) -> None:
    """Without a `wrapperOnceExec` of its own every call would fail: better said before the first."""
    error = failure(written(source))
    assert error.message == "class Wrapper in wrapper.py has no wrapperOnceExec"
    assert "def wrapperOnceExec(self, params, reqData)" in error.help


def test_method_whose_name_is_almost_right_is_named(written: Written) -> None:
    """The one without which nothing works ends the load; the slip is the remedy."""
    error = failure(written("class Wrapper:\n    def wrapperOnceExce(self, params, reqData): ..."))
    assert error.help == "rename wrapperOnceExce to wrapperOnceExec"


def test_method_that_nobody_calls_is_warned_of(written: Written, caplog: pytest.LogCaptureFixture) -> None:
    """Where it is not needed, a name almost right; not one that the author has besides the right one, or inherits."""
    load.load(
        written(
            """
            from athena_serving.sdk import WrapperBase
            class Wrapper(WrapperBase):
                def wrapperinit(self, config): ...
                def wrapperOnceExec(self, params, reqData): ...
                def wrapperOnceExecs(self, params, reqData): ...
            """
        )
    )
    (record,) = caplog.records
    said = "class Wrapper in wrapper.py has wrapperinit, which nobody calls: did you mean wrapperInit?"
    assert record.getMessage() == said


def test_class_for_streams_is_found(written: Written) -> None:
    """One that has no `wrapperOnceExec` but begins sessions of its own."""
    kind = load.load(
        written(
            """
            from athena_serving.sdk import WrapperBase
            class Wrapper(WrapperBase):
                def wrapperCreate(self, params, sid): ...
            """
        )
    )
    assert load.method_of(kind, "wrapperCreate") is not None
    assert load.method_of(kind, "wrapperOnceExec") is None


def test_functions_of_a_module_are_methods(written: Written) -> None:
    """ASF's first style, with what the module says of its service; not what it happens to import under such a name."""
    path = written(
        """
        import json as config
        serviceId = "songs"
        version = 2
        def wrapperInit(config): return config
        def wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt): return 0
        def wrapperDestory(handle): return handle
        def wrapperOwn(): ...
        """
    )
    kind = load.load(path)
    assert issubclass(kind, load.Functions)
    wrapper = load.construct(kind, path)
    init, destroy = load.method_of(wrapper, "wrapperInit"), load.method_of(wrapper, "wrapperDestroy")
    assert init is not None
    assert destroy is not None
    assert (init({"a": "b"}), destroy("handle")) == ({"a": "b"}, "handle")
    assert vars(kind).keys() & {"serviceId", "version", "config", "wrapperOwn"} == {"serviceId"}


def test_class_wins_over_functions(written: Written) -> None:
    """A module may have both; the class is the later style."""
    source = "def wrapperOnceExec(params, reqData): ...\nclass Wrapper:\n    wrapperOnceExec = wrapperOnceExec"
    assert not issubclass(load.load(written(source)), load.Functions)


def test_functions_that_answer_nothing_are_refused(written: Written) -> None:
    """As a class would be, with the way to write it."""
    error = failure(written("def wrapperInit(config): return 0"))
    assert error.message == "wrapper.py has no wrapperOnceExec"
    assert error.help.startswith("def wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt)")


@pytest.mark.parametrize(
    ("source", "help_text"),
    [
        ("x = 1", "class Wrapper(WrapperBase): ..."),
        ("class MyWrapper: pass", "rename class MyWrapper to Wrapper"),
        ("class wrapper: pass", "rename class wrapper to Wrapper"),
        ("from athena_serving.sdk import WrapperBase", "class Wrapper(WrapperBase): ..."),
    ],
)
def test_missing_class_is_said_with_what_is_near(written: Written, source: str, help_text: str) -> None:
    """A class of the file's own whose name is almost right; not one that it imported."""
    path = written(source)
    error = failure(path)
    assert (error.message, error.where, error.help) == ("no class Wrapper in wrapper.py", str(path), help_text)


def test_wrapper_that_is_no_class_is_said(written: Written) -> None:
    """An instance, say."""
    error = failure(written("class _W: pass\nWrapper = _W()"))
    assert error.message == "Wrapper in wrapper.py is a _W, not a class"


def test_syntax_error_is_said_with_its_line(written: Written) -> None:
    """The file and the line where Python stopped."""
    path = written("x = 1\nclass Wrapper\n    pass\n")
    error = failure(path)
    assert error.message.startswith("wrapper.py cannot be imported: SyntaxError: expected ':'")
    assert (error.where, error.help) == (f"{path}:2", f"mend the line; Python {platform.python_version()} read it")


def test_syntax_error_of_a_neighbour_is_said_with_its_file(written: Written) -> None:
    """It is not the wrapper's line that must be mended."""
    other = written("def f(:\n", "broken_neighbour.py")
    assert failure(written("import broken_neighbour")).where == f"{other}:1"


def test_import_error_is_said_with_line_and_remedy(written: Written) -> None:
    """Which line wanted which module, and what to install where."""
    path = written("import os\n\nimport no_such_module_at_all\n")
    error = failure(path)
    assert "ModuleNotFoundError: No module named 'no_such_module_at_all'" in error.message
    assert error.where == f"{path}:3  import no_such_module_at_all"
    install = f"{sys.executable} -m pip install no_such_module_at_all"
    assert error.help == f"install what has the module 'no_such_module_at_all': {install}"


def test_import_error_inside_a_neighbour_has_the_wrappers_line(written: Written) -> None:
    """The innermost line of the user's own file, through which the rest came."""
    written("import no_such_module_at_all", "imports_nothing.py")
    path = written("x = 1\nimport imports_nothing\n")
    assert failure(path).where == f"{path}:2  import imports_nothing"


def test_missing_file_is_said_with_a_remedy(written: Written) -> None:
    """Paths from the current folder are the commonest mistake of all."""
    error = failure(written("open('weights-that-are-not-there.bin')"))
    name = "weights-that-are-not-there.bin"
    beside = f"Path(__file__).parent / '{name}'"
    assert error.help == f"it was looked for at {Path.cwd() / name}: put it there, or say where it is, as by {beside}"


@pytest.mark.parametrize("call", ["sys.exit(4)", "sys.exit()", "raise SystemExit('no')"])
def test_exit_while_importing_is_said(written: Written, call: str) -> None:
    """It ends the loading, not our process without a word."""
    path = written(f"import sys\n{call}\n")
    error = failure(path)
    assert error.message.startswith("wrapper.py cannot be imported: SystemExit")
    assert error.where.startswith(f"{path}:2")
    assert error.help == "do not call sys.exit(): raise an error instead"


def test_any_other_error_is_said_with_its_line(written: Written) -> None:
    """Also one whose text cannot be written."""
    path = written(
        """
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError
        raise Mute
        """
    )
    error = failure(path)
    assert error.message == "wrapper.py cannot be imported: Mute"
    assert error.where == f"{path}:5  raise Mute"


def test_our_own_words_are_kept(written: Written) -> None:
    """A field that is used wrongly says itself where and how."""
    path = written("from athena_serving.errors import UsageError\nraise UsageError('bad field', help='mend it')")
    error = failure(path)
    assert (error.message, error.where, error.help) == ("bad field", str(path), "mend it")
    placed = written(
        "from athena_serving.errors import UsageError\nraise UsageError('bad', where='class A')", "other.py"
    )
    assert failure(placed).where == f"{placed}: class A"


def test_file_that_is_no_python_is_said(written: Written) -> None:
    """By its name."""
    error = failure(written("class Wrapper: pass", "wrapper.txt"))
    assert error.message == "wrapper.txt is not a Python file"


# ── instances (wrapper.md 1.6) ────────────────────────────────────────────────────────────────────


class Plain:
    """Takes nothing."""


class Keywords:
    """Takes ASF's three."""

    def __init__(self, legacy: bool = True, is_aipaas: bool = False, keep_schema_default_value: bool = False) -> None:
        self.got = (legacy, is_aipaas, keep_schema_default_value)


class Whatever:
    """Takes everything, as most do."""

    def __init__(self, *_: object, **kwargs: object) -> None:
        self.got = tuple(kwargs)


def test_instances_are_made_in_either_way() -> None:
    """By keyword where the class takes them, else without."""
    path = Path("wrapper.py")
    assert isinstance(load.construct(Plain, path), Plain)
    keywords, whatever = load.construct(Keywords, path), load.construct(Whatever, path)
    assert isinstance(keywords, Keywords)
    assert isinstance(whatever, Whatever)
    assert keywords.got == (False, True, True)
    assert whatever.got == ("legacy", "is_aipaas", "keep_schema_default_value")


@pytest.mark.parametrize("raised", ["TypeError('its own')", "SystemExit(1)"])
def test_constructor_that_raises_is_said_and_run_once(written: Written, raised: str) -> None:
    """A TypeError of its own is not taken for a wrong way of calling it."""
    path = written(
        f"""
        made = []
        class Wrapper:
            def __init__(self, **kwargs):
                made.append(self)
                raise {raised}

            def wrapperOnceExec(self, params, reqData): ...
        """
    )
    kind = load.load(path)
    with pytest.raises(UsageError) as caught:
        load.construct(kind, path)
    assert caught.value.message.startswith(f"Wrapper() raised: {raised.partition('(')[0]}")
    assert caught.value.where.startswith(f"{path}:6")
    assert len(sys.modules["wrapper"].made) == 1
