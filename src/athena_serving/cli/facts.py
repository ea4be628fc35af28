"""What `athena doctor` finds out about this machine, before anybody judges it (checks.py)."""

import contextlib
import importlib
import importlib.metadata
import locale
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from athena_serving.errors import PortBusy
from athena_serving.kit import descriptors, memory
from athena_serving.settings import Hosted, Serve
from athena_serving.supervisor import sockets

PACKAGES: Final = ("uvicorn", "httptools", "uvloop", "websockets", "msgspec", "jsonschema_rs", "pybase64", "zttp")
_LOAD_TIME: Final = 120.0
"""Seconds that a wrapper's import may take before `--load` gives up on it."""
_MOST_FILES: Final = 20_000
"""Files of a wrapper's folder that are added up; whoever has more keeps something else there as well."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that a server needs."""

    version: str = ""
    """Empty if it is not installed."""
    error: str = ""
    """Why it cannot be imported."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A wrapper's folder."""

    size: int = 0
    """Bytes of all files in it."""
    is_writable: bool = True
    has_both_files: bool = False
    """Is there an athena.toml beside an aiges.toml?"""
    load_error: str | None = None
    """What `--load` found: empty if the wrapper loads; None if nobody asked."""


@dataclass(frozen=True, slots=True)
class Facts:
    """This machine, as a server here would find it."""

    python: tuple[int, int, int] = (3, 12, 0)
    packages: Mapping[str, Package] = field(default_factory=dict)
    descriptors: int = 1 << 20
    """Files that a process may have open: the soft limit."""
    descriptors_hard: int = 1 << 20
    busy: Mapping[str, PortBusy] = field(default_factory=dict)
    """Ports that cannot be had, by setting."""
    memory_available: int = 1 << 40
    """Bytes, within the control group's limit."""
    memory_limit: int | None = None
    """Bytes that the control group may have; None without a limit."""
    processors: int = 1
    """That this process may run on."""
    processor_quota: float | None = None
    """Processors' worth of time that the control group may have; None without a limit."""
    shared_memory_error: str = ""
    passing_error: str = ""
    """Why no descriptor can be passed to another process."""
    omp_threads: str = ""
    cuda_visible: str = ""
    has_card: bool = False
    now: float = 0.0
    """Seconds since 1970, by the machine's clock."""
    installed: float = 0.0
    """The same, of this package's files."""
    encoding: str = "utf-8"
    is_temporary_writable: bool = True
    first_process: str = ""
    """The command of process 1; empty if it cannot be told."""
    folders: Mapping[Path, Folder] = field(default_factory=dict)
    """By wrapper."""


def gather(serve: Serve, *, loads: bool) -> Facts:
    """Find out. With `loads`, user code is imported, each wrapper in a process of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = memory_limit()
    return Facts(
        python=sys.version_info[:3],
        packages={name: _package(name) for name in PACKAGES},
        descriptors=_unlimited(soft),
        descriptors_hard=_unlimited(hard),
        busy=dict(_busy(serve)),
        memory_available=_memory_available(limit),
        memory_limit=limit,
        processors=len(os.sched_getaffinity(0)),
        processor_quota=processor_quota(),
        shared_memory_error=_shared_memory_error(),
        passing_error=_passing_error(),
        omp_threads=os.environ.get("OMP_NUM_THREADS", ""),
        cuda_visible=os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        has_card=any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists() or Path("/dev/dxg").exists(),
        now=time.time(),
        installed=Path(__file__).stat().st_mtime,
        encoding=locale.getpreferredencoding(do_setlocale=False).lower(),
        is_temporary_writable=os.access(tempfile.gettempdir(), os.W_OK),
        first_process=_first_process(),
        folders={hosted.path: _folder(hosted, loads=loads) for hosted in serve.services},
    )


def _package(name: str) -> Package:
    try:
        version = importlib.metadata.version(name.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return Package()
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken package may raise anything; that is what we want to know
        return Package(version, f"{type(error).__name__}: {error}")
    return Package(version)


def _unlimited(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _busy(serve: Serve) -> Iterator[tuple[str, PortBusy]]:
    server = serve.server
    places = (("server.port", server.host, server.port), ("server.admin_port", server.admin_host, server.admin_port))
    for setting, host, port in places:
        flag = "--port" if setting == "server.port" else "--admin-port"
        try:
            sockets.listen(host, port, setting=setting, flag=flag).close()
        except PortBusy as busy:
            yield setting, busy


# ── what the kernel allows ────────────────────────────────────────────────────────────────────────


def memory_limit(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that our control group, or one above it, may have; None without a limit. Both versions of them."""
    found = [_number(folder / "memory.max") for folder in _chain(root, groups, "")]
    found += [_number(folder / "memory.limit_in_bytes") for folder in _chain(root / "memory", groups, "memory")]
    # The first version has a number near 2^63 where there is no limit.
    return min((one for one in found if one is not None and one < 1 << 60), default=None)


def processor_quota(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> float | None:
    """Processors' worth of time that our control group, or one above it, may have; None without a limit."""
    found: list[float] = []
    for folder in _chain(root, groups, ""):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal():
            found.append(int(quota) / int(period))
    for folder in _chain(root / "cpu", groups, "cpu"):
        spent, every = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if spent is not None and every:
            found.append(spent / every)
    return min(found, default=None)


def _chain(root: Path, groups: Path, controller: str) -> Iterator[Path]:
    """Folders of our control group and of those above it; in a container its own is often the root."""
    for line in _text(groups).splitlines():
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            folder = root / group.lstrip("/")
            yield folder
            yield from (above for above in folder.parents if above == root or root in above.parents)
    yield root


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdecimal() else None


def _memory_available(limit: int | None) -> int:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _text(Path("/proc/meminfo")), re.MULTILINE)
    free = int(match[1]) * 1024 if match else sys.maxsize
    return free if limit is None else min(free, limit)


def _shared_memory_error() -> str:
    try:
        descriptor = memory.anonymous("doctor", 4096)
        memory.mapped(descriptor, size=4096).close()
        os.close(descriptor)
    except (OSError, memory.Refused) as error:
        return str(error)
    return ""


def _passing_error() -> str:
    try:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            descriptors.send(ours, [b"x"], [ours.fileno()])
            _, found = descriptors.receive(theirs, 1)
            descriptors.close_all(found)
    except OSError as error:
        return str(error)
    return "" if found else "it did not arrive"


def _first_process() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/1/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


# ── wrappers ──────────────────────────────────────────────────────────────────────────────────────


def _folder(hosted: Hosted, *, loads: bool) -> Folder:
    here = hosted.directory
    return Folder(
        size=_size(here),
        is_writable=os.access(here, os.W_OK),
        has_both_files=(here / "athena.toml").is_file() and (here / "aiges.toml").is_file(),
        load_error=_load_error(hosted.path) if loads else None,
    )


def _size(folder: Path) -> int:
    total = count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).stat().st_size
        count += len(names)
        if count > _MOST_FILES:
            break
    return total


def _load_error(path: Path) -> str:
    """Why a wrapper does not load: the words that `athena schema` has for it. Empty if it does."""
    command = [sys.executable, "-m", "athena_serving.cli", "schema", str(path)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_LOAD_TIME,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not imported within {_LOAD_TIME:g} s"
    if done.returncode == 0:
        return ""
    # What user code wrote stands before our words.
    return done.stderr.rpartition("error: ")[2].strip() or f"exit code {done.returncode}"
