"""What the HTTP engine promises, over real sockets to a process of its own (reliability.md T10, T13, T18)."""

import base64
import os
import select
import socket
import struct
import time

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect as connect_websocket

from tests.contract.engine_process import PATIENCE, Serve
from tests.contract.raw_client import GET, MEGABYTE, address, ask, is_closed, post, read_answer, trickle

# ── slow and greedy clients ───────────────────────────────────────────────────────────────────────


def test_half_a_header_is_cut(serve: Serve) -> None:
    """A client that stops in the middle of its headers is told 408 and closed."""
    with serve(header_timeout=0.3).connect() as client:
        answer = ask(client, GET[:-4])
        assert (answer.status, answer.code, answer.headers["connection"]) == (408, 10114, "close")
        assert is_closed(client)


def test_silent_connection_is_closed(serve: Serve) -> None:
    """A client that sends nothing at all is closed without an answer, since it asked nothing."""
    with serve(header_timeout=0.3).connect() as client:
        assert is_closed(client)


def test_trickled_header_is_cut(serve: Serve) -> None:
    """A client that sends its headers byte by byte is cut as if it had stopped."""
    with serve(header_timeout=0.3).connect() as client:
        client.sendall(b"GET /echo HTTP/1.1\r\nx: ")
        assert b" 408 " in trickle(client, b"x")


def test_header_of_later_request_is_cut(serve: Serve) -> None:
    """On a connection that was kept, the clock starts with the first byte of the next request."""
    with serve(header_timeout=0.3).connect() as client:
        assert ask(client, GET).status == 200
        assert ask(client, GET[:-4]).status == 408


def test_idle_connection_is_closed(serve: Serve) -> None:
    """A kept connection without a request is closed after the idle time, though empty lines come."""
    with serve(idle_timeout=0.3).connect() as client:
        assert ask(client, GET).status == 200
        client.sendall(b"\r\n")
        assert is_closed(client)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"u" * 5000 + b" HTTP/1.1\r\n\r\n",
        b"GET /echo HTTP/1.1\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        b"GET /echo HTTP/1.1\r\nx: " + b"y" * 5000,
        b"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\ntrailer: " + b"y" * MEGABYTE,
    ],
    ids=["url", "many", "endless", "trailer"],
)
def test_oversized_header_is_refused(serve: Serve, request_: bytes) -> None:
    """Request line, headers or trailers over the limit are told 431 and closed."""
    with serve(header=4096).connect() as client:
        client.sendall(request_[:3000])
        answer = ask(client, request_[3000:])
        assert (answer.status, answer.code) == (431, 10163)
        assert is_closed(client)


def test_header_in_one_piece_with_a_body_is_not_oversized(serve: Serve) -> None:
    """Only the headers count: a body, or the request before, that came in the same packet does not."""
    with serve(header=1024).connect() as client, client.makefile("rb") as stream:
        client.sendall(post("/echo", 20_000, bytes(20_000)) + GET[:-4])
        assert read_answer(stream).status == 200
        client.sendall(GET[-4:])
        assert read_answer(stream).status == 200


def test_trailers_do_not_become_headers(serve: Serve) -> None:
    """Trailers are dropped, and the connection is kept."""
    with serve().connect() as client:
        chunked = b"POST /names HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n"
        assert ask(client, chunked).body == b"host transfer-encoding"
        assert ask(client, GET).status == 200


def test_stalled_body_is_cut(serve: Serve) -> None:
    """A client that stops in the middle of its body is told 408, and the application sees it leave."""
    server = serve(body_timeout=0.3)
    with server.connect() as client:
        answer = ask(client, post("/echo", 100, b"half"))
        assert (answer.status, answer.code) == (408, 10114)
        assert server.ask("wait", "left", 1) == 1
        assert is_closed(client)


def test_trickled_body_is_cut(serve: Serve) -> None:
    """A byte now and then does not keep a body alive."""
    with serve(body_timeout=0.3).connect() as client:
        client.sendall(post("/echo", 100_000))
        assert b" 408 " in trickle(client, b"x")


def test_stalled_body_ends_an_answer_that_has_begun(serve: Serve) -> None:
    """When the answer has begun, 408 comes too late: the connection is closed in the middle of it."""
    with serve(body_timeout=0.3).connect() as client, client.makefile("rb") as stream:
        client.sendall(post("/begin", 100, b"half"))
        said = stream.read()
        assert said.startswith(b"HTTP/1.1 200")
        assert b"begun" in said
        assert b" 408 " not in said


