"""An HTTP server that answers as its script says, one entry a request, and remembers what it was sent."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

SUCCESS = b'{"header":{"code":0,"message":"success","sid":"s1"},"payload":{}}'
BUSY = b'{"header":{"code":10110,"message":"the queue is full","sid":"s0"}}'


class Said(NamedTuple):
    """One answer; without a status the connection is closed instead, and with a negative one nothing is said."""

    status: int = 200
    body: bytes = SUCCESS
    headers: dict[str, str] = {}  # noqa: RUF012  # never changed


class Heard(NamedTuple):
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Script:
    """The server; `heard` is what came so far."""

    def __init__(self, answers: Sequence[Said]) -> None:
        self.url = ""
        self.heard: list[Heard] = []
        self.over = threading.Event()
        """Set at the end: lets those go that wait for an answer."""
        self._left = [*answers]

    def next(self, heard: Heard) -> Said:
        """The answer to a request; the last one is repeated."""
        self.heard.append(heard)
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


@contextmanager
def scripted(*answers: Said) -> Iterator[Script]:
    """A running server with this script."""
    script = Script(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            said = script.next(Heard(self.command, self.path, {**self.headers}, body))
            if said.status <= 0:
                if said.status < 0:
                    script.over.wait(30.0)
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in {"content-length": str(len(said.body)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = handle_any

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="scripted server")
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield script
        finally:
            script.over.set()
            server.shutdown()
            thread.join()
