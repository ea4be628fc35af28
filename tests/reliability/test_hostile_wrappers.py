"""T19: whatever a wrapper does to its process, the call gets a code, the log a line, and the server lives."""

import collections
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.serving import ECHO, Server, eventually, text_of

HEAD: Final = '''
import asyncio, ctypes, os, sys, threading, time
from athena_serving.sdk import Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"warm up")


class UserResponse:
    result = StringBodyField(key="result")


class Broken:
    """Stands in for sys.stdout, badly."""

    def write(self, text):
        raise RuntimeError("broken write")

    def flush(self):
        raise RuntimeError("broken flush")


ERRORS = {kind.__name__: kind for kind in (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)}


def obey(text):
    """Do what the text says; the answer."""
    what, _, rest = text.partition(" ")
    if what == "raise":
        raise ERRORS[rest](3)
    elif what == "code":
        return Response().response_err(int(rest))
    elif what == "write":
        os.write(int(rest), f"descriptor {rest}\\n".encode())
    elif what == "print":
        print(rest, end="", flush=True)
    elif what == "replace":
        sys.stdout = sys.stderr = Broken()
    elif what == "shut":
        os.close(1)
        os.close(2)
    elif what == "thread":
        threading.Thread(target=time.sleep, args=(3600,)).start()
    elif what == "exit":
        os._exit(int(rest))
    elif what == "crash":
        ctypes.string_at(0)
    elif what == "fork" and os.fork() == 0:
        {"return": int, "exit": lambda: os._exit(3), "leave": lambda: sys.exit(3)}[rest]()
        text = "the child's answer"
    elif what == "big":
        text = "x" * int(rest)
    response = Response()
    response.list = [ResponseData(key="result", data=text.encode())]
    return response


class Hostile(WrapperBase):
    serviceId = "hostile"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperError(self, code):
        raise LookupError(code)
'''

SYNC: Final = """

class Wrapper(Hostile):
    def wrapperOnceExec(self, params, reqData):
        return obey(reqData.get("data").data.decode())
"""

ASYNC: Final = """

class Wrapper(Hostile):
    async def wrapperOnceExec(self, params, reqData):
        return obey(reqData.get("data").data.decode())
"""

MODES: Final = {"main thread": (SYNC, 1), "threads": (SYNC, 2), "coroutines": (ASYNC, 2)}
"""Where user code can run: source and seats."""
RATE: Final = 50
"""Setting `workers.log_lines` where it is tested."""
STOP_TIMEOUT: Final = 1.0
"""Setting `workers.stop_timeout`, seconds."""


@pytest.fixture(scope="module", params=list(MODES))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose worker no test harms for good."""
    source, seats = MODES[request.param]
    settings = {"workers.seats": seats, "workers.restart_limit": 100}
    with Server(tmp_path_factory.mktemp("hostile"), HEAD + source, settings=settings) as one:
        yield one


def assert_answers(server: Server, text: str = "well", answer: str = "") -> None:
    """A call is answered as it should be: with the answer, or its own text."""
    status, body = server.call("hostile", text)
    assert (status, text_of(body) if status == 200 else body) == (200, answer or text)


def lines_of(server: Server, message: str) -> list[dict[str, object]]:
    """Lines of the log that the worker wrote, by a part of their text; each must carry its name."""
    server.logged(message, logger="output")
    lines = [line for line in server.log(message) if line.get("logger") == "output"]
    assert all(line["worker"] == "hostile-0" for line in lines)
    return lines


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError"])
def test_exceptions_that_end_a_process_end_a_call_only(server: Server, error: str) -> None:
    """T19: SystemExit, KeyboardInterrupt and their like are 502 with code 10909; the same worker serves on."""
    pids = server.workers()
    status, body = server.call("hostile", f"raise {error}")
    assert (status, body["header"]["code"]) == (502, 10909)
    assert error in body["header"]["message"]
    assert_answers(server)
    assert server.workers() == pids


def test_wrapper_error_that_raises_is_no_second_fault(server: Server) -> None:
    """T19: if `wrapperError` raises while it explains a code, the caller has the code and the log the reason."""
    pids = server.workers()
    status, body = server.call("hostile", "code 7")
    assert (status, body["header"]["code"], body["header"]["message"]) == (502, 10909, ";code=7")
    eventually(lambda: server.log("wrapperError(7) raised"), what="the log line")
    assert_answers(server)
    assert server.workers() == pids


@pytest.mark.parametrize("end", ["return", "exit", "leave"])
def test_forked_child_gives_no_answer_of_its_own(server: Server, end: str) -> None:
    """T19: a wrapper forks; the parent's answer is the only one, however the child ends; the same worker serves on."""
    pids = server.workers()
    for _ in range(5):
        assert_answers(server, f"fork {end}")
        assert_answers(server)
    assert server.workers() == pids
    assert server.total("athena_calls_in_flight") == 0


@pytest.mark.parametrize(
    ("deed", "reason"), [("exit 7", "exit code 7"), ("exit 0", "exit code 0"), ("crash", "killed by SIGSEGV")]
)
def test_wrapper_that_ends_its_process_costs_its_call_only(server: Server, deed: str, reason: str) -> None:
    """T19: after os._exit or a segmentation fault the caller has 503 with code 10109, the log the reason."""
    (pid,) = server.workers().values()
    answer = server.begin("hostile", deed)
    response = answer.getresponse()
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert b"10109" in response.read()
    answer.close()
    eventually(lambda: server.workers().get("hostile-0", pid) != pid, what="another worker")
    server.wait_for(lambda health: health["ready"], what="readiness")
    assert_answers(server)
    assert server.logged(f"hostile-0 died: {reason}", pid=pid)
    if deed == "crash":
        assert lines_of(server, "Segmentation fault")
        assert lines_of(server, "in obey")


