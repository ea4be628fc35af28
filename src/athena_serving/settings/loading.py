"""Sources in order, strongest first: flag, environment, file beside the wrapper, file of the server, default."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from athena_serving.errors import SettingsError, UsageError
from athena_serving.settings import aiges, sources
from athena_serving.settings.catalogue import CATALOGUE, OPEN_TABLES
from athena_serving.settings.groups import Batch, Hosted, Limits, Remark, Serve, Server, Service, Stream, Workers
from athena_serving.settings.sources import Values

FILE_NAME = "athena.toml"
WRAPPER_NAME = "wrapper.py"
SCHEMA_NAME = "schema.json"
"""A hand-written schema document; in a folder without a wrapper, a category's."""

Group = TypeVar("Group")


class _Layers(NamedTuple):
    """What was read once and holds for every service of the command."""

    cwd: Path
    root: Path | None
    """The server's file: `--config`, else ./athena.toml, else none."""
    base: Values
    above: Values
    """Flags over environment."""
    is_given: bool
    """Whether `base` has an ASF file already, so that none is looked for beside a wrapper."""


def load(
    paths: Sequence[str | Path],
    *,
    config: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    cwd: Path,
    beneath: Values | None = None,
) -> Serve:
    """The settings for serving the wrappers at `paths`: files, or folders with a wrapper.py in them.

    A JSON file, or a folder with a schema.json and no wrapper.py, is a category, which leads to the others.

    `config` is the file of `--config`; without it `athena.toml` in `cwd` is the server's file, if it exists. `flags`
    holds values by setting name (`{"server.port": 0}`), and under `set` a list of `section.key=value`. Relative paths
    start at `cwd`. `beneath` is what an ASF file says that was named on the command line: it gives way to everything
    but the defaults, and no aiges.toml beside a wrapper is read then. Raises UsageError for a path that leads to no
    wrapper, SettingsError for anything wrong in a source, also where a stronger source would have covered it.
    """
    root = _root(config, cwd)
    base = {**(beneath or {}), **(sources.from_file(root) if root else {})}
    above = {**sources.from_environment(environ), **sources.from_flags(flags)}
    layers = _Layers(cwd=cwd, root=root, base=base, above=above, is_given=beneath is not None)
    values = {**base, **above}
    categories = {path: file for path in paths if (file := _category(path, cwd)) is not None}
    if categories and len(categories) == len(paths):
        remedy = "name them beside it: athena serve ./iat-zh ./iat-en ./iat"
        raise UsageError("a category leads to other services, and there are none", where=str(paths[0]), help=remedy)
    serve = Serve(
        server=_build(Server, "server", values),
        limits=_build(Limits, "server.limits", values),
        services=tuple(_host(path, layers) for path in paths if path not in categories),
        categories=tuple(categories.values()),
        origins=_origins(values, "server"),
    )
    for message, where, remedy in _contradictions(serve):
        raise SettingsError(message, where=where, help=remedy)
    return serve


def find_wrapper(path: str | Path, cwd: Path) -> Path:
    """The absolute path of the wrapper that `path` means. Raises UsageError if there is none.

    Links are not followed: a mounted ConfigMap is a link into a folder whose name changes with every update.
    """
    file = Path(os.path.abspath(cwd / path))  # noqa: PTH100  # resolve() follows links
    if file.is_dir():
        file, folder = file / WRAPPER_NAME, file
        if not file.is_file():
            others = sorted(folder.glob("*.py"))
            remedy = f"name the file: {others[0]}" if others else f"create {file} with a class Wrapper(WrapperBase)"
            raise UsageError(f"no {WRAPPER_NAME} in {folder}", where=str(path), help=remedy)
        return file
    if not file.exists():
        raise UsageError(f"no such file or folder: {path}", where=str(file), help="name a wrapper.py, or its folder")
    if file.suffix != ".py":
        remedy = "name a Python file with a class Wrapper(WrapperBase)"
        raise UsageError(f"{file.name} is not a Python file", where=str(file), help=remedy)
    return file


def _category(path: str | Path, cwd: Path) -> Path | None:
    """The document of the category that `path` means; None if it does not mean one."""
    file = Path(os.path.abspath(cwd / path))  # noqa: PTH100  # resolve() follows links
    if file.is_dir():
        document = file / SCHEMA_NAME
        return document if document.is_file() and not (file / WRAPPER_NAME).is_file() else None
    return file if file.suffix == ".json" and file.is_file() else None


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def _root(config: Path | None, cwd: Path) -> Path | None:
    if config is None:
        return cwd / FILE_NAME if (cwd / FILE_NAME).is_file() else None
    file = Path(os.path.abspath(cwd / config))  # noqa: PTH100  # resolve() follows links
    if not file.is_file():
        raise UsageError(f"no such file: {config}", where="flag --config")
    return file


