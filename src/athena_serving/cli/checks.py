"""What `athena doctor` makes of the facts: pure functions, each of which judges one thing.

    for finding in checks.examine(facts, serve): ...

A failure is what a server cannot run with; a warning is what it will be sorry for.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, NamedTuple

from athena_serving.cli.facts import Facts, Folder, Package
from athena_serving.settings import Hosted, Serve
from athena_serving.settings.aiges import FILE_NAME, UNREAD
from athena_serving.settings.kinds import show_size

WORKER_MEMORY: Final = 100 << 20
"""Bytes of a worker without a model: Python, our code, numpy."""
_SPARE: Final = 64
"""Descriptors that a door needs besides its connections and its workers' links."""
_PER_WORKER: Final = 16
"""Descriptors of a door for one worker: two links, the page, blocks of shared memory; twice during a reload."""
_SHELLS: Final = re.compile(r"(?:/\S*/)?(?:ba|da|a|z)?sh(?: |$)")


class Outcome(Enum):
    """How a check ended."""

    OK = "ok"  # nothing to do
    WARN = "warn"  # it runs, and somebody will be sorry
    FAIL = "fail"  # it does not run


class Finding(NamedTuple):
    """One check's result."""

    check: str
    outcome: Outcome
    found: str
    advice: str = ""


Check = Callable[[Facts, Serve], Iterator[Finding]]


def examine(facts: Facts, serve: Serve) -> list[Finding]:
    """What every check found, in their order."""
    return [finding for check in CHECKS for finding in check(facts, serve)]


def _ok(check: str, found: str) -> Finding:
    return Finding(check, Outcome.OK, found)


def _warn(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Outcome.WARN, found, advice)


def _fail(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Outcome.FAIL, found, advice)


# ── Python ────────────────────────────────────────────────────────────────────────────────────────


def python(facts: Facts, _: Serve) -> Iterator[Finding]:
    """Its version."""
    version = ".".join(map(str, facts.python))
    if facts.python < (3, 11):
        yield _fail("python", version, "use 3.11 or later, in an environment of its own")
    else:
        yield _ok("python", version)


