"""What ASF's loader finds around itself: its variables, its default file, and the wrapper (wrapper.md 4.1 and 4.2)."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from athena_serving.cli import numa
from athena_serving.errors import UsageError, WrapperNotLoadable
from athena_serving.settings import aiges, sources
from athena_serving.settings.loading import WRAPPER_NAME
from athena_serving.settings.sources import Values

SERVICE = "svcName"
"""The service's section in the default file."""
LIBRARY_NAME = "libwrapper.so"


def write_default(folder: Path) -> bool:
    """Write ASF's default aiges.toml into a folder; False if there is one. Raises UsageError if that fails."""
    path = folder / aiges.FILE_NAME
    text = resources.files("athena_serving.cli").joinpath("scaffold", aiges.FILE_NAME).read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot write {path.name}: {error.strerror}", where=str(path)) from error
    return True


def plugin_mode(environ: Mapping[str, str]) -> str:
    """`python` or `c`: what AIGES_PLUGIN_MODE says, by default `c`. Raises UsageError for anything else."""
    mode = environ.get("AIGES_PLUGIN_MODE") or "c"
    if mode not in ("c", "python"):
        raise UsageError(
            f'there is no plug-in mode "{mode}"', where="environment AIGES_PLUGIN_MODE", help="python or c"
        )
    return mode


def pin(environ: Mapping[str, str]) -> frozenset[int]:
    """Run on the processors of the node that AIGES_ENV_NUMA names; their numbers, none if it names none.

    Raises UsageError if it is no whole number, or that node cannot be had. ASF takes a negative number as none.
    """
    word = environ.get("AIGES_ENV_NUMA", "").strip()
    if not word:
        return frozenset()
    try:
        node = int(word)
    except ValueError:
        raise UsageError(
            f'"{word}" is no node', where="environment AIGES_ENV_NUMA", help="a whole number, 0 or more"
        ) from None
    return numa.pin(node) if node >= 0 else frozenset()


def version(environ: Mapping[str, str]) -> Values:
    """The service's version, if AIGES_WRAPPER_VERSION says one. Raises SettingsError for what cannot be one."""
    name, word = "AIGES_WRAPPER_VERSION", environ.get("AIGES_WRAPPER_VERSION")
    if not word:
        return {}
    return {"service.version": sources.check("service.version", word, f"environment {name}", called=name)}


def find_wrapper(environ: Mapping[str, str], cwd: Path, *, mode: str) -> Path:
    """The wrapper.py of the working directory, else of PYTHONPATH.

    In ASF's mode `c` a library of its own embeds Python and finds wrapper.py in the same places. Raises UsageError if
    there is none, WrapperNotLoadable if there is a C library instead.
    """
    places = [cwd, *_places(environ, "PYTHONPATH", cwd)]
    for place in places:
        if (place / WRAPPER_NAME).is_file():
            return place / WRAPPER_NAME
    libraries = [place / LIBRARY_NAME for place in (cwd, *_places(environ, "LD_LIBRARY_PATH", cwd))]
    found = next((path for path in libraries if path.is_file()), None)
    if mode == "c" and found is not None:
        remedy = f"this version serves a {WRAPPER_NAME}"
        raise WrapperNotLoadable("wrappers in C come with a later version", where=str(found), help=remedy)
    remedy = f"start where {WRAPPER_NAME} is, or put its folder on PYTHONPATH"
    where = ", ".join(map(str, places))
    raise UsageError(f"nothing to serve: no {WRAPPER_NAME} here or on PYTHONPATH", where=where, help=remedy)


def _places(environ: Mapping[str, str], variable: str, cwd: Path) -> list[Path]:
    return [cwd / place for place in environ.get(variable, "").split(os.pathsep) if place]