def _beside(wrapper: Path, layers: _Layers) -> tuple[Values, tuple[Remark, ...]]:
    """What the file beside a wrapper says of its service; ASF's file counts where there is no athena.toml."""
    file, foreign = wrapper.parent / FILE_NAME, wrapper.parent / aiges.FILE_NAME
    if file.is_file():
        return _own(file, layers), ()
    if layers.is_given or not foreign.is_file():
        return {}, ()
    document = aiges.read(foreign, folder=wrapper.parent)
    return aiges.for_service(document), aiges.remarks(document)


def _own(file: Path, layers: _Layers) -> Values:
    if layers.root is not None and file.samefile(layers.root):
        return {}  # read already
    found = sources.from_file(file)
    misplaced = [name for name in found if name.startswith("server.")]
    # In the working directory [server] is in its place; --config named another file instead of it.
    if misplaced and not file.parent.samefile(layers.cwd):
        remedy = f"move it to {layers.root or layers.cwd / FILE_NAME}: one server serves all wrappers"
        raise SettingsError(f"[server] has no place beside a wrapper: {misplaced[0]}", where=str(file), help=remedy)
    return {name: value for name, value in found.items() if name not in misplaced}


# ── groups ────────────────────────────────────────────────────────────────────────────────────────


def _host(path: str | Path, layers: _Layers) -> Hosted:
    wrapper = find_wrapper(path, layers.cwd)
    beside, remarks = _beside(wrapper, layers)
    values = {**layers.base, **beside, **layers.above}
    return Hosted(
        path=wrapper,
        service=_build(Service, "service", values),
        workers=_build(Workers, "workers", values),
        wrapper=_entries("wrapper", values),
        directory=wrapper.parent,
        batch=_build(Batch, "batch", values),
        stream=_build(Stream, "stream", values),
        origins=_origins(values, "service", "workers", "batch", "stream", "wrapper"),
        remarks=remarks,
    )


def _build(group: Callable[..., Group], section: str, values: Values) -> Group:
    """The group with what was found; the rest of its fields keep their defaults."""
    given: dict[str, object] = {}
    for setting in CATALOGUE.values():
        if setting.section == section and setting.is_open:
            given[setting.key] = _entries(setting.name, values)
        elif setting.section == section and setting.name in values:
            given[setting.key] = values[setting.name].value
    return group(**given)


def _entries(table: str, values: Values) -> dict[str, str]:
    start = f"{table}."
    return {name.removeprefix(start): str(found.value) for name, found in values.items() if name.startswith(start)}


def _origins(values: Values, *parts: str) -> dict[str, str]:
    names = [name for name in CATALOGUE if name not in OPEN_TABLES] + [name for name in values if name not in CATALOGUE]
    chosen = [name for name in names if name.partition(".")[0] in parts]
    return {name: values[name].origin if name in values else "default" for name in chosen}


# ── what no single value shows ────────────────────────────────────────────────────────────────────


def _contradictions(serve: Serve) -> Iterator[tuple[str, str, str]]:
    """Pairs of values that cannot both be meant: message, where, help."""
    server, limits = serve.server, serve.limits
    if server.port and server.port == server.admin_port and server.host == server.admin_host:
        where = _where(serve.origins, "server.port", "server.admin_port")
        yield f"server.port and server.admin_port are both {server.port}", where, "give them different ports"
    if limits.inflight_bytes < limits.body:
        where = _where(serve.origins, "server.limits.inflight_bytes", "server.limits.body")
        yield "server.limits.inflight_bytes is less than one body may have", where, "raise it, or lower limits.body"
    for hosted in serve.services:
        yield from _quarrels(hosted)
    yield from _doubles(serve.services)


def _quarrels(hosted: Hosted) -> Iterator[tuple[str, str, str]]:
    workers = hosted.workers
    if 0 < len(workers.devices) < workers.count:
        message = f"{workers.count} workers, but {len(workers.devices)} devices: each worker needs one"
        where = _where(hosted.origins, "workers.count", "workers.devices")
        yield message, where, "name a device twice if two workers shall share it"
    if workers.restart_delay > workers.restart_delay_max:
        where = _where(hosted.origins, "workers.restart_delay", "workers.restart_delay_max")
        yield "workers.restart_delay is more than workers.restart_delay_max", where, "raise the latter"


def _doubles(services: Sequence[Hosted]) -> Iterator[tuple[str, str, str]]:
    paths: set[Path] = set()
    names: dict[str, Hosted] = {}
    for hosted in services:
        if hosted.path in paths:
            yield f"{hosted.path} is named twice", str(hosted.path), "name it once; --workers N for more processes"
        paths.add(hosted.path)
        name = hosted.service.name
        if name and name in names:
            where = f"{names[name].path} and {hosted.path}"
            yield f"two services are called {name}", where, f"[service] name in the {FILE_NAME} beside each wrapper"
        names[name] = hosted


def _where(origins: Mapping[str, str], *names: str) -> str:
    return ", ".join(f"{name} ({origins[name]})" for name in names)