def test_body_that_we_do_not_read_does_not_stall(serve: Serve) -> None:
    """While the application does not take the body, its sender is not to blame."""
    server = serve(body_timeout=0.3, idle_timeout=60)
    with server.connect() as client, server.connect() as other:
        client.settimeout(0.0)
        client.send(post("/hold", 100 * MEGABYTE) + bytes(8 * MEGABYTE))
        assert server.ask("wait", "held", 1) == 1
        assert ask(other, post("/echo", 100, b"half")).status == 408  # a clock that started later has run out
        assert not select.select([client], [], [], 0)[0]
        client.settimeout(PATIENCE)
        server.ask("release")
        with client.makefile("rb") as stream:
            assert read_answer(stream).status == 200


def test_slow_reader_is_bounded_and_cut(serve: Serve) -> None:
    """Of 300 MB for a client that reads nothing, no more than the socket's buffers is made, and the client is cut."""
    server = serve(write_timeout=0.5)
    with server.connect(receive_buffer=65536) as client:
        before = server.number("memory")
        client.sendall(b"GET /stream?mb=300 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert server.ask("wait", "streamed", 1) == 1
        assert server.number("count", "sent") < 8 * MEGABYTE
        assert server.number("memory") - before < 8 * MEGABYTE
        with client.makefile("rb") as stream, pytest.raises(ConnectionResetError):
            stream.read()


def test_slow_but_steady_reader_is_served(serve: Serve) -> None:
    """A client that takes a little all the time is not cut, although the kernel asks for nothing new meanwhile."""
    server = serve(write_timeout=0.4)
    with server.connect(receive_buffer=4096) as client:
        client.sendall(b"GET /stream?mb=300 HTTP/1.1\r\nhost: x\r\n\r\n")
        started = time.monotonic()
        while time.monotonic() - started < 1.6:
            assert client.recv(4096)
            time.sleep(0.01)  # the pace of this client, not a wait
        assert server.number("count", "streamed") == 0


# ── answers that come before the body ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/early", "/early?close"])
def test_early_answer_reaches_a_client_that_sends_first(serve: Serve, path: str) -> None:
    """A client that sends its 20 MB before it looks still reads the 413, whether or not the connection is kept."""
    with serve().connect() as client:
        answer = ask(client, post(path, 20 * MEGABYTE, bytes(20 * MEGABYTE)))
        assert (answer.status, answer.body) == (413, b"too large")
        assert path == "/early" or is_closed(client)


def test_connection_is_kept_after_an_early_answer(serve: Serve) -> None:
    """When the rest of an answered body has come, the next request on the connection is served, or it may idle."""
    with serve(idle_timeout=0.3, body_timeout=0.2).connect() as client:
        assert ask(client, post("/early", 10, b"half ")).status == 413
        assert ask(client, b"whole" + post("/echo", 2, b"hi")).body == b"hi"
        assert ask(client, post("/early", 10, b"half ")).status == 413
        client.sendall(b"whole")
        assert is_closed(client)


def test_answered_body_that_stalls_is_closed(serve: Serve) -> None:
    """After an early answer the rest of the body may not take for ever, and gets no second answer."""
    with serve(body_timeout=0.3).connect() as client:
        assert ask(client, post("/early", 1000, b"half")).status == 413
        assert is_closed(client)


def test_answered_body_has_a_bound(serve: Serve) -> None:
    """After an early answer no more than one more `limits.body` is read."""
    with serve(body=MEGABYTE).connect() as client:
        assert ask(client, post("/early", 2**40)).status == 413
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(bytes(100 * MEGABYTE))


def test_expecting_client_is_answered_at_once(serve: Serve) -> None:
    """A client that waits for 100 is refused without it, and the connection closes, since its body may never come."""
    with serve().connect() as client:
        answer = ask(client, post("/early", 1000, extra="expect: 100-continue\r\n"))
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert is_closed(client)


def test_expecting_client_is_asked_to_go_on(serve: Serve) -> None:
    """A client that waits for 100 gets it when the body is wanted, has the time, and keeps its connection."""
    server = serve()
    with server.connect() as client:
        assert ask(client, post("/echo", 2, extra="expect: 100-continue\r\n")).status == 100
        answer = ask(client, b"hi")
        assert (answer.status, answer.body, answer.headers.get("connection")) == (200, b"hi", None)
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(post("/echo", 0, extra="expect: 100-continue\r\nconnection: close\r\n"))
        assert [read_answer(stream).status for _ in range(2)] == [100, 200]
        assert is_closed(client)


# ── what is asked, and in which order ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://host HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT host:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        post("/echo", 2, b"hi", "connection: upgrade\r\nupgrade: h2c\r\n"),
    ],
    ids=["method", "header", "url", "no path", "connect", "tls", "http2", "chunk", "upgrade"],
)
def test_malformed_request_is_refused_in_words(serve: Serve, request_: bytes) -> None:
    """What is not HTTP/1.1 gets a JSON answer with a code, and the connection closes."""
    with serve().connect() as client:
        answer = ask(client, request_)
        assert (answer.status, answer.code, answer.headers["content-type"]) == (400, 10163, "application/json")
        assert is_closed(client)


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    """Requests sent without waiting are answered one after the other."""
    with serve().connect() as client, client.makefile("rb") as stream:
        client.sendall(b"".join(post("/echo", 1, b"%d" % number) for number in range(5)))
        assert [read_answer(stream).body for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_fault_behind_pipelined_requests_waits_its_turn(serve: Serve) -> None:
    """A malformed request does not spoil the answers to those before it."""
    server = serve()
    with server.connect() as client, client.makefile("rb") as stream:
        client.sendall(GET.replace(b"echo", b"hold") + post("/echo", 2, b"hi") + b"GARBAGE\r\n\r\n")
        server.ask("wait", "held", 1)
        server.ask("release")
        assert [read_answer(stream).status for _ in range(3)] == [200, 200, 400]
        assert is_closed(client)


def test_leaving_client_is_seen_at_once(serve: Serve) -> None:
    """`receive` says http.disconnect when the client closes, or resets, the connection."""
    server = serve()
    for count in (1, 2):
        client = server.connect()
        client.sendall(b"GET /leave HTTP/1.1\r\nhost: x\r\n\r\n")
        server.ask("wait", "waiting", count)
        if count == 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert server.ask("wait", "left", count) == count


def test_leaving_client_is_seen_behind_a_pipeline(serve: Serve) -> None:
    """The application of the request that runs hears of it, not only the last of the pipeline."""
    server = serve()
    with server.connect() as client:
        client.sendall(b"GET /leave HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
    assert server.ask("wait", "left", 1) == 1


# ── bounds of the process ─────────────────────────────────────────────────────────────────────────


def test_open_requests_are_bounded(serve: Serve) -> None:
    """2,000 requests may be open; the next is refused in words, and the 2,000 are answered."""
    server = serve(requests=2000)
    clients = [server.connect() for _ in range(2000)]
    for client in clients:
        client.sendall(GET.replace(b"echo", b"hold"))
    assert server.ask("wait", "held", 2000) == 2000
    with server.connect() as surplus:
        answer = ask(surplus, GET)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, 10110, "1")
        assert b"too many open requests (2000)" in answer.body
        assert b" 503 " in ask_upgrade(surplus)
    server.ask("release")
    for client in clients:
        with client, client.makefile("rb") as stream:
            assert read_answer(stream).body == b"held"


def test_open_connections_are_bounded(serve: Serve) -> None:
    """A connection too many is accepted, told so at its first request, and closed."""
    server = serve(connections=1)
    with server.connect() as client, server.connect() as surplus:
        assert ask(client, GET).status == 200
        answer = ask(surplus, GET)
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert b"too many open connections (1)" in answer.body
        assert is_closed(surplus)
        assert ask(client, GET).status == 200


# ── WebSocket ─────────────────────────────────────────────────────────────────────────────────────


def ask_upgrade(client: socket.socket) -> bytes:
    """Ask for a WebSocket session over a raw socket; returns what the server said."""
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        f"GET /session HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode()
    )
    return client.recv(65536)