def test_output_is_read_below_sys_stdout(tmp_path: Path) -> None:
    """T19: a wrapper puts rubbish in sys.stdout; what reaches the descriptors is logged with the worker's name."""
    with Server(tmp_path, HEAD + SYNC) as server:
        assert_answers(server, "print whole\n")
        assert_answers(server, "print half")
        assert_answers(server, "replace")
        assert server.call("hostile", "print lost")[0] == 502
        for descriptor in (1, 2):
            assert_answers(server, f"write {descriptor}")
        eventually(lambda: lines_of(server, "descriptor 2"), what="the line")
        assert [line["message"] for line in lines_of(server, "")] == ["whole", "half", "descriptor 1", "descriptor 2"]
        eventually(lambda: server.log("wrapperOnceExec raised RuntimeError"), what="our own line")
        assert_answers(server, "write 1")
        assert server.stop() == 0
        assert not server.log("killed")


def test_half_a_line_is_logged_when_the_worker_ends(tmp_path: Path) -> None:
    """T19: what is printed without a newline is not lost."""
    with Server(tmp_path, HEAD + SYNC) as server:
        assert_answers(server, "print no newline")
        assert server.stop() == 0
        assert lines_of(server, "no newline")


@pytest.mark.parametrize("end", [r"\n", ""])
def test_output_without_end_is_cut_and_counted(tmp_path: Path, end: str) -> None:
    """T19: a wrapper that prints without end, lines or one long line, is served, and its log is bounded."""
    noise = f"""
    def wrapperInit(self, config):
        def flood():
            while True:
                print("noise" * 10, end="{end}", flush=True)
        threading.Thread(target=flood, daemon=True).start()
        return 0
"""
    with Server(tmp_path, HEAD + SYNC + noise, settings={"workers.log_lines": RATE}) as server:
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            assert_answers(server)
            assert server.health()["ready"]
        if end:
            lost = eventually(lambda: lines_of(server, "more lines in that second"), what="the count of lost lines")
            assert all(line["level"] == "WARNING" for line in lost)
        seconds = collections.Counter(str(line["time"])[:19] for line in lines_of(server, "noise"))
        assert seconds
        assert max(seconds.values()) <= 2 * RATE  # seconds of the clock are not those that are counted in
        assert server.stop() == 0


def test_closed_standard_descriptors_are_not_given_to_others(tmp_path: Path) -> None:
    """T19: a wrapper closes 1 and 2; no link or memory of ours takes their place, where a print would spoil it."""
    with Server(tmp_path, HEAD + SYNC) as server:
        (pid,) = server.workers().values()
        assert_answers(server, "shut")
        assert server.call("hostile", "write 1")[0] == 502
        eventually(lambda: server.log("wrapperOnceExec raised OSError"), what="our own line")
        for _ in range(2):
            assert_answers(server, f"big {1 << 20}", "x" * (1 << 20))
            server.call("hostile", "write 1")
            server.call("hostile", "write 2")
            assert standard_of(pid) <= {"/dev/null"}
            kill_door(server)  # the next one sends new links
        assert_answers(server)
        assert list(server.workers().values()) == [pid]


def standard_of(pid: int) -> set[str]:
    """What a process has in the places of its standard output and error."""
    places = [Path(f"/proc/{pid}/fd/{number}") for number in (1, 2)]
    return {str(place.readlink()) for place in places if place.is_symlink()}


def kill_door(server: Server) -> None:
    """Kill the door and wait for the next one."""
    os.kill(server.door(), signal.SIGKILL)
    server.wait_for(lambda health: not health["ready"], what="the door's death")
    server.wait_ready()


def test_threads_that_never_end_do_not_keep_the_server(tmp_path: Path) -> None:
    """T19: a wrapper leaves a thread running that is no daemon; SIGTERM ends all the same, in order."""
    with Server(tmp_path, HEAD + SYNC) as server:
        assert_answers(server, "thread")
        assert server.stop() == 0
        assert not server.log("killed")


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("time.sleep(3600)", f"did not end within {STOP_TIMEOUT:g} s of wrapperFini; killed"),
        ("raise SystemExit(3)", "wrapperFini raised"),
    ],
)
def test_wrapper_fini_cannot_keep_the_server(tmp_path: Path, deed: str, message: str) -> None:
    """T19: `wrapperFini` hangs and is killed after stop_timeout, or raises and is logged; the server ends with 0."""
    fini = f"\n    def wrapperFini(self):\n        {deed}\n"
    with Server(tmp_path, HEAD + SYNC + fini, settings={"workers.stop_timeout": STOP_TIMEOUT}) as server:
        assert_answers(server)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < STOP_TIMEOUT + 3.0
        assert server.log(message)


CLOSES_ALL = ECHO.replace("        return response\n", "        os.closerange(3, 1024)\n        return response\n")


def test_call_whose_worker_lost_its_descriptors_is_not_run_again(tmp_path: Path) -> None:
    """T19: user code that closes every descriptor loses its answer; the caller hears 10109, the server lives."""
    with Server(tmp_path, CLOSES_ALL, settings={"workers.warmup": False, "workers.count": 2}) as server:
        status, body = server.call("echo", "once")
        assert (status, body["header"]["code"]) == (503, 10109)
        server.wait_ready()
        assert server.total("athena_worker_restarts_total") == 1
