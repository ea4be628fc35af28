"""Parents, children, marks and ends of real processes; what the kernel says of memory, from files as it writes them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from athena_serving.kit import processes

MARK = "KIT_TEST_MARK"


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that `oom_kills` reads, not there yet."""
    path = tmp_path / "memory.events"
    monkeypatch.setattr(processes, "_memory_events", lambda: iter([tmp_path / "no such group", path]))
    return path


def test_oom_kills_are_read_from_the_first_file_that_tells(events: Path) -> None:
    """The number stands in cgroup v2's memory.events among others that only look like it."""
    events.write_text("low 0\nhigh 12\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\n")
    assert processes.oom_kills() == 2


def test_oom_kills_are_read_from_the_old_file_too(events: Path) -> None:
    """The file of cgroup v1, memory.oom_control, has the number under the same name."""
    events.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    assert processes.oom_kills() == 5


@pytest.mark.parametrize("text", [None, "", "oom 3\n", "oom_kill\n", "oom_kill many\n"])
def test_oom_kills_are_unknown_where_the_system_does_not_tell(events: Path, text: str | None) -> None:
    """No file, no such line or no number is None, not 0."""
    if text is not None:
        events.write_text(text)
    assert processes.oom_kills() is None


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os._exit(0)", "exit code 0"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGRTMIN + 5)", "killed by signal 39"),
    ],
)
def test_exit_reason_names_code_or_signal(program: str, reason: str) -> None:
    """A wait status reads as words, for signals without a name too."""
    process = subprocess.Popen([sys.executable, "-S", "-c", program])
    status = os.waitpid(process.pid, 0)[1]
    process.returncode = status  # reaped here, since a Popen object tells no wait status
    assert processes.exit_reason(status) == reason


@pytest.fixture
def marked() -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """Sleeping processes by their mark, detached from us as far as can be."""
    started = {
        mark: subprocess.Popen(["sleep", "1000"], start_new_session=True, env={"PATH": os.environ["PATH"], MARK: mark})
        for mark in ("1.a.7.", "1.b.8.", "12.a.9.")
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


def test_marked_processes_end_and_others_live(marked: dict[str, "subprocess.Popen[bytes]"]) -> None:
    """Every process whose mark begins so is killed, in whatever session it is; a longer number is another mark."""
    processes.kill_marked(MARK, "1.")
    assert marked["1.a.7."].wait(5.0) == -signal.SIGKILL
    assert marked["1.b.8."].wait(5.0) == -signal.SIGKILL
    assert marked["12.a.9."].poll() is None


def test_marked_process_does_not_end_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever carries the mark and asks for it is spared: a door ends what is around it, then itself."""
    program = f"from athena_serving.kit import processes; processes.kill_marked({MARK!r}, '1.'); print('alive')"
    environ = {**os.environ, MARK: "1.door."}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True, timeout=20)
    assert done.stdout == b"alive\n"


def test_group_of_our_own_is_never_killed() -> None:
    """Group numbers that would mean ourselves, or everybody, are ignored."""
    for group in (-1, 0, 1, os.getpgrp()):
        processes.kill_group(group)


def test_group_that_is_gone_is_no_error() -> None:
    """A group whose last member has ended is taken for done."""
    process = subprocess.Popen(["true"], process_group=0)
    process.wait()
    processes.kill_group(process.pid)
