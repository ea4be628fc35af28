"""Personal resources: files of one folder that calls ask for by id, loaded before a call that wants them begins.

    header.patch_id "u1;u2" ──hold──► 1, 2 = persId, psrIds      held until the call is over
        wrapperLoadRes      before the first call that wants it; anew after an edit, once no call holds it
        wrapperUnloadRes    edited, deleted, the one used least recently of too many, and at the end

An id is looked up among the names that the folder has; it never becomes part of a path. User code loads on the thread
of the call that was first, uninterrupted; other calls that want the same wait for it.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from athena_serving.errors import BadRequest, WrapperError, WrapperNotLoadable
from athena_serving.sdk.binding import bind
from athena_serving.sdk.context import Context
from athena_serving.wire.messages import Call, DataType, Piece, Reply, Status
from athena_serving.worker import inputs, load, outputs
from athena_serving.worker.failures import Failures, said

log = logging.getLogger(__name__)

Persons = tuple[int, ...]
"""Numbers of a call's resources: `psrIds`, the first of them `persId`."""
_LOAD: Final = "wrapperLoadRes"
_UNLOAD: Final = "wrapperUnloadRes"
_MEMBERS: Final = ("patch_id", "res_id")
"""Members of a request's header that name resources, joined with `;`; the second counts where the first is empty."""
_SETTLED: Final = 2_000_000_000
"""Nanoseconds after which a folder's time of change is sure to differ from that of a later change. 2 s: FAT's."""
_LONGEST: Final = 64
"""Characters of a caller's own id that are said back."""


class Stamp(NamedTuple):
    """What tells a file from its later state."""

    changed: int
    size: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        """That of a file, or of what a link leads to."""
        return cls(found.st_mtime_ns, found.st_size, found.st_ino)


