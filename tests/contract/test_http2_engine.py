"""What the HTTP engine promises on HTTP/2, and that it does not speak it unasked."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import h2.events
import httpx
import pytest

from tests.contract.engine_process import PATIENCE, Serve
from tests.contract.raw_client import GET, MEGABYTE, H2Client, address, ask, is_closed


@pytest.fixture
def http2() -> Iterator[httpx.Client]:
    """Give a client that speaks HTTP/2 by prior knowledge and nothing else."""
    with httpx.Client(http1=False, http2=True, timeout=PATIENCE, trust_env=False) as client:
        yield client


def test_http2_is_spoken_when_on(serve: Serve, http2: httpx.Client) -> None:
    """With `http2` on, both dialects are served on one port, and bodies go both ways."""
    server = serve(http2=True)
    body = os.urandom(MEGABYTE)
    answer = http2.post(address(server, "/echo", "http"), content=body)
    assert (answer.http_version, answer.content == body) == ("HTTP/2", True)
    assert http2.get(address(server, "/echo", "http")).status_code == 200
    assert http2.post(address(server, "/early", "http"), content=bytes(MEGABYTE)).status_code == 413
    with server.connect() as client:
        assert ask(client, GET).status == 200


def test_http2_is_agreed_on_by_tls(serve: Serve, tmp_path: Path) -> None:
    """Over TLS, ALPN decides between the dialects."""
    pair = [str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=x",
            "-keyout",
            pair[0],
            "-out",
            pair[1],
        ],
        check=True,
        capture_output=True,
    )
    server = serve(http2=True, tls=pair)
    trust = ssl.create_default_context(cafile=pair[1])
    trust.check_hostname = False
    for http2 in (True, False):
        with httpx.Client(http2=http2, verify=trust, timeout=PATIENCE, trust_env=False) as client:
            answer = client.post(address(server, "/early?close", "https"), content=bytes(MEGABYTE))
            assert (answer.status_code, answer.http_version) == (413, "HTTP/2" if http2 else "HTTP/1.1")


def test_http2_silence_is_cut(serve: Serve) -> None:
    """A client that stops in its preface, or before its first request, is closed after the header timeout."""
    server = serve(http2=True, header_timeout=0.3)
    with server.connect() as client:
        client.sendall(b"PRI * HTT")
        assert is_closed(client)
    with H2Client(server) as speaker:
        speaker.socket.sendall(speaker.protocol.data_to_send())
        assert [event for event in speaker.events() if isinstance(event, h2.events.ConnectionTerminated)]


def test_http2_half_a_header_is_cut(serve: Serve) -> None:
    """On a port that speaks both, half an HTTP/1.1 header is cut as ever."""
    with serve(http2=True, header_timeout=0.3).connect() as client:
        assert ask(client, GET[:-4]).status == 408


def test_http2_stalled_body_is_cut(serve: Serve) -> None:
    """A stream whose body stops coming is told 408 and reset; the connection goes on."""
    with H2Client(serve(http2=True, body_timeout=0.3)) as client:
        client.request("/echo", end=False)
        assert client.until(h2.events.ResponseReceived).headers[0] == (b":status", b"408")
        client.until(h2.events.StreamReset)
        client.request("/echo")
        assert client.until(h2.events.ResponseReceived).headers[0] == (b":status", b"200")


def test_http2_malformed_frame_ends_the_connection(serve: Serve) -> None:
    """A frame that is none closes the connection with GOAWAY's error, and the applications hear of it."""
    server = serve(http2=True)
    with H2Client(server) as client:
        client.request("/leave", end=False)
        server.ask("wait", "waiting", 1)
        client.socket.sendall(b"\0\0\1" + b"\0" * 7)  # DATA on stream 0
        client.until(h2.events.ConnectionTerminated)
        assert server.ask("wait", "left", 1) == 1


def test_http2_slow_reader_is_bounded_and_cut(serve: Serve) -> None:
    """An application waits for a client that grants no window, and the stream is reset."""
    server = serve(http2=True, write_timeout=0.5)
    before = server.number("memory")
    with H2Client(server) as client:
        client.request("/stream?mb=300")
        client.until(h2.events.StreamReset)
        server.ask("wait", "streamed", 1)
    assert server.number("count", "sent") < MEGABYTE
    assert server.number("memory") - before < 8 * MEGABYTE


def test_http2_big_answer_is_whole(serve: Serve) -> None:
    """An answer larger than the client's window arrives whole, also when the engine retires meanwhile."""
    server = serve(http2=True)
    received = 0
    with H2Client(server) as client:
        stream = client.request("/stream?mb=1")
        client.until(h2.events.DataReceived)
        server.ask("retire")
        client.protocol.acknowledge_received_data(16 * 1024, stream)
        for event in client.events():
            if isinstance(event, h2.events.DataReceived):
                received += len(event.data)
                client.protocol.acknowledge_received_data(event.flow_controlled_length, stream)
                client.socket.sendall(client.protocol.data_to_send())
    assert MEGABYTE - 20_000 < received < MEGABYTE


def test_http2_requests_are_bounded(serve: Serve, http2: httpx.Client) -> None:
    """A request too many, or with too much of a header, is refused in words."""
    server = serve(http2=True, requests=1, header=2000)
    with H2Client(server) as held:
        held.request("/hold")
        server.ask("wait", "held", 1)
        answer = http2.get(address(server, "/echo", "http"))
        assert (answer.status_code, answer.json()["header"]["code"]) == (503, 10110)
        assert http2.get(address(server, "/echo", "http"), headers={"x": "y" * 3000}).status_code == 431
        server.ask("release")


def test_http2_drain_lets_streams_finish(serve: Serve) -> None:
    """A drain answers the stream that runs, then says GOAWAY and closes."""
    server = serve(http2=True)
    with H2Client(server) as client:
        client.request("/hold")
        server.ask("wait", "held", 1)
        server.ask("retire")
        assert server.ask("drain", 0.05) is False
        server.ask("release")
        kinds = [type(event) for event in client.events()]
        assert kinds.index(h2.events.StreamEnded) < kinds.index(h2.events.ConnectionTerminated)
    assert server.ask("drain", PATIENCE) is True
