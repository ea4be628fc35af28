"""Processes of Linux: parents, children, groups. On other systems each does what can be done and says so."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def _prctl(option: int, value: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel for this signal when the thread that forked us ends. Linux only."""
    _prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies. Linux only."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """Pids of this process's children, adopted ones too; empty where the system does not tell."""
    pids: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                pids.extend(int(pid) for pid in (task / "children").read_text().split())
    return pids


def kill_group(group: int) -> None:
    """End every process of a group that is not our own; none left is no error."""
    if group <= 1 or group == os.getpgrp():
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_marked(variable: str, mark: str) -> None:
    """End every other process whose environment has this variable with a value that begins with this mark.

    What is started with the variable set, and all that comes from it, is found so, however it detaches itself.
    """
    ended: set[int] = {os.getpid()}
    while found := set(_marked(f"{variable}={mark}".encode())) - ended:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= found  # look again: one may have started another meanwhile


def _marked(entry: bytes) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if any(one.startswith(entry) for one in (process / "environ").read_bytes().split(b"\0")):
                    yield int(process.name)


def exit_reason(status: int) -> str:
    """A wait status in words: `exit code 3`, `killed by SIGSEGV`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def oom_kills() -> int | None:
    """Processes of our control group that the kernel ended for lack of memory; None where it does not tell."""
    for path in _memory_events():
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return None


def _memory_events() -> Iterator[Path]:
    root = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "":
                yield root / group.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield root / "memory" / group.lstrip("/") / "memory.oom_control"
    yield root / "memory.events"
