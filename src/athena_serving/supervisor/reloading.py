"""`athena serve --reload`: an edit of a service's files starts its next generation.

Watching is a convenience: when it fails, the log says so once and the service goes on.
"""

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from athena_serving.settings import Hosted
from athena_serving.supervisor import edits
from athena_serving.supervisor.edits import Sight

log = logging.getLogger("supervisor")

OnEdit = Callable[[frozenset[Path]], None]
"""Gets the files that are other than they were."""

_STEP: Final = 50
"""Milliseconds without a further change after which an edit is complete: an editor writes a file in several steps."""
_FIRST: Final = 200
"""Milliseconds until the first look after watching has begun: what was changed in between has no event."""


async def watch(hosted: Hosted, others: Iterable[Hosted], on_edit: OnEdit, *, stop: asyncio.Event) -> None:
    """Tell of every edit of a service's files until `stop` is set; files of the `others` are not its own."""
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it has a line for every change, as we have
    folder, apart = hosted.directory, _apart(hosted, others)
    try:
        sight = await asyncio.to_thread(edits.look, folder, apart)
        while not stop.is_set():
            try:
                sight = await _follow(sight, folder, apart, on_edit, stop)
            except FileNotFoundError:  # one of its folders went between the look and the watch
                if not folder.is_dir():
                    raise
                sight = sight._replace(folders=edits.look(folder, apart).folders)
    except (OSError, RuntimeError) as error:  # what watchfiles raises; the latter is its own
        words = "edits of %s are not watched: %s; help: %s"
        log.error(words, hosted.directory, error, _remedy(error))  # noqa: TRY400  # the machine's limit, no bug


async def _follow(sight: Sight, folder: Path, apart: frozenset[Path], on_edit: OnEdit, stop: asyncio.Event) -> Sight:
    """Tell of an edit; what was seen last. Folders may be others by then, if only of the same names."""
    from watchfiles import awatch  # noqa: PLC0415  # 30 ms that only those wait for who asked for it

    watching = awatch(
        *sorted(sight.folders),
        watch_filter=lambda _, path: edits.matters(Path(path)),
        step=_STEP,
        stop_event=stop,
        rust_timeout=_FIRST,
        yield_on_timeout=True,
        recursive=False,  # the folders are named, so that nobody walks through a virtual environment
        ignore_permission_denied=True,
    )
    has_looked = False
    async with contextlib.aclosing(watching):
        async for changes in watching:
            if has_looked and not changes:
                continue
            has_looked = True
            now = await asyncio.to_thread(edits.look, folder, apart)
            if edited := now.differing(sight):
                _tell(edited, on_edit)
            if edited or now.folders != sight.folders:
                return now
    return sight


def _tell(edited: frozenset[Path], on_edit: OnEdit) -> None:
    settings = sorted(path for path in edited if path.name in edits.SETTINGS)
    for path in settings:
        log.warning("%s was edited, but settings are read once: start the server anew for it", path)
    if edited.difference(settings):
        on_edit(edited.difference(settings))


def _apart(hosted: Hosted, others: Iterable[Hosted]) -> frozenset[Path]:
    """What in its folder is other services': their files, and their folders unless it lies in them itself."""
    apart: set[Path] = set()
    for other in others:
        apart.add(other.path)
        if not hosted.directory.is_relative_to(other.directory):
            apart.add(other.directory)
    return frozenset(apart)


def _remedy(error: Exception) -> str:
    # ENOSPC: no watch left; EMFILE: no inotify instance left. watchfiles hands on the first in words only.
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EMFILE) or "watch limit" in str(error) or "Too many open files" in str(error):
        return "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512; SIGHUP reloads by hand"
    return "SIGHUP to the server reloads by hand"
