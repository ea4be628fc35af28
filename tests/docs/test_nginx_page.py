"""docs/nginx.md: the very nginx.conf that it shows, with other paths and ports, in front of a real server."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from athena_serving.settings.groups import Limits, Stream
from tests import debian
from tests.serving import ECHO, Json, Server, eventually, free_port, request_of, text_of

PAGE: Final = (Path(__file__).parents[2] / "docs" / "nginx.md").read_text(encoding="utf-8")
STOP_TIMEOUT: Final = 20.0  # seconds
TIME: Final = 20.0  # seconds, for an answer
END: Final = 2
"""Status of a session's last step."""
STEPS: Final = """
import time
from pathlib import Path
from athena_serving.sdk import StringBodyField, WrapperBase
class UserRequest:
    text = StringBodyField(key="text", value=b"hello")
class UserResponse:
    word = StringBodyField(key="word")
class Wrapper(WrapperBase):
    serviceId = "steps"
    requestCls = UserRequest()
    responseCls = UserResponse()
    def wrapperStream(self, params, pieces):
        for piece in pieces:
            yield piece.data
        while piece.data and not Path(piece.data.decode()).exists():
            time.sleep(0.01)
"""
"""Service `steps`: says each piece again; it ends when the file that the last one names is there."""


class Start(Protocol):
    """Starts nginx in front of a server, and of one `beside` it, a port."""

    def __call__(self, server: Server, *, beside: int | None = None) -> "Proxy": ...  # noqa: D102