class Folder:
    """The folder of the resources. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, Mapping[str, Path]] = (0, {})
        """When the folder had changed last, and its files then; 0 if it may change again without a later time."""

    def files(self) -> Mapping[str, Path]:
        """Its files by id: their names without the suffix. Raises OSError."""
        changed = self._path.stat().st_mtime_ns
        seen, files = self._known
        if seen != changed:
            files = self._read()
            self._known = (changed if time.time_ns() - changed > _SETTLED else 0, files)
        return files

    def _read(self) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for path in sorted(self._paths()):
            other = files.setdefault(path.stem, path)
            if other is not path:
                log.warning("resource %r is %s; %s has the same id and is left out", path.stem, other.name, path.name)
        return files

    def _paths(self) -> Iterator[Path]:
        """Files of its own: nothing hidden, no folder, no link that leads outside."""
        root = self._path.resolve()
        with os.scandir(self._path) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # a link in a circle, or gone since
                    is_file = entry.is_file() and not entry.name.startswith(".")
                    if is_file and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root)):
                        yield Path(entry.path)


class Resource:
    """One that is loaded, or is being loaded or unloaded: then it is busy, and whoever made it so takes care of it."""

    __slots__ = ("holders", "id", "is_busy", "number", "stamp")

    def __init__(self, id_: str, number: int) -> None:
        self.id = id_
        self.number = number
        self.stamp: Stamp | None = None
        """Of the file as the wrapper has it; None if it has none."""
        self.holders = 0
        """Calls that use it."""
        self.is_busy = False


class Hold:
    """The resources of one call, until the end of `with hold:`."""

    def __init__(self, held: Sequence[Resource], release: Callable[[Sequence[Resource]], None]) -> None:
        self.persons: Persons = tuple(one.number for one in held)
        self._held = held
        self._release = release

    def __enter__(self) -> Persons:
        return self.persons

    def __exit__(self, *_: object) -> None:
        self._release(self._held)


class Resources:
    """Those of one wrapper. At most `most` are loaded at once, unless calls that run need more."""

    def __init__(self, wrapper: object, failures: Failures, folder: Path, most: int, *, is_old: bool = False) -> None:
        """`is_old`: the wrapper is of ASF's first style, whose inputs are dicts."""
        methods = [load.method_of(wrapper, name) for name in (_LOAD, _UNLOAD)]
        self._load, self._unload = (
            None if method is None else bind(method, role)
            for method, role in zip(methods, ("load_res", "unload_res"), strict=True)
        )
        self.is_async = any(map(inspect.iscoroutinefunction, methods))
        """Is one of the two methods a coroutine, which it must not be?"""
        self._failures = failures
        self._request: Callable[[Sequence[Piece]], object] = inputs.old_nodes if is_old else inputs.nodes
        self._folder = Folder(folder)
        self._most = most
        self._changed = threading.Condition()
        """Held to look at or change what stands below; for a moment only, never while user code runs."""
        self._loaded: dict[str, Resource] = {}
        """By id; the last is the one used last."""
        self._numbers: dict[str, int] = {}
        """A resource keeps its number; only ids that the folder has, or had, are here."""

    # ── what calls do ─────────────────────────────────────────────────────────────────────────────

    def hold(self, call: Call, context: Context, kind: type[WrapperError]) -> Hold | Reply:
        """What a call asks for, loaded, and kept until it lets go. A reply says why not; then nothing is kept.

        `kind`: what a `wrapperLoadRes` that fails is for this call. Waits for user code; is not to be interrupted.
        """
        member, ids = wanted(call.headers)
        if not ids:
            return NOTHING
        if len(ids) > self._most:
            return _refused(member, f"names {len(ids)} resources, of which at most {self._most} are loaded at once")
        with context:
            return self._hold(member, ids, kind, call.sid)

    async def hold_async(self, call: Call, context: Context, kind: type[WrapperError]) -> Hold | Reply:
        """The same for coroutines; a thread waits for user code, so that the loop goes on."""
        if not wanted(call.headers)[1]:
            return NOTHING
        holding = asyncio.ensure_future(asyncio.to_thread(self.hold, call, context, kind))
        try:
            return await asyncio.shield(holding)
        except asyncio.CancelledError:
            holding.add_done_callback(_let_go)
            raise

    def close(self) -> None:
        """Unload all: no call comes any more. What still loads for a call that is gone is waited for."""
        with self._changed:
            self._changed.wait_for(lambda: not any(one.is_busy for one in self._loaded.values()))
            leaving = [*self._loaded.values()]
            self._loaded.clear()
        for one in leaving:
            self._let_unload(one)

    # ── which are loaded ──────────────────────────────────────────────────────────────────────────

    def _hold(self, member: str, ids: Sequence[str], kind: type[WrapperError], sid: str) -> Hold | Reply:
        try:
            files = self._folder.files()
        except OSError:
            log.exception("the folder of service.resources cannot be read")
            return said(kind, "the personal resources cannot be read")
        unknown = next((one for one in ids if one not in files), None)
        self._make_room(files, () if unknown is not None else ids)
        if unknown is not None:
            return _unknown(member, unknown)
        held: list[Resource] = []
        for one in ids:
            try:
                taken = self._take(one, files[one], kind, sid)
            except FileNotFoundError:  # a moment ago it was there
                taken = _unknown(member, one)
            except OSError as error:
                log.exception("resource %r cannot be read", one, extra={"fields": {"sid": sid}})
                taken = said(kind, f"resource {one!r} cannot be read: {error.strerror}")
            if isinstance(taken, Reply):
                self._release(held)
                return taken
            held.append(taken)
        return Hold(held, self._release)

    def _make_room(self, files: Collection[str], ids: Collection[str]) -> None:
        """Unload what is deleted, and, of what no call holds, as much as these ids need, the oldest use first."""
        with self._changed:
            free = [one for one in self._loaded.values() if not (one.holders or one.is_busy or one.id in ids)]
            leaving = [one for one in free if one.id not in files]
            others = [one for one in free if one.id in files]
            needed = len(self._loaded) - len(leaving) + sum(one not in self._loaded for one in ids) - self._most
            leaving += others[: max(0, needed)]
            for one in leaving:
                one.is_busy = True
        for one in leaving:
            self._let_unload(one)
            self._settle(one, is_loaded=False)

    def _take(self, name: str, path: Path, kind: type[WrapperError], sid: str) -> Resource | Reply:
        """One resource, held. Raises OSError."""
        stamp = Stamp.of(path.stat())
        with self._changed:
            self._changed.wait_for(lambda: name not in self._loaded or not self._loaded[name].is_busy)
            one = self._loaded.pop(name, None) or Resource(name, self._numbers.setdefault(name, len(self._numbers) + 1))
            self._loaded[name] = one
            if one.holders or one.stamp == stamp:  # while a call holds an edited one, it stays what it is
                one.holders += 1
                return one
            one.is_busy = True
        failure: Reply | None = None
        try:
            failure = self._renew(one, path, stamp, kind, sid)
        finally:
            self._settle(one, is_loaded=one.stamp is not None)
        return failure or one

    def _settle(self, one: Resource, *, is_loaded: bool) -> None:
        """One that was busy is no more: it is loaded, for a call that holds it, or gone."""
        with self._changed:
            one.is_busy = False
            if is_loaded:
                one.holders += 1
            else:
                del self._loaded[one.id]
            self._changed.notify_all()

    def _release(self, held: Sequence[Resource]) -> None:
        with self._changed:
            for one in held:
                one.holders -= 1

    # ── user code ─────────────────────────────────────────────────────────────────────────────────

    def _renew(self, one: Resource, path: Path, stamp: Stamp, kind: type[WrapperError], sid: str) -> Reply | None:
        """Load it, after its earlier state is unloaded; why that failed, otherwise. Raises OSError."""
        if one.stamp is not None:
            self._let_unload(one)
            one.stamp = None
        if self._load is None:
            one.stamp = stamp
            return None
        with path.open("rb") as file:
            stamp = Stamp.of(os.fstat(file.fileno()))
            data = file.read()
        failure = self._let_load(one, path.name, data, kind, sid)
        if failure is None:
            one.stamp = stamp
        return failure

    def _let_load(self, one: Resource, file: str, data: bytes, kind: type[WrapperError], sid: str) -> Reply | None:
        desc = {"patch_id": one.id, "persId": str(one.number), "file": file}
        request = self._request([Piece(one.id, DataType.TEXT, Status.END, desc, data)])
        try:
            answer = self._load({"request": request, "resource": one.id}) if self._load is not None else 0
            code = 0 if answer is None else outputs.number(answer)
            if code is None:
                return said(kind, f"{_LOAD} returned {type(answer).__name__}, not a number")
            return self._failures.coded(kind, code) if code else None
        except BaseException as error:  # user code: SystemExit and KeyboardInterrupt end a call only
            return self._failures.raised(kind, _LOAD, error, sid)

    def _let_unload(self, one: Resource) -> None:
        if self._load is None or self._unload is None:
            return
        try:
            answer = self._unload({"resource": one.id})
        except BaseException as error:  # user code
            self._failures.note(_UNLOAD, error, "")
            return
        if answer:
            log.warning("%s(%r) returned %r", _UNLOAD, one.id, answer)


