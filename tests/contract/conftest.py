"""A server process per test, with an engine and a small application in it."""

import resource
from collections.abc import Iterator

import pytest

from tests.contract.engine_process import EngineProcess, Serve


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start server processes: `serve(http2=True, header=1024, header_timeout=0.3)`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 8192:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    running: list[EngineProcess] = []

    def start(
        *, http2: bool = False, ws_ping: float = 20.0, tls: list[str] | None = None, **limits: float
    ) -> EngineProcess:
        server = EngineProcess(http2=http2, ws_ping=ws_ping, tls=tls, limits=limits)
        running.append(server)
        assert server.read() == "ready"
        return server

    yield start
    complaints = [server.stop() for server in running]
    assert complaints == [""] * len(complaints), "the server wrote to standard error"
