"""A server's processes: started in a session of their own, weighed as a tree, and always stopped."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.errors import BenchError

STOP_TIMEOUT = 10.0
"""Seconds that a server may take to stop by itself; idle, the slowest of them takes two and a half."""


class Tree:
    """A started server and all its descendants."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._name = name
        self._process = process
        self._root = psutil.Process(process.pid)
        self._log = log

    def check(self) -> None:
        """Raise `BenchError` with the end of its log if the server has exited."""
        code = self._process.poll()
        if code is not None:
            raise BenchError(f"{self._name} exited with status {code}; its last words:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of what the server printed, indented."""
        lines = self._log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(f"    {line}" for line in lines) or f"    nothing in {self._log.name}"

    def members(self) -> list[psutil.Process]:
        """The server and its descendants, now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def cpu(self) -> float:
        """CPU seconds used so far, by the living and by the dead that were waited for."""
        total = 0.0
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def pss(self) -> int:
        """Proportional set size in bytes: a page shared by n processes counts 1/n for each (smaps_rollup)."""
        total = 0
        for member in self.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += member.memory_full_info().pss
        return total

    def stop(self) -> None:
        """Ask the server to stop; what is left of the tree or of its process group is killed."""
        members = self.members()
        try:
            self._process.terminate()
            psutil.wait_procs(members, timeout=STOP_TIMEOUT)
        finally:
            for member in members:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextlib.contextmanager
def started(name: str, command: Sequence[str], *, environ: Mapping[str, str], log: Path) -> Iterator[Tree]:
    """Run a command for as long as the block lasts; what it prints goes to the file `log`.

    It leads a session of its own, so that Ctrl-C in the terminal reaches us alone and we stop it in order.
    Raises `BenchError` if there is no such command.
    """
    if not Path(command[0]).exists():
        raise BenchError(f"no command {command[0]} for {name}", help="make setup; python -m benchmarks setup")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environ},
            start_new_session=True,
        )
        tree = Tree(name, process, log)
        try:
            yield tree
        finally:
            tree.stop()