def test_close_code_and_reason_are_seen(serve: Serve) -> None:
    """The code and the reason of an application's close reach the WebSocket client."""
    with connect_websocket(address(serve(), "/session")) as session:
        session.send("hello")
        assert session.recv(PATIENCE) == "hello"
        session.send("bye")
        with pytest.raises(ConnectionClosedError) as closed:
            session.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "because")


def test_silent_websocket_peer_is_noticed(serve: Serve) -> None:
    """A peer that answers no ping is closed after the interval and the timeout, and its application hears of it."""
    server = serve(ws_ping=0.2)
    with server.connect() as client:
        assert b" 101 " in ask_upgrade(client)
        assert server.ask("wait", "left", 1) == 1


def test_websocket_peer_is_not_blamed_for_a_slow_application(serve: Serve) -> None:
    """While the application takes no messages, pongs go unread, and that does not close the session."""
    server = serve(ws_ping=0.1)
    with connect_websocket(address(server, "/session"), ping_interval=None) as session:
        for word in ("hold", "behind it", "and more"):
            session.send(word)
        with server.connect() as silent:  # its clocks run out one after the other, twice as long as the session's
            assert b" 101 " in ask_upgrade(silent)
            server.ask("wait", "left", 1)
        server.ask("release")
        assert [session.recv(PATIENCE) for _ in range(3)] == ["hold", "behind it", "and more"]


