"""One child process: started in a group of its own, with a channel; its end is an event, never asked for."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from athena_serving.kit import processes
from athena_serving.kit.channel import AsyncChannel, OnMessage
from athena_serving.supervisor.output import Output
from athena_serving.wire.control import SPAWN

MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
"""glibc gives every freed buffer over 128 KiB back to the kernel and fetches it anew, page by page: half the time of a
200 KB request. The child takes these out of its environment, so that what user code starts does not inherit them."""


class End(NamedTuple):
    """How a child ended."""

    status: int
    """Wait status."""
    lived: float
    """Seconds."""
    was_oom: bool
    """Did the kernel end a process of our control group for lack of memory meanwhile?"""

    @property
    def reason(self) -> str:
        """In words."""
        return processes.exit_reason(self.status) + (" (out of memory)" if self.was_oom else "")


class Child:
    """A process of ours."""

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self.pid = 0
        self.output: Output | None = None
        self._module = module
        self._channel: AsyncChannel | None = None
        self._ended: asyncio.Future[End] | None = None
        self._started = 0.0
        self._oom = 0
        self._mark = f"{os.getpid()}.{name}.{time.monotonic_ns()}."

    def start(
        self,
        on_message: OnMessage,
        *,
        environ: Mapping[str, str],
        directory: Path,
        log_lines: int | None = None,
    ) -> None:
        """Spawn it. Must be called on the main thread: its death signal follows the thread that spawned it.

        With `log_lines` its output is captured; without, it has ours.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        captured, sink = os.pipe() if log_lines is not None else (None, None)
        self._started = time.monotonic()
        self._oom = processes.oom_kills() or 0
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", self._module, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=[theirs.fileno()],
            process_group=0,
            cwd=directory,
            env={**environ, **MALLOC, SPAWN: self._mark},
        )
        theirs.close()
        self.pid = process.pid
        process.returncode = 0  # we reap it, not the Popen object
        if captured is not None and sink is not None and log_lines is not None:
            os.close(sink)
            self.output = Output(self.name, captured, lines_per_second=log_lines, passed_on=2)
            self.output.start()
        self._ended = loop.create_future()
        self._watch(loop)
        self._channel = AsyncChannel(ours)
        self._channel.start(on_message, _nothing)

    async def ended(self) -> End:
        """Wait for its end. Its group, and whatever it started and detached, is gone by then."""
        if self._ended is None:
            raise RuntimeError(f"{self.name} was not started")
        return await asyncio.shield(self._ended)

    @property
    def has_ended(self) -> bool:
        """Is it dead?"""
        return self._ended is not None and self._ended.done()

    def send(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Send an order; one that is dead gets none."""
        if self._channel is not None:
            self._channel.send(message, fds)

    def signal(self, number: int) -> None:
        """Send the process a signal, if it is alive."""
        if self.pid and not self.has_ended:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End its group at once."""
        if self.pid and not self.has_ended:
            processes.kill_group(self.pid)
            self.signal(signal.SIGKILL)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(self.pid)
            loop.add_reader(descriptor, self._reap, descriptor)
            return
        waiting = loop.run_in_executor(None, os.waitpid, self.pid, 0)
        waiting.add_done_callback(lambda done: self._end(done.result()[1]))

    def _reap(self, descriptor: int) -> None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
            self._end(status)

    def _end(self, status: int) -> None:
        # The pid stays taken as a group's number while the group has a member, so this hits nobody else.
        processes.kill_group(self.pid)
        processes.kill_marked(SPAWN, self._mark)
        if self._channel is not None:
            self._channel.finish()  # its last words may be there, unread: why it failed
        if self.output is not None:
            self.output.close()
        oom = (processes.oom_kills() or 0) > self._oom
        if self._ended is not None and not self._ended.done():
            killed = os.waitstatus_to_exitcode(status) == -signal.SIGKILL
            self._ended.set_result(End(status, time.monotonic() - self._started, was_oom=oom and killed))


def _nothing() -> None:
    """The channel's end says nothing that the process's end does not."""
