"""Who is whose child, and what the kernel does for either: real processes (kit/processes.py)."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from athena_serving.kit import processes

HEAD = "import os, subprocess, sys, time; from athena_serving.kit import processes\n"


def started(code: str) -> "subprocess.Popen[bytes]":
    """A Python process in a group of its own; what it prints can be read."""
    return subprocess.Popen([sys.executable, "-c", HEAD + code], stdout=subprocess.PIPE, process_group=0)


def line(process: "subprocess.Popen[bytes]") -> bytes:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_over(descriptor: int) -> bool:
    """Has the process behind a pidfd ended, or does it within ten seconds?"""
    ready, _, _ = select.select([descriptor], [], [], 10.0)
    os.close(descriptor)
    return bool(ready)


def test_group_ends_whole() -> None:
    """A process and what it started."""
    with started("print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)") as child:
        grandchild = os.pidfd_open(int(line(child)))
        processes.kill_group(child.pid)
        assert child.wait(10) == -9
        assert is_over(grandchild)


def test_children_are_known_until_they_are_reaped() -> None:
    """Every child of every thread of this process."""
    with started("print(flush=True); time.sleep(60)") as child:
        line(child)
        assert child.pid in processes.children()
        child.kill()
        child.wait(10)
        assert child.pid not in processes.children()


def test_child_dies_with_its_parent() -> None:
    """The kernel sees to it, whatever ends the parent."""
    inner = HEAD + "processes.die_with_parent(); print(flush=True); time.sleep(60)"
    code = f"child = subprocess.Popen([sys.executable, '-c', {inner!r}], stdout=subprocess.PIPE)"
    with started(code + "\nchild.stdout.readline(); print(child.pid, flush=True); time.sleep(60)") as parent:
        child = os.pidfd_open(int(line(parent)))
        parent.kill()
        assert is_over(child)


def test_orphans_are_adopted() -> None:
    """Whose parent dies becomes a child of the process that asked for it."""
    code = """
processes.adopt_orphans()
orphan = int(subprocess.run(["sh", "-c", "sleep 60 >/dev/null & echo $!"], stdout=subprocess.PIPE).stdout)
print(orphan in processes.children(), flush=True)
os.kill(orphan, 9)
"""
    with started(code) as child:
        assert line(child) == b"True"


def test_refused_request_to_the_kernel_is_raised() -> None:
    """A signal that there is not, say."""
    with pytest.raises(OSError, match="Invalid argument"):
        processes.die_with_parent(9999)


def test_other_systems_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no prctl nothing happens."""
    monkeypatch.setattr(sys, "platform", "darwin")
    processes.die_with_parent(9999)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("0::/our/group", "/sys/fs/cgroup/our/group/memory.events"),
        ("7:cpu,memory:/our/group", "/sys/fs/cgroup/memory/our/group/memory.oom_control"),
    ],
)
def test_control_group_is_found_in_either_hierarchy(monkeypatch: pytest.MonkeyPatch, line: str, path: str) -> None:
    """Version 2 has one tree, version 1 one for memory."""
    monkeypatch.setattr(Path, "read_text", lambda _: f"{line}\n3:cpu:/elsewhere\n")
    assert [str(found) for found in processes._memory_events()] == [path, "/sys/fs/cgroup/memory.events"]
