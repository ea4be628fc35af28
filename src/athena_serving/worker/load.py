"""Loads a user's file and finds the wrapper in it; what is wrong with it is said with the place and a remedy."""

import difflib
import importlib.util
import inspect
import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Final, cast

from athena_serving.errors import UsageError, WrapperNotLoadable
from athena_serving.sdk import WrapperBase, document
from athena_serving.sdk.document import Node
from athena_serving.worker import remedies, schemafile

log = logging.getLogger(__name__)

_METHODS: Final = (
    *("Init", "Fini", "OnceExec", "Create", "Write", "Read", "Destroy", "LoadRes", "UnloadRes", "Error"),
    *("OnceExecAsync", "Stream", "BatchExec"),
)
"""What a wrapper may have, after `wrapper` (wrapper.md 2.1)."""

_ANSWERING: Final = (
    *("wrapperOnceExec", "wrapperCreate", "wrapperWrite"),
    *("wrapperOnceExecAsync", "wrapperStream", "wrapperBatchExec"),
)
"""Without one of its own, a wrapper can answer nobody."""

_ALIKE: Final = 0.87
"""How near a name must be to be taken for a slip: `wrapperOnceExce` is, `wrapperOnceExecBatch` may be meant so."""

_MISSPELT: Final = {"wrapperDestroy": "wrapperDestory"}
"""ASF's bridge looks the other up as well (wrapper.md 2.4)."""


class Functions:
    """A module in ASF's first style: its functions, as methods of a subclass that `load` makes (wrapper.md 2.4)."""


def load(path: Path) -> type:
    """The class `Wrapper` of a file, which is imported as if from its own folder.

    A file without one, but with module-level functions, gives a subclass of `Functions` (wrapper.md 2.1, "which
    style"). Raises `WrapperNotLoadable`.
    """
    module = _run(path)
    found = getattr(module, "Wrapper", None)
    if inspect.isclass(found):
        help_text = "def wrapperOnceExec(self, params, reqData): return Response(...)"
        return _answering(found, f"class Wrapper in {path.name}", path, help_text)
    if (functions := _functions(module)) is not None:
        help_text = "def wrapperOnceExec(usrTag, params, reqData, respData, psrIds, psrCnt): return 0"
        return _answering(functions, path.name, path, help_text)
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


def method_of(holder: object, name: str) -> Callable[..., object] | None:
    """A method that the wrapper's author wrote; None where there is none, or only what `WrapperBase` has.

    `holder` is the class, or an instance.
    """
    found = getattr(holder, name, None)
    if callable(found) and getattr(found, "__func__", found) is not getattr(WrapperBase, name, None):
        return cast("Callable[..., object]", found)
    other = _MISSPELT.get(name)
    return None if other is None else method_of(holder, other)


def method_or_default(wrapper: object, name: str) -> Callable[..., object]:
    """A method of an instance, or what `WrapperBase` does where the author wrote none (wrapper.md 2.3)."""
    return method_of(wrapper, name) or cast("Callable[..., object]", getattr(WrapperBase(), name))


def _answering(kind: type, what: str, path: Path, help_text: str) -> type:
    slips = _slips(kind)
    if all(method_of(kind, name) is None for name in _ANSWERING):
        # Whoever has none of the three most likely meant to have the first.
        like = slips.get("wrapperOnceExec")
        help_text = f"rename {like} to wrapperOnceExec" if like else help_text
        raise WrapperNotLoadable(f"{what} has no wrapperOnceExec", where=str(path), help=help_text)
    for wanted, like in slips.items():
        log.warning("%s has %s, which nobody calls: did you mean %s?", what, like, wanted)
    return kind


def _slips(kind: type) -> dict[str, str]:
    """Functions of the author's own whose names are almost those of methods that are not there, by these."""
    names = [f"wrapper{verb}" for verb in _METHODS]
    known = {name.lower(): name for name in names}
    own = [name for name in dir(kind) if name not in {*names, *dir(WrapperBase), *_MISSPELT.values()}]
    slips: dict[str, str] = {}
    for name in own:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=_ALIKE)
        if near and callable(inspect.getattr_static(kind, name)) and method_of(kind, known[near[0]]) is None:
            slips[known[near[0]]] = name
    return slips


