"""A process with one engine and a small application in it, for test_http_engine.py: both ends of it.

`EngineProcess` starts `python engine_process.py FD JSON`. Orders go as lines to its standard input, each is answered
by one line of JSON on standard output; `wait` is how a test waits for something to have happened there.
"""

import asyncio
import json
import select
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvloop

from athena_serving.gateway.engine import Engine
from athena_serving.settings import Limits

Scope = dict[str, Any]
CHUNK = bytes(64 * 1024)
PATIENCE = 20.0
"""Seconds after which a test that waits has failed."""


class EngineProcess:
    """A process of its own with one engine in it; the test bound its socket, as a supervisor does."""

    def __init__(self, **asked: object) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = listener.getsockname()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(listener.fileno()), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            text=True,
        )
        listener.close()

    def read(self) -> object:
        """Read one answer of the process."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise TimeoutError("the server process does not answer")
        line = self.process.stdout.readline()
        assert line, f"the server process ended: {self.process.stderr and self.process.stderr.read()}"
        return json.loads(line)

    def order(self, *words: object) -> None:
        """Tell the process to do something; `read` gives its answer."""
        assert self.process.stdin is not None
        print(*words, file=self.process.stdin, flush=True)

    def ask(self, *words: object) -> object:
        """Give an order and wait for the answer."""
        self.order(*words)
        return self.read()

    def number(self, *words: object) -> int:
        """Give an order that is answered by a number."""
        answer = self.ask(*words)
        assert isinstance(answer, int)
        return answer

    def connect(self, *, receive_buffer: int = 0) -> socket.socket:
        """Open a connection, if asked with a small receive buffer."""
        client = socket.socket()
        client.settimeout(PATIENCE)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            client.connect(self.address)
        except OSError:
            client.close()
            raise
        return client

    def stop(self) -> str:
        """End the process; returns what it wrote to standard error."""
        try:
            _, errors = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        return errors


Serve = Callable[..., EngineProcess]
"""Starts one: `serve(http2=True, header=1024, header_timeout=0.3)`."""


class Application:
    """Answers by path; counts what happened, so that a test can wait for it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.released = asyncio.Event()
        self._changed = asyncio.Condition()

    async def note(self, name: str, count: int = 1) -> None:
        """Something has happened `count` times."""
        self.counts[name] += count
        async with self._changed:
            self._changed.notify_all()

    async def wait(self, name: str, count: int) -> int:
        """Wait until it has happened `count` times."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.counts[name] >= count)
        return self.counts[name]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Be an ASGI application: the name of the method is the path."""
        await getattr(self, scope["path"].strip("/"))(scope, receive, send)

    async def echo(self, _scope: Scope, receive: Any, send: Any) -> None:
        """Send the body back."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                await self.note("left")
                return
            body += message["body"]
            more = message["more_body"]
        await answer(send, 200, body)

    async def names(self, scope: Scope, receive: Any, send: Any) -> None:
        """Read the body, then answer with the names of the headers."""
        while (await receive()).get("more_body"):
            pass
        await answer(send, 200, b" ".join(name for name, _ in scope["headers"]))

    async def early(self, scope: Scope, _receive: Any, send: Any) -> None:
        """Refuse without reading; `?close` closes the connection as well."""
        headers = [(b"connection", b"close")] if scope["query_string"] == b"close" else []
        await answer(send, 413, b"too large", headers)

    async def hold(self, _scope: Scope, _receive: Any, send: Any) -> None:
        """Answer when the test says `release`."""
        await self.note("held")
        await self.released.wait()
        await answer(send, 200, b"held")

    async def release(self, _scope: Scope, _receive: Any, send: Any) -> None:
        """Do what the test's `release` does."""
        self.released.set()
        await answer(send, 200, b"released")

    async def begin(self, _scope: Scope, receive: Any, send: Any) -> None:
        """Begin an answer, read the body, end the answer."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.body", "body": b"ended"})

    async def stream(self, scope: Scope, receive: Any, send: Any) -> None:
        """Send `?mb=` megabytes as fast as the client takes them; note how much of it was taken from us."""
        megabytes = int(parse_qs(scope["query_string"])[b"mb"][0])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(leave(receive))
        for _ in range(megabytes * 16):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            if gone.done():
                break
            self.counts["sent"] += len(CHUNK)
        await send({"type": "http.response.body"})
        gone.cancel()
        await self.note("streamed")

    async def leave(self, _scope: Scope, receive: Any, _send: Any) -> None:
        """Wait for the client to go."""
        await self.note("waiting")
        await leave(receive)
        await self.note("left")

    async def session(self, _scope: Scope, receive: Any, send: Any) -> None:
        """Speak WebSocket, and note when it is over."""
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await self.talk(receive, send)
        finally:
            await self.note("left")

    async def talk(self, receive: Any, send: Any) -> None:
        """Echo; `bye` closes with a code and a reason, `hold` stops reading until `release`, `flood` never ends."""
        while (message := await receive())["type"] == "websocket.receive":
            text = message["bytes"].decode()  # the engine hands texts over as they came
            if text == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "because"})
                return
            if text == "hold":
                await self.note("held")
                await self.released.wait()
            while text == "flood":
                await send({"type": "websocket.send", "bytes": CHUNK})
                self.counts["sent"] += len(CHUNK)
            await send({"type": "websocket.send", "text": text})


async def leave(receive: Any) -> None:
    """Wait for the client to go."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer(send: Any, status: int, body: bytes, headers: Any = ()) -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


def resident() -> int:
    """Bytes of memory that this process occupies."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def obey(order: list[str], engine: Engine, app: Application) -> object:
    """Carry out one order of the test."""
    match order:
        case ["wait", name, count]:
            return await app.wait(name, int(count))
        case ["count", name]:
            return app.counts[name]
        case ["release"]:
            app.released.set()
            return None
        case ["memory"]:
            return resident()
        case ["open"]:
            return [engine.open_connections, engine.open_requests]
        case ["drain", seconds]:
            return await engine.drain(float(seconds))
        case ["close"]:
            await engine.close()
            return None
        case ["retire" | "stop_listening" as verb]:
            return getattr(engine, verb)()
    raise ValueError(order)


async def main() -> None:
    """Run the engine until standard input ends."""
    asked = json.loads(sys.argv[2])
    app = Application()
    listener = socket.socket(fileno=int(sys.argv[1]))
    tls = None
    if pair := asked.pop("tls"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certfile=pair[1], keyfile=pair[0])
    engine = Engine(app, sockets=[listener], limits=Limits(**asked.pop("limits")), tls=tls, **asked)
    await engine.start()
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(json.dumps("ready"), flush=True)
    while line := await orders.readline():
        print(json.dumps(await obey(line.decode().split(), engine, app)), flush=True)
    await engine.close()
    pipe.close()


if __name__ == "__main__":
    uvloop.run(main())