def test_slow_websocket_reader_is_bounded_and_cut(serve: Serve) -> None:
    """A peer that takes no messages is cut, and the application that sends them hears of it."""
    server = serve(write_timeout=0.5)
    with connect_websocket(address(server, "/session"), max_queue=1, compression=None) as session:
        session.send("flood")
        server.ask("wait", "left", 1)
    assert server.number("count", "sent") < 16 * MEGABYTE


def test_close_tells_websocket_peers(serve: Serve) -> None:
    """A session survives a drain that gives up, and is closed with 1012 when the engine is."""
    server = serve()
    with connect_websocket(address(server, "/session")) as session:
        assert server.ask("drain", 0.05) is False
        session.send("still here")
        assert session.recv(PATIENCE) == "still here"
        server.ask("close")
        with pytest.raises(ConnectionClosedError) as closed:
            session.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────


def test_retired_engine_keeps_no_connection(serve: Serve) -> None:
    """After `retire` everything is served, running, kept and new alike, with Connection: close."""
    server = serve()
    with server.connect() as running, server.connect() as kept, server.connect() as new:
        running.sendall(GET.replace(b"echo", b"hold"))
        assert "connection" not in ask(kept, GET).headers
        server.ask("wait", "held", 1)
        server.ask("retire")
        server.ask("release")
        with running.makefile("rb") as stream:
            answers = [read_answer(stream), ask(kept, GET), ask(new, GET)]
        assert [(answer.status, answer.headers["connection"]) for answer in answers] == [(200, "close")] * 3
        assert all(is_closed(client) for client in (running, kept, new))


def test_retired_engine_answers_a_whole_pipeline(serve: Serve) -> None:
    """Of pipelined requests, only the last answer says Connection: close."""
    server = serve()
    with server.connect() as client, client.makefile("rb") as stream:
        server.ask("retire")
        client.sendall(GET * 3)
        assert [read_answer(stream).headers.get("connection") for _ in range(3)] == [None, None, "close"]
        assert is_closed(client)


def test_drain_closes_idle_connections_and_lets_requests_finish(serve: Serve) -> None:
    """Idle connections close at once; a request that runs, or comes in, is answered; then all is closed."""
    server = serve()
    release = GET.replace(b"echo", b"release")
    with server.connect() as idle, server.connect() as running, server.connect() as coming:
        assert ask(idle, GET).status == 200
        running.sendall(GET.replace(b"echo", b"hold"))
        server.ask("wait", "held", 1)
        assert ask(coming, GET + release[:-4]).status == 200
        server.ask("stop_listening")
        assert server.ask("drain", 0.05) is False
        assert is_closed(idle)
        server.order("drain", PATIENCE)
        assert ask(coming, release[-4:]).headers["connection"] == "close"
        with running.makefile("rb") as stream:
            assert read_answer(stream).body == b"held"
        assert server.read() is True
        assert server.ask("open") == [0, 0]


def test_stopped_listener_refuses(serve: Serve) -> None:
    """Nobody is accepted after `stop_listening`, while open connections go on."""
    server = serve()
    with server.connect() as client:
        assert ask(client, GET).status == 200
        server.ask("stop_listening")
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        assert ask(client, GET).status == 200


def test_date_is_sent(serve: Serve) -> None:
    """Every answer carries a date, and none names the software."""
    with serve().connect() as client:
        answer = ask(client, GET)
        assert answer.headers["date"].endswith("GMT")
        assert "server" not in answer.headers
