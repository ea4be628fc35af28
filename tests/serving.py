"""A real `athena serve` for a test; tests/load.py has clients that notice everything.

    with Server(tmp_path, ECHO, settings={"workers.count": 2}) as server:
        status, body = server.call("echo", "hello")

Whatever the test does, nothing of the server's tree survives it: every process inherits a mark in its environment, and
those that still carry it at the end are killed and reported.
"""

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

ATHENA: Final = Path(sys.executable).with_name("athena")
START_TIMEOUT: Final = 30.0  # seconds; a busy machine included
STOP_TIMEOUT: Final = 20.0  # seconds
ORPHAN_TIMEOUT: Final = 2.0  # seconds; reliability row T6
LOG_LINES: Final = 100  # last ones that a failed test shows
MARK: Final = "TEST_TREE"

ECHO: Final = '''
import os, subprocess, sys, time
from athena_serving.sdk import DataListCls, Response, ResponseData, StringBodyField, WrapperBase


class UserRequest:
    data = StringBodyField(key="data", value=b"warm up")


class UserResponse:
    result = StringBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "echo"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, reqData):
        """Does what the text says: `sleep 0.5`, `wait 0.5` (can be interrupted), `exit 3`, `raise words`."""
        text = reqData.get("data").data.decode()
        word, _, rest = text.partition(" ")
        if word == "sleep":
            time.sleep(float(rest))
        elif word == "wait":
            until = time.monotonic() + float(rest)
            while time.monotonic() < until:
                time.sleep(0.01)
        elif word == "exit":
            os._exit(int(rest))
        elif word == "raise":
            raise RuntimeError(rest)
        response = Response()
        response.list = [ResponseData(key="result", data=text.encode())]
        return response
'''
"""Service `echo`: answers `data` as `result`, both text; see `wrapperOnceExec` for what it can be told."""

T = TypeVar("T")
Json = dict[str, Any]  # what a server says is looked at key by key: the edge
Source = str | Path


def eventually(condition: Callable[[], T], *, timeout: float = 10.0, what: str = "the condition") -> T:
    """The first truthy value of `condition`; fails the test after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < until, f"{what} did not come true within {timeout:g} s"
        time.sleep(0.01)
    return value


def free_port() -> int:
    """A port of the loopback address that nobody listens on, at least now."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


def request_of(service: str, data: str | bytes | None, *, key: str = "data", **params: str) -> Json:
    """An ASE request: one text (`str`) or picture (`bytes`) as input `key`, and the service's parameters."""
    payload: Json = {}
    if data is not None:
        kind = "text" if isinstance(data, str) else "image"
        raw = data.encode() if isinstance(data, str) else data
        payload = {key: {kind: base64.b64encode(raw).decode(), "status": 3}}
    return {"header": {"app_id": "123456"}, "parameter": {service: params}, "payload": payload}


def text_of(body: Json, key: str = "result") -> str:
    """The text of one output of an answer."""
    return base64.b64decode(body["payload"][key]["text"]).decode()


