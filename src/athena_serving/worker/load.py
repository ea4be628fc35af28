"""Loads a user's file and finds the wrapper in it; what is wrong with it is said with the place and a remedy."""

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType

from athena_serving.errors import UsageError, WrapperNotLoadable
from athena_serving.sdk import WrapperBase


def load(path: Path) -> type:
    """The class `Wrapper` of a file, which is imported as if from its own folder. Raises `WrapperNotLoadable`."""
    module = _run(path)
    found = getattr(module, "Wrapper", None)
    if inspect.isclass(found):
        if getattr(found, "wrapperOnceExec", None) in (None, WrapperBase.wrapperOnceExec):
            raise WrapperNotLoadable(
                f"class Wrapper in {path.name} has no wrapperOnceExec",
                where=str(path),
                help="def wrapperOnceExec(self, params, reqData): return Response(...)",
            )
        return found
    if found is not None:
        raise WrapperNotLoadable(
            f"Wrapper in {path.name} is a {type(found).__name__}, not a class",
            where=str(path),
            help="class Wrapper(WrapperBase): ...",
        )
    own = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__]
    like = next((kind.__name__ for kind in own if "wrap" in kind.__name__.lower()), None)
    help_text = f"rename class {like} to Wrapper" if like else "class Wrapper(WrapperBase): ..."
    raise WrapperNotLoadable(f"no class Wrapper in {path.name}", where=str(path), help=help_text)


def construct(kind: type, path: Path) -> object:
    """An instance, made in either of ASF's ways (wrapper.md 1.6). Raises `WrapperNotLoadable`."""
    try:
        try:
            inspect.signature(kind).bind(legacy=False, is_aipaas=True, keep_schema_default_value=True)
        except (TypeError, ValueError):
            return kind()
        return kind(legacy=False, is_aipaas=True, keep_schema_default_value=True)
    except BaseException as error:  # user code: it may even call sys.exit
        raise explained(error, path, "Wrapper() raised") from error


def _run(path: Path) -> ModuleType:
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise WrapperNotLoadable(
            f"{path.name} is not a Python file", where=str(path), help="give a file that ends in .py"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # user code: a module may even call sys.exit
        raise explained(error, path, f"{path.name} cannot be imported") from error
    return module


def explained(error: BaseException, path: Path, what: str) -> WrapperNotLoadable:
    """A user's error with the line in the user's file that it came from."""
    if isinstance(error, UsageError):
        return WrapperNotLoadable(error.message, where=error.where or str(path), help=error.help)
    where = str(path)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    else:
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        if own:
            where = f"{path}:{own[-1].lineno}  {own[-1].line}"
    return WrapperNotLoadable(f"{what}: {words(error)}", where=where, help=_remedy(error))


def words(error: BaseException) -> str:
    """`ValueError: no such model`. Never raises, whatever user code made of its error's `__str__`."""
    try:
        said = str(error)
    except Exception:  # user code
        said = ""
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    # A file's name may come with lone surrogates in it (PEP 383), which no message between processes can carry.
    return text.encode(errors="backslashreplace").decode()


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install the package that has the module {error.name!r} into {sys.prefix}"
    if isinstance(error, SyntaxError):
        return "mend the line; `python -m py_compile` shows the same"
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"make sure that {error.filename} exists; paths are best made from Path(__file__).parent"
    if isinstance(error, SystemExit):
        return "do not call sys.exit() while the wrapper is loaded"
    return "the line above raised it; try `python` on the file"