def _functions(module: ModuleType) -> type[Functions] | None:
    """A module's functions, and what it says of its service, as a class; None if it has no such functions."""
    members = vars(module)
    names = {*(f"wrapper{verb}" for verb in _METHODS), *_MISSPELT.values()} & members.keys()
    functions = {name: staticmethod(members[name]) for name in names if callable(members[name])}
    if not functions:
        return None
    said = {name: members[name] for name in ("serviceId", "version") if isinstance(members.get(name), str)}
    said |= {name: members[name] for name in ("requestCls", "responseCls") if name in members}
    if isinstance(members.get("config"), Mapping):  # the name is as often that of a module
        said["config"] = members["config"]
    return type("Wrapper", (Functions,), {**said, **functions, "__module__": module.__name__})


def faces(kind: type) -> tuple[str, ...]:
    """What a wrapper's class can do (`control.Loaded`): `once` calls, `stream` (sessions), `batch`."""

    def has(*names: str) -> bool:
        return any(method_of(kind, name) is not None for name in names)

    can = {
        "once": has("wrapperOnceExec", "wrapperOnceExecAsync", "wrapperBatchExec"),
        "stream": has("wrapperStream", "wrapperCreate"),
        "batch": has("wrapperBatchExec"),
    }
    return tuple(face for face, it_can in can.items() if it_can)


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


def describe(kind: type, path: Path, *, name: str, version: str, body_limit: int) -> Node:
    """The schema document of a loaded wrapper: `schema.json` beside its file if there is one, else made of its fields.

    `name` and `version` are the settings', empty where they say nothing; then the document's own count, then the
    class's, then the name of the folder. `body_limit`: bytes of a request. Raises `WrapperNotLoadable` with the place.
    """
    try:
        outputs = [field.key for field in document.fields(kind).outputs]
        file = path.with_name(schemafile.NAME)
        written = schemafile.read(file, name=name, version=version, body_limit=body_limit, outputs=outputs)
        if written is not None:
            return written
        name = name or str(getattr(kind, "serviceId", "") or "") or path.resolve().parent.name
        built = document.build(kind, name=name, version=version, body_limit=body_limit)
        plain: Node = json.loads(json.dumps(built, allow_nan=False))  # what cannot be sent is found here, not later
        return plain  # noqa: TRY300  # the error is user code's, wherever it comes from
    except WrapperNotLoadable:
        raise
    except Exception as error:  # user code: fields may hold anything
        raise explained(error, path, "the fields of Wrapper make no schema") from error


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
        return WrapperNotLoadable(error.message, where=_within(path, error.where), help=error.help)
    where, line = str(path), ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    elif (frame := own_frame(error, str(path))) is not None:
        line = frame.line or ""
        where = f"{path}:{frame.lineno}  {line}".rstrip()
    text = words(error)
    help_text = remedies.remedy(error, text, line) or f"`athena run {path}` shows all of it"
    return WrapperNotLoadable(f"{what}: {text}", where=where, help=help_text)


def _within(path: Path, place: str) -> str:
    """Where, with the file: the schema knows its class only."""
    return f"{path}: {place}" if place.startswith("class ") else place or str(path)


def own_frame(error: BaseException, file: str) -> traceback.FrameSummary | None:
    """Where in the user's file an error came from: the innermost line of it; None if it was not there."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return own[-1] if own else None


def own_trace(error: BaseException, file: str) -> TracebackType | None:
    """A traceback without our own frames above the user's; whole, if the user's file is not in it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    return trace or error.__traceback__


def words(error: BaseException) -> str:
    """`ValueError: no such model`. Never raises, whatever user code made of its error's `__str__`."""
    try:
        said = str(error)
    except Exception:  # user code
        said = ""
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    # A file's name may come with lone surrogates in it (PEP 383), which no message between processes can carry.
    return text.encode(errors="backslashreplace").decode()
