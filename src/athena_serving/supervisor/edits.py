"""What of a service's folder its workers were made of: which files, in which folders, with what in them.

    before = edits.look(folder)
    ...
    edited = edits.look(folder).differing(before)

Contents are compared, not times: a file that a wrapper itself writes anew at every import is no edit, and a mounted
ConfigMap, where only a link turns to another folder, is one. Links are followed.
"""

import contextlib
import hashlib
import importlib.util
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

SETTINGS: Final = frozenset({"athena.toml", "aiges.toml"})
"""Read once, when the server starts."""
_DOCUMENTS: Final = frozenset({"schema.json"})
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "logs", "outputs"})
"""Folders, besides hidden ones and virtual environments, that programs write and nobody edits."""


class Sight(NamedTuple):
    """A folder at one moment."""

    prints: Mapping[Path, bytes]
    """A digest of each file's content."""
    folders: frozenset[Path]
    """Where an edit would be noticed: every folder with code in it, also those that links lead to."""

    def differing(self, before: "Sight") -> frozenset[Path]:
        """Files that are new, gone, or have another content."""
        return frozenset(path for path, _ in self.prints.items() ^ before.prints.items())


def look(folder: Path, apart: Collection[Path] = ()) -> Sight:
    """What is in a folder now, without the files and folders `apart`, which are other services'."""
    prints: dict[Path, bytes] = {}
    folders = {folder}
    for file in _files(folder, frozenset(apart), folders):
        with contextlib.suppress(OSError):  # gone since, or a link that leads nowhere
            prints[file] = hashlib.blake2b(file.read_bytes(), digest_size=16).digest()
            # The folder that a link leads to has no event for us unless it is watched itself.
            folders.add(file.resolve().parent if file.is_symlink() else file.parent)
    return Sight(prints, frozenset(folders))


def matters(path: Path) -> bool:
    """Whether a change at this path may be an edit, so that a look is worth while."""
    if _is_watched(path.name):
        return True
    return path.is_symlink() or (path.is_dir() and not _is_skipped(path))


def forget_compiled(files: Iterable[Path]) -> None:
    """Remove the compiled forms of edited files.

    Python takes a compiled form for current if time, in whole seconds, and size of its source are the same. Two edits
    within a second of one length are nothing rare when a person changes a digit, and would go unseen.
    """
    for file in files:
        if file.suffix == ".py":
            with contextlib.suppress(OSError, NotImplementedError):  # none there, or none wanted
                Path(importlib.util.cache_from_source(str(file))).unlink()


def _files(folder: Path, apart: frozenset[Path], folders: set[Path]) -> Iterator[Path]:
    """Files that count; every folder that is looked through is added to `folders`."""
    seen: set[tuple[int, int]] = set()
    for place, below, names in os.walk(folder, followlinks=True):
        here = Path(place)
        folders.add(here)
        below[:] = [name for name in below if here / name not in apart and _is_new(here / name, seen)]
        yield from (here / name for name in names if _is_watched(name) and here / name not in apart)


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether to go into a folder: links may lead back to where we have been."""
    if _is_skipped(folder):
        return False
    try:
        status = folder.stat()
    except OSError:
        return False
    mark = (status.st_dev, status.st_ino)
    is_new = mark not in seen
    seen.add(mark)
    return is_new


def _is_skipped(folder: Path) -> bool:
    return folder.name in _SKIPPED or folder.name.startswith(".") or (folder / "pyvenv.cfg").exists()


def _is_watched(name: str) -> bool:
    return (name.endswith(".py") and not name.startswith(".")) or name in _DOCUMENTS or name in SETTINGS
