"""A running `athena serve` for the examples."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ATHENA = Path(sys.executable).with_name("athena")
START_TIMEOUT = 90.0  # seconds; loading a model on a busy machine included
STOP_TIMEOUT = 60.0  # seconds

Serve = Callable[[str], httpx.Client]
"""Starts an example by the name of its folder; the client's base is its address."""


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts examples; each is stopped by SIGTERM after the module's tests and must then exit with 0."""
    with ExitStack() as running:
        yield lambda name: running.enter_context(serving(name, log=tmp_path_factory.mktemp(name) / "server.log"))


@contextmanager
def serving(name: str, *, log: Path) -> Iterator[httpx.Client]:
    """A ready server of one example, from start to its orderly end."""
    port, admin = free_ports()
    command: list[str | Path] = [ATHENA, "serve", EXAMPLES / name, "--port", str(port), "--admin-port", str(admin)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60.0) as client,
    ):
        try:
            wait_ready(server, client, log)
            yield client
            server.terminate()
            assert server.wait(STOP_TIMEOUT) == 0, log.read_text()
        finally:
            server.kill()


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on, at least now."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def wait_ready(server: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    """Return once GET /readyz says 200; fail if the server ends first or takes too long."""
    began = time.monotonic()
    while not is_ready(client):
        assert time.monotonic() - began < START_TIMEOUT, f"not ready in time\n{log.read_text()}"
        try:
            code = server.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the server ended with exit code {code} before it was ready\n{log.read_text()}")


def is_ready(client: httpx.Client) -> bool:
    """Whether GET /readyz says 200."""
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