class Server:
    """`athena serve` as a process. Ready when entered, unless `ready=False`; its whole tree is gone when left.

    One that still runs at the end gets SIGTERM and must then end with exit code 0.

    `source` is one wrapper, or several: the text of a `wrapper.py`, or a path. `settings` are `section.key: value`, as
    for `--set`; `flags` come after them as they are. `prefix` is a command that starts ours, as `unshare` does.
    """

    def __init__(
        self,
        folder: Path,
        source: Source | Sequence[Source],
        *flags: str,
        settings: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        ready: bool = True,
        prefix: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.paths = _written(folder, [source] if isinstance(source, str | Path) else list(source))
        """The folders or files that are served."""
        self.port, self.admin_port = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.admin_port}"
        self.log_path = folder / f"server-{self.port}.log"
        self._flags = flags
        self._settings: Mapping[str, object] = {"server.drain_timeout": 5, **(settings or {})}
        self._environ = environ or {}
        self._waits = ready
        self._prefix = prefix
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(trust_env=False, timeout=20.0, limits=httpx.Limits(max_keepalive_connections=0))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complaint = ""
        try:
            if self._process is not None and self._process.poll() is None and (code := self.stop()) != 0:
                complaint = f"ended with exit code {code}"
        except subprocess.TimeoutExpired:
            complaint = f"did not stop within {STOP_TIMEOUT:g} s of SIGTERM"
            self.process.kill()
            self.process.wait()
        self._client.close()
        orphans = self._kill_orphans()
        if orphans:
            complaint += f"\nsurvived: {orphans}"
        if complaint or error is not None:
            tail = "\n".join(self.log_text().splitlines()[-LOG_LINES:])
            sys.stderr.write(f"── log of the server ──\n{tail}\n")  # pytest shows it for a failed test
        if complaint and error is None:
            pytest.fail(f"the server {complaint.strip()}")

    # ── the process ───────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start it, again after a `stop`, on the same ports."""
        settings = [word for name, value in self._settings.items() for word in ("--set", f"{name}={value}")]
        command: list[str | Path] = [*self._prefix, ATHENA, "serve", *self.paths, "--port", str(self.port)]
        command += ["--admin-port", str(self.admin_port), "--log", "json", *settings, *self._flags]
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environ, MARK: self._mark},
                cwd=self.folder,
                process_group=0,  # as a shell starts it: Ctrl-C goes to this group
            )
        if self._waits:
            self.wait_ready()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The supervisor."""
        assert self._process is not None, "the server was not started"
        return self._process

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self.process.pid

    def kill(self, number: int) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        return self.process.wait(timeout)

    def stop(self, number: int = signal.SIGTERM, timeout: float = STOP_TIMEOUT) -> int:
        """End it, if it still runs; the exit code."""
        if self._process is None:
            return 0
        self.process.send_signal(number)
        return self.wait(timeout)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Return once /readyz of the service port says 200 and every worker is ready; fail, with the log, otherwise."""
        eventually(self._is_ready, timeout=timeout, what="readiness")

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the server ended with exit code {self.process.returncode} before it was ready")
        if self.probe("/readyz") != 200:
            return False
        services = self.health()["services"].values()
        return all(worker["state"] == "ready" for service in services for worker in service["workers"])

    def tree(self) -> dict[int, str]:
        """Every living process of it, children that detached themselves included: command line by pid."""
        return _marked(f"{MARK}={self._mark}".encode())

    def _kill_orphans(self) -> dict[int, str]:
        with contextlib.suppress(AssertionError):
            eventually(lambda: not self.tree(), timeout=ORPHAN_TIMEOUT)
        orphans = self.tree()
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return orphans

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────

    def call(
        self, service: str, data: str | bytes | None = "", *, key: str = "data", **params: str
    ) -> tuple[int, Json]:
        """One call on a connection of its own: HTTP status and JSON body."""
        answer = self.post(service, request_of(service, data, key=key, **params))
        body: Json = answer.json()
        return answer.status_code, body

    def post(self, service: str, document: object, *, timeout: float = 20.0) -> httpx.Response:
        """POST a document to a service as it is."""
        return self._client.post(f"{self.url}/v1/private/{service}", json=document, timeout=timeout)

    def begin(self, service: str, data: str | bytes) -> http.client.HTTPConnection:
        """Send a call and come back; `getresponse()` waits for the answer, `close()` leaves without it."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20.0)
        body = json.dumps(request_of(service, data))
        link.request("POST", f"/v1/private/{service}", body, {"content-type": "application/json"})
        return link

    def get(self, path: str, *, admin: bool = False) -> httpx.Response:
        """GET from the service port, or the admin port."""
        return self._client.get(f"{self.admin if admin else self.url}{path}")

    def probe(self, path: str, *, admin: bool = False) -> int:
        """Status of a GET; 0 if nobody answers."""
        try:
            return self.get(path, admin=admin).status_code
        except httpx.TransportError:
            return 0

    # ── what it says of itself ────────────────────────────────────────────────────────────────────

    def health(self) -> Json:
        """/healthz of the admin port."""
        document: Json = self.get("/healthz", admin=True).json()
        return document

    def wait_for(self, predicate: Callable[[Json], object], timeout: float = 10.0, *, what: str = "health") -> Json:
        """The first health that the predicate is true of; a server that does not answer yet is asked again."""

        def matching() -> Json | None:
            try:
                health = self.health()
            except httpx.TransportError:
                return None
            return health if predicate(health) else None

        found = eventually(matching, timeout=timeout, what=what)
        assert found is not None
        return found

    def workers(self, service: str | None = None) -> dict[str, int]:
        """Pids of the living workers by name, of one service or of all."""
        services = self.health()["services"]
        chosen = [services[service]] if service is not None else services.values()
        return {one["name"]: one["pid"] for health in chosen for one in health["workers"] if one.get("pid")}

    def door(self) -> int:
        """Pid of the door."""
        doors = [pid for pid, command in self.tree().items() if "athena_serving.gateway" in command]
        assert doors, "there is no door"
        return doors[0]

    def metrics(self) -> dict[str, float]:
        """/metrics of the admin port by series, labels in order of exposition: `athena_seats{service="echo"}`."""
        answer = self.get("/metrics", admin=True)
        assert answer.status_code == 200
        return parse_metrics(answer.text)

    def total(self, family: str, **labels: str) -> float:
        """Sum of the series of a metric that carry these labels."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(
            value
            for series, value in self.metrics().items()
            if series.partition("{")[0] == family and all(one in series for one in wanted)
        )

    def log_text(self) -> str:
        """All that it wrote."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log(self, message: str = "") -> list[Json]:
        """Its log so far, lines that contain `message`; a line that is not JSON is `{"message": line}`."""
        return [line for line in map(_parsed, self.log_text().splitlines()) if message in str(line.get("message"))]

    def logged(self, message: str, **fields: object) -> Json:
        """The last line of its log with `message` and `fields`, once it is there: workers speak through a pipe."""

        def matching() -> list[Json]:
            return [line for line in self.log(message) if fields.items() <= line.items()]

        return eventually(matching, what=f"the log line {message!r}")[-1]


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text, as its own parser reads it."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            series = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert series not in values, f"{series} stands twice"
            values[series] = sample.value
    return values


def is_alive(pid: int) -> bool:
    """Does a process run? A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _written(folder: Path, sources: Sequence[Source]) -> list[Path]:
    paths: list[Path] = []
    for number, source in enumerate(sources):
        if isinstance(source, Path):
            paths.append(source)
            continue
        place = folder / f"service-{number}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "wrapper.py").write_text(source)
        paths.append(place)
    return paths


def _marked(mark: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has just ended
            if mark in (entry / "environ").read_bytes().split(b"\0"):  # a zombie's is empty
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = command.decode(errors="replace").strip()
    return found


def _parsed(line: str) -> Json:
    try:
        parsed = json.loads(line)
    except ValueError:
        return {"message": line}
    return parsed if isinstance(parsed, dict) else {"message": line}