def packages(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Those that a server imports."""
    good: list[str] = []
    for name, package in facts.packages.items():
        if name == "zttp" and not serve.server.http2:
            continue
        if package.version and not package.error:
            good.append(f"{name} {package.version}")
        else:
            yield _package(name, package)
    if good:
        yield _ok("packages", ", ".join(good))


def _package(name: str, package: Package) -> Finding:
    install = "athena-serving[http2]" if name == "zttp" else name.replace("_", "-")
    if not package.version:
        return _fail("packages", f"{name} is not installed", f"pip install '{install}'")
    return _fail("packages", f"{name} {package.version}: {package.error}", f"pip install --force-reinstall '{install}'")


def encoding(facts: Facts, _: Serve) -> Iterator[Finding]:
    """How files are read where nobody says how."""
    if facts.encoding.replace("-", "") == "utf8":
        yield _ok("locale", "UTF-8")
    else:
        advice = "LANG=C.UTF-8, or PYTHONUTF8=1: files with other letters than ASCII are read wrongly without"
        yield _warn("locale", facts.encoding, advice)


# ── the machine ───────────────────────────────────────────────────────────────────────────────────


def open_files(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Whether as many connections can be open as are allowed."""
    connections, workers = serve.limits.connections, sum(one.workers.count for one in serve.services)
    needed = connections + _PER_WORKER * workers + _SPARE
    if facts.descriptors >= needed:
        yield _ok("open files", f"{facts.descriptors:,} for {connections:,} connections")
        return
    found = f"{facts.descriptors:,}, and {connections:,} connections need {needed:,}"
    raising = f"ulimit -n {needed}" if facts.descriptors_hard >= needed else f"LimitNOFILE={needed} in its unit"
    fitting = max(1, facts.descriptors - _PER_WORKER * workers - _SPARE)
    yield _warn("open files", found, f"{raising}, or --set server.limits.connections={fitting}")


def processors(facts: Facts, _: Serve) -> Iterator[Finding]:
    """Whether programs see more processors than they may use."""
    quota = facts.processor_quota
    if quota is None or quota >= facts.processors:
        yield _ok("processors", str(facts.processors))
        return
    advice = f"OMP_NUM_THREADS={max(1, int(quota))}, as numeric libraries start a thread for each that they see"
    found = f"{facts.processors} seen, {quota:g} may be used (control group)"
    yield _ok("processors", found) if facts.omp_threads else _warn("processors", found, advice)


def threads(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Whether the workers' numeric libraries get in each other's way."""
    workers = sum(one.workers.count for one in serve.services)
    said = facts.omp_threads
    if not said:
        yield _ok("OMP_NUM_THREADS", "not set: workers get their share of the processors")
    elif not said.isdecimal():
        advice = "a whole number, or leave it unset" if "," not in said else "one number: workers nest nothing"
        yield _warn("OMP_NUM_THREADS", said, advice)
    elif int(said) * workers > facts.processors and workers > 1:
        advice = f"leave it unset, or {max(1, facts.processors // workers)}"
        yield _warn("OMP_NUM_THREADS", f"{said} for each of {workers} workers on {facts.processors} processors", advice)
    else:
        yield _ok("OMP_NUM_THREADS", said)


def memory(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Whether the workers may fit. Nobody knows what a model takes: its files are the guess."""
    needed = sum(one.workers.count * (WORKER_MEMORY + _of(facts, one).size) for one in serve.services)
    limit = f", limit {_size(facts.memory_limit)}" if facts.memory_limit is not None else ""
    found = f"{_size(facts.memory_available)} available{limit}"
    if needed <= facts.memory_available:
        yield _ok("memory", found)
        return
    guess = f"{found}; workers may need {_size(needed)} (a guess: 100 MiB and the size of the wrapper's folder, each)"
    yield _warn("memory", guess, "fewer --workers, or more memory")


def shared_memory(facts: Facts, _: Serve) -> Iterator[Finding]:
    """What the processes of a server share."""
    if facts.shared_memory_error:
        advice = "a Linux kernel with memfd_create (3.17), and a sandbox or seccomp profile that allows it"
        yield _fail("shared memory", f"memfd: {facts.shared_memory_error}", advice)
    elif facts.passing_error:
        advice = "a sandbox or seccomp profile that allows sendmsg with SCM_RIGHTS on unix sockets"
        yield _fail("shared memory", f"descriptors cannot be passed: {facts.passing_error}", advice)
    else:
        yield _ok("shared memory", "memfd and passing of descriptors work")


def cards(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Whether there is a card where one is named."""
    named = sorted({device for one in serve.services for device in one.workers.devices})
    if facts.has_card:
        yield _ok("cards", f"there, {'for ' + ', '.join(named) if named else 'and none is named'}")
    elif named:
        advice = (
            "the driver, or in a container: docker run --gpus all; a machine without cards needs no workers.devices"
        )
        yield _fail("cards", f"workers.devices names {', '.join(named)}, and there is no /dev/nvidia*", advice)
    elif facts.cuda_visible not in ("", "-1", "none", "void"):
        found = f"CUDA_VISIBLE_DEVICES={facts.cuda_visible}, and there is no /dev/nvidia*"
        yield _warn("cards", found, "the driver, or in a container: docker run --gpus all")
    else:
        yield _ok("cards", "none there, none named")


def clock(facts: Facts, _: Serve) -> Iterator[Finding]:
    """Whether the date can be right: signatures and certificates go by it."""
    if facts.now < facts.installed - 86_400:  # a day, for whoever unpacks in another time zone
        yield _warn("clock", "earlier than this package's own files", "set it: timedatectl set-ntp true")
    else:
        yield _ok("clock", "later than this package's own files")


def first_process(facts: Facts, _: Serve) -> Iterator[Finding]:
    """Whether a stop reaches the server in a container."""
    command = facts.first_process
    if _SHELLS.match(command):
        advice = 'it passes no SIGTERM on: ENTRYPOINT ["athena", "serve", ...] without a shell, or docker run --init'
        yield _warn("process 1", command[:80], advice)
    else:
        yield _ok("process 1", command[:80] or "not to be seen")


# ── the server ────────────────────────────────────────────────────────────────────────────────────


def ports(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Whether they are free, and who has them."""
    busy = facts.busy
    for setting, port in (("server.port", serve.server.port), ("server.admin_port", serve.server.admin_port)):
        if setting not in busy:
            yield _ok(setting, f"{port} is free" if port else "any free one")
        elif setting == "server.admin_port" and serve.origins.get(setting, "default") == "default":
            yield _warn(
                setting, busy[setting].message, "nobody chose it, so a server takes another; its log says which"
            )
        else:
            yield _fail(setting, busy[setting].message, busy[setting].help)


def public(_: Facts, serve: Serve) -> Iterator[Finding]:
    """Who can reach it."""
    warning = serve.public_warning()
    if warning is None:
        yield _ok("address", "this machine only")
    else:
        yield _warn("address", warning, "a gateway with keys in front, a firewall, or --host 127.0.0.1")


# ── the wrappers ──────────────────────────────────────────────────────────────────────────────────


def wrappers(facts: Facts, serve: Serve) -> Iterator[Finding]:
    """Their folders, and with `--load` they themselves."""
    if not serve.services:
        yield _ok("wrappers", "none named, and no wrapper.py here")
    for hosted in serve.services:
        yield from _wrapper(hosted, _of(facts, hosted))


def _wrapper(hosted: Hosted, folder: Folder) -> Iterator[Finding]:
    name = f"wrapper {hosted.directory.name}"
    if folder.load_error:
        found, _, advice = folder.load_error.partition("\n  help: ")
        yield _fail(name, found.replace("\n  where: ", ", "), advice or f"athena run {hosted.path}")
    else:
        yield _ok(name, f"{hosted.path} loads" if folder.load_error == "" else f"{hosted.path}, not loaded (--load)")
    if not folder.is_writable:
        advice = "PYTHONPYCACHEPREFIX=/tmp/pycache saves compiling at every start; a wrapper must write elsewhere"
        yield _warn(name, f"{hosted.directory} cannot be written", advice)
    yield from _old_file(name, hosted, folder)


def _old_file(name: str, hosted: Hosted, folder: Folder) -> Iterator[Finding]:
    if folder.has_both_files:
        yield _warn(name, f"{FILE_NAME} is not read: athena.toml is beside it", "move what counts there; remove it")
    idle = [remark.key for remark in hosted.remarks if remark.outcome != UNREAD]
    if idle:
        found = f"{FILE_NAME}: without effect here: {', '.join(idle)}"
        yield _warn(name, found, f"athena settings {hosted.path} says what became of each")


def folders(facts: Facts, _: Serve) -> Iterator[Finding]:
    """Where programs put what they need for a moment."""
    if facts.is_temporary_writable:
        yield _ok("temporary files", "can be written")
    else:
        yield _warn("temporary files", "cannot be written", "TMPDIR, or in a container a tmpfs at /tmp")


def _of(facts: Facts, hosted: Hosted) -> Folder:
    return facts.folders.get(hosted.path, Folder())


def _size(count: int) -> str:
    """`1.5 GiB`; exact where it is short."""
    exact = show_size(count)
    if not exact.isdigit() and len(exact) < 7:
        return exact
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:.1f} {unit}"
    return f"{count:,} bytes"


CHECKS: Final[tuple[Check, ...]] = (
    python,
    packages,
    encoding,
    open_files,
    processors,
    threads,
    memory,
    shared_memory,
    cards,
    clock,
    folders,
    first_process,
    ports,
    public,
    wrappers,
)
"""All of them, as they are shown."""