def wanted(headers: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The ids that a request's header names, each once, and the member that they stand in."""
    for member in _MEMBERS:
        if ids := tuple(dict.fromkeys(one for one in headers.get(member, "").split(";") if one)):
            return member, ids
    return "", ()


def checked(folder: Path) -> Path:
    """The folder of `service.resources`. Raises `WrapperNotLoadable` if there is none."""
    if not folder.is_dir():
        raise WrapperNotLoadable(
            f"no folder {folder}",
            where="service.resources",
            help="make the folder, or leave the setting out; its path begins at the wrapper's folder",
        )
    return folder


def refuse_coroutine(file: str) -> WrapperNotLoadable:
    """The error of a wrapper whose methods for resources are coroutines."""
    return WrapperNotLoadable(
        f"{_LOAD} and {_UNLOAD} must not be async: they have a thread for themselves",
        where=file,
        help=f"def {_LOAD}(self, reqData, patch_id)",
    )


def _let_go(holding: "asyncio.Future[Hold | Reply]") -> None:
    """The call that it was for is gone."""
    if not holding.cancelled() and isinstance(held := holding.result(), Hold):
        with held:
            pass


def _unknown(member: str, name: str) -> Reply:
    return _refused(member, f"names no resource of the service: {name[:_LONGEST]!r}")


def _refused(member: str, words: str) -> Reply:
    """The caller's fault, in the words of a request that is against the schema (http-api.md 5.5)."""
    return Reply(code=BadRequest.code, message=f"'$.header.{member}' {words}; ")


NOTHING: Final = Hold((), lambda _: None)
"""Held by a call that asks for no resource."""
