"""A project as one archive that keeps its folders (ASF's put all files side by side, wrapper.md 10)."""

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from athena_serving.errors import UsageError
from athena_serving.settings.loading import WRAPPER_NAME

ARCHIVE_NAME = "pywrapper.tar.gz"
SKIPPED = ("__pycache__", ".git")
"""Folders that no archive needs."""


class Packed(NamedTuple):
    """What was done."""

    archive: Path
    files: tuple[str, ...]
    """Names in the archive, in order."""
    warnings: tuple[str, ...]


def pack(location: Path, archive: Path) -> Packed:
    """Write all files below `location` into a tar.gz; into one called pywrapper.tar.gz if `archive` is a folder.

    An archive that is there already is replaced, once the new one is whole. Raises UsageError if no wrapper.py is
    below `location`, or something cannot be read or written.
    """
    location, archive = (Path(os.path.abspath(path)) for path in (location, archive))  # noqa: PTH100  # links are kept
    if archive.is_dir():
        archive /= ARCHIVE_NAME
    if not location.is_dir():
        raise UsageError(f"no such folder: {location}", where="flag -l", help="name the folder of the project")
    unfinished = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        reasons = {path: _misfit(path, location) for path in sorted(_walk(location)) if path != archive}
        files = [path for path, reason in reasons.items() if not reason]
        if WRAPPER_NAME not in {path.name for path in files}:
            remedy = "name the folder of the project"
            raise UsageError(f"no {WRAPPER_NAME} below {location}", where="flag -l", help=remedy)
        names = _write(unfinished, files, location)
        unfinished.replace(archive)
    except OSError as error:
        with contextlib.suppress(OSError):  # it may be that nothing was begun
            unfinished.unlink()
        raise UsageError(f"cannot pack: {error.strerror}", where=str(error.filename or archive)) from error
    left_out = [f"left out {path.relative_to(location)}: {reason}" for path, reason in reasons.items() if reason]
    return Packed(archive, names, (*left_out, *_missing(names)))


def _walk(location: Path) -> Iterator[Path]:
    """All files, and links to anything; folders are walked, links to them are not."""
    for folder, folders, files in os.walk(location, onerror=_raise):
        yield from (Path(folder) / name for name in files)
        yield from (Path(folder) / name for name in folders if (Path(folder) / name).is_symlink())
        folders[:] = [name for name in folders if name not in SKIPPED]


def _raise(error: OSError) -> NoReturn:
    raise error


def _write(archive: Path, files: Iterable[Path], location: Path) -> tuple[str, ...]:
    names = []
    with tarfile.open(archive, "w:gz") as tar:
        for path in files:
            names.append(str(path.relative_to(location)))
            tar.add(path, names[-1], filter=_anonymous)
    return tuple(names)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Who packed it is nobody's business, and no user of the machine that unpacks it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _misfit(path: Path, location: Path) -> str:
    """Why a path has no place in the archive; empty if it has one."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = path.readlink()
        # An absolute link means this machine's folder, wherever the archive is unpacked.
        if target.is_absolute() or not path.resolve().is_relative_to(location.resolve()):
            return f"a link out of the folder, to {target}"
        return ""
    return "" if stat.S_ISREG(mode) else "not a file"


def _missing(names: tuple[str, ...]) -> Iterator[str]:
    present = {Path(name).name.lower() for name in names}
    for wanted in ("requirements.txt", "README.md"):
        if wanted.lower() not in present:
            yield f"there is no {wanted}"