def conf() -> str:
    """The page's nginx.conf."""
    (found,) = re.findall(r"^```nginx\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def seconds(name: str, text: str) -> float:
    """The value of a directive of the page, in seconds."""
    found = re.search(rf"^\s*{name} (\d+)s;", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    openssl = debian.program("openssl", "openssl")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-days", "1", "-keyout", key, "-out", cert, *names], check=True, capture_output=True)
    return cert, key


class Proxy:
    """nginx with the page's file, as a process of ours, with TLS on a free port."""

    def __init__(self, folder: Path, server: Server, beside: int | None) -> None:
        folder.mkdir()
        self.folder, self.server = folder, server
        self.port, self.plain_port = free_port(), free_port()
        cert, key = certificate(folder)
        second = f"server 127.0.0.1:{beside};" if beside else ""
        text = conf()
        for old, new in (
            ("user www-data;\n", "user root;\n" if os.geteuid() == 0 else ""),
            ("/run/nginx.pid", f"{folder}/nginx.pid"),
            ("/var/log/nginx/", f"{folder}/"),
            ("server 127.0.0.1:1888;", f"server 127.0.0.1:{server.port}; {second}"),
            ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/ssl/certs/ocr.example.com.pem", str(cert)),
            ("/etc/ssl/private/ocr.example.com.key", str(key)),
            ("http {\n", f"http {{\n{_temporary(folder)}"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        self.conf = folder / "nginx.conf"
        self.conf.write_text(text, encoding="utf-8")
        self.context = ssl.create_default_context(cafile=cert)
        self.client = httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}", verify=self.context, trust_env=False, timeout=20.0
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = self._run("-g", "daemon off;")
        try:
            eventually(self._is_listening, what="nginx's port")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The master process."""
        assert self._process is not None, "nginx was not started"
        return self._process

    def _run(self, *words: str) -> "subprocess.Popen[bytes]":
        nginx = debian.program("nginx", "nginx-light")
        with (self.folder / "output.log").open("ab") as output:
            command = [nginx, "-p", str(self.folder), "-c", str(self.conf), *words]
            return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def _is_listening(self) -> bool:
        assert self.process.poll() is None, (self.folder / "output.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def quit(self) -> None:
        """`nginx -s quit`, which comes back at once."""
        assert self._run("-s", "quit").wait(STOP_TIMEOUT) == 0

    def close(self) -> None:
        """Ends nginx, if it still runs."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_TIMEOUT)

    def call(self, text: str, **headers: str) -> httpx.Response:
        """A call of the service `echo`."""
        return self.client.post("/v1/private/echo", json=request_of("echo", text), headers=headers)

    def session(self, service: str) -> ClientConnection:
        """A WebSocket to a service."""
        url = f"wss://127.0.0.1:{self.port}/v1/private/{service}"
        return connect(url, ssl=self.context, proxy=None)

    def links(self) -> int:
        """How many connections nginx has to the server."""
        processes = psutil.Process(self.process.pid).children()
        found = [link for one in processes for link in one.net_connections("tcp") if link.raddr]
        return sum(link.raddr.port == self.server.port for link in found)


def _temporary(folder: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts nginx in front of a server; it is gone after the test."""
    debian.program("nginx", "nginx-light")
    with contextlib.ExitStack() as stack:

        def begin(server: Server, *, beside: int | None = None) -> Proxy:
            return stack.enter_context(Proxy(tmp_path / "nginx", server, beside))

        yield begin


def test_numbers_fit_ours() -> None:
    """The page's limits are those of our settings, or on the side of them that the page says."""
    text, ours = conf(), Limits()
    assert f"client_max_body_size {ours.body // 1024**2}m;" in text
    upstream, _, server = text.partition("    map ")
    assert seconds("keepalive_timeout", upstream) < ours.idle_timeout
    assert seconds("proxy_read_timeout", server) > ours.call_timeout
    assert seconds("client_header_timeout", server) == ours.header_timeout
    assert seconds("client_body_timeout", server) == ours.body_timeout
    assert seconds("send_timeout", server) == ours.write_timeout
    assert seconds("proxy_read_timeout", server) > 2 * max(ours.ping_interval, Stream().keep_alive)


def test_every_directive_is_explained() -> None:
    """What the file says of proxying stands below it, with its reason."""
    why = PAGE.partition("## Why each line")[2]
    names = set(re.findall(r"^ {8}(proxy_\w+|client_\w+|send_timeout)", conf(), re.MULTILINE))
    plain = {"proxy_set_header", "proxy_hide_header", "proxy_connect_timeout", "proxy_send_timeout"}
    assert {name for name in names - plain if name not in why} == set()


def test_call_goes_through_on_a_kept_connection(start: Start, tmp_path: Path) -> None:
    """Calls over TLS are answered by the server, all on one connection of nginx's to it; large ones too."""
    with Server(tmp_path, ECHO) as server:
        proxy = start(server)
        for number in range(5):
            answer = proxy.call(f"call {number}")
            assert (answer.status_code, text_of(answer.json())) == (200, f"call {number}")
        assert proxy.links() == 1
        large = "x" * 2 * 1024**2
        assert text_of(proxy.call(large).json()) == large


def test_request_id_is_in_both(start: Start, tmp_path: Path) -> None:
    """The caller's request id reaches the server and comes back; a bad one, or none, is replaced by nginx's."""
    with Server(tmp_path, ECHO) as server:
        proxy = start(server)
        assert proxy.call("hello", **{"X-Request-ID": "mine-1"}).headers.get_list("X-Request-ID") == ["mine-1"]
        (made,) = proxy.call("hello").headers.get_list("X-Request-ID")
        (other,) = proxy.call("hello", **{"X-Request-ID": "two words"}).headers.get_list("X-Request-ID")
        assert re.fullmatch(r"[0-9a-f]{32}", made)
        assert re.fullmatch(r"[0-9a-f]{32}", other)
        eventually(lambda: all(one in server.log_text() for one in ("mine-1", made, other)), what="the access log")


def test_body_beyond_the_limit_is_refused_unread(start: Start, tmp_path: Path) -> None:
    """One byte more than `limits.body` is 413 with our code, by its declared length alone; the server never hears."""
    with Server(tmp_path, ECHO) as server:
        proxy = start(server)
        link = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=20.0, context=proxy.context)
        link.putrequest("POST", "/v1/private/echo")
        link.putheader("Content-Type", "application/json")
        link.putheader("Content-Length", str(Limits().body + 1))
        link.endheaders()
        answer = link.getresponse()
        body: Json = json.loads(answer.read())
        link.close()
        assert (answer.status, body["header"]["code"]) == (413, 10163)
        assert answer.getheader("X-Request-ID") == body["header"]["sid"]
        assert server.total("athena_calls_total", service="echo") == 0


def test_only_what_is_listed_is_open(start: Start, tmp_path: Path) -> None:
    """Documents are open; probes and metrics are not, nor are calls by GET; plain HTTP is sent to TLS."""
    with Server(tmp_path, ECHO) as server:
        proxy = start(server)
        closed = ("/livez", "/readyz", "/healthz", "/metrics", "/monitor/health", "/elsewhere")
        assert {proxy.client.get(path).status_code for path in closed} == {404}
        assert [proxy.client.get(path).status_code for path in ("/docs", "/docs/page.js", "/openapi.json")] == [200] * 3
        assert proxy.client.get("/v1/private/echo").status_code == 403
        plain = httpx.get(f"http://127.0.0.1:{proxy.plain_port}/v1/private/echo?a=1", trust_env=False)
        assert (plain.status_code, plain.headers["location"]) == (308, "https://127.0.0.1/v1/private/echo?a=1")


def test_consumer_header_of_a_caller_is_not_passed_on(start: Start, tmp_path: Path) -> None:
    """With `check_consumer` the server looks at X-Consumer-Username, but a caller's own never reaches it."""
    written = {"X-Consumer-Username": "somebody"}
    with Server(tmp_path, ECHO, settings={"server.check_consumer": "true"}) as server:
        proxy = start(server)
        url, document = f"{server.url}/v1/private/echo", request_of("echo", "hello")
        assert httpx.post(url, json=document, headers=written, trust_env=False).json()["header"]["code"] == 10313
        assert proxy.call("hello", **written).status_code == 200


def test_server_that_is_gone_costs_no_call(start: Start, tmp_path: Path) -> None:
    """Of two servers one cannot be connected to: every POST goes to the other."""
    with Server(tmp_path, ECHO) as server:
        proxy = start(server, beside=free_port())
        assert [proxy.call("hello").status_code for _ in range(4)] == [200] * 4


def test_call_that_was_sent_is_not_sent_again(start: Start, tmp_path: Path) -> None:
    """A server that goes away with a call costs this one call, in words: nginx asks no other server to repeat it."""
    with (
        Server(tmp_path, ECHO) as server,
        socket.create_server(("127.0.0.1", 0)) as faulty,
        ThreadPoolExecutor(1) as one,
    ):
        faulty.settimeout(20.0)
        one.submit(_take_and_leave, faulty)
        proxy = start(server, beside=faulty.getsockname()[1])
        answers = [proxy.call("hello") for _ in range(4)]
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503]
        (lost,) = [answer.json()["header"] for answer in answers if answer.status_code == 503]
        assert lost["code"] == 10109
        assert server.total("athena_calls_total", service="echo") == 3


def _take_and_leave(listener: socket.socket) -> None:
    """Reads the beginning of one request, then closes its connection."""
    link, _ = listener.accept()
    with link:
        link.recv(1)


def test_quitting_nginx_first_loses_nothing(start: Start, tmp_path: Path) -> None:
    """`nginx -s quit`, then SIGTERM: the call in progress is answered, nginx's ports are closed, both end with 0."""
    with Server(tmp_path, ECHO) as server, ThreadPoolExecutor(1) as threads:
        proxy = start(server)
        running = threads.submit(proxy.call, "sleep 1.5")
        eventually(lambda: server.metrics().get('athena_calls_running{service="echo"}'), what="the call")
        proxy.quit()
        assert running.result(20.0).status_code == 200
        assert proxy.process.wait(STOP_TIMEOUT) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{proxy.plain_port}/", trust_env=False)
        assert server.stop() == 0


def test_stopping_behind_nginx_is_answered_in_words(start: Start, tmp_path: Path) -> None:
    """SIGTERM under nginx: in the lame duck all is served, what runs is answered, and afterwards 503 is nginx's."""
    with Server(tmp_path, ECHO, settings={"server.lame_duck": 1}) as server, ThreadPoolExecutor(1) as threads:
        proxy = start(server)
        assert proxy.call("hello").status_code == 200
        running = threads.submit(proxy.call, "sleep 1.5")
        eventually(lambda: server.metrics().get('athena_calls_running{service="echo"}'), what="the call")
        server.kill(signal.SIGTERM)
        eventually(lambda: server.probe("/readyz", admin=True) == 503, what="the lame duck")
        assert running.result(20.0).status_code == 200
        assert server.wait() == 0
        answer = proxy.call("hello")
        assert (answer.status_code, answer.json()["header"]["code"]) == (503, 10109)
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-request-id"] == answer.json()["header"]["sid"]


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────


def step(text: str, status: int) -> Json:
    """A step of the service `steps`."""
    document = request_of("steps", text, key="text")
    document["header"]["status"] = document["payload"]["text"]["status"] = status
    return document


def test_session_goes_through_step_by_step(start: Start, tmp_path: Path) -> None:
    """A WebSocket over TLS: each step is answered before the next is sent, on one connection of nginx's."""
    with Server(tmp_path, STEPS) as server:
        proxy = start(server)
        with proxy.session("steps") as session:
            for number, text in enumerate(("one", "two")):
                session.send(json.dumps(step(text, min(number, 1))))
                answers = [json.loads(session.recv(TIME)) for _ in range(1 if number else 2)]
                assert text_of(answers[-1], "word") == text
            assert proxy.links() == 1
            session.send(json.dumps(step("", END)))
            assert [json.loads(session.recv(TIME))["header"]["status"] for _ in range(2)] == [1, END]


def test_events_come_as_they_are_made(start: Start, tmp_path: Path) -> None:
    """The first event of an answer is here while the wrapper waits for us to have seen it."""
    seen = tmp_path / "seen"
    with Server(tmp_path, STEPS) as server:
        proxy = start(server)
        headers = {"Accept": "text/event-stream"}
        document = request_of("steps", str(seen), key="text")
        with proxy.client.stream("POST", "/v1/private/steps", json=document, headers=headers) as answer:
            lines = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
            assert text_of(next(lines), "word") == str(seen)
            seen.touch()
            assert next(lines)["header"]["status"] == END


def test_caller_that_leaves_ends_its_session(start: Start, tmp_path: Path) -> None:
    """The server hears at once that a reader of events and a WebSocket are gone: both sessions end."""
    with Server(tmp_path, STEPS, settings={"workers.seats": 2}) as server:
        proxy = start(server)
        document = request_of("steps", str(tmp_path / "never"), key="text")
        headers = {"Accept": "text/event-stream"}
        with proxy.client.stream("POST", "/v1/private/steps", json=document, headers=headers) as answer:
            next(answer.iter_lines())
            with proxy.session("steps") as session:
                session.send(json.dumps(step("one", 0)))
                session.recv(TIME)
                assert server.total("athena_sessions", service="steps") == 2
        ended = {"service": "steps", "reason": "client left"}
        eventually(lambda: server.total("athena_sessions_total", **ended) == 2, what="the end of both")


def test_only_websockets_may_be_asked_for(start: Start, tmp_path: Path) -> None:
    """A GET that asks for no WebSocket is refused, any other upgrade is not passed on; 404 is the server's."""
    with Server(tmp_path, ECHO) as server:
        proxy = start(server)
        assert proxy.client.get("/v1/private/echo", headers={"Upgrade": "h2c"}).status_code == 403
        assert proxy.call("hello", Connection="Upgrade", Upgrade="h2c").status_code == 200
        with pytest.raises(InvalidStatus) as refused:
            proxy.session("nothing")
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body)["services"] == ["echo"]
