"""Ports: bound, or said who has them and what to do."""

import os
import socket

import pytest

from athena_serving.errors import PortBusy
from athena_serving.supervisor import sockets


def listen(host: str, port: int) -> socket.socket:
    """As the service port is."""
    return sockets.listen(host, port, setting="server.port", flag="--port")


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:{}"), ("::1", "http://[::1]:{}")])
def test_free_port_is_listened_on(host: str, url: str) -> None:
    """In either family, without blocking; 0 takes any."""
    with listen(host, 0) as listener:
        assert not listener.getblocking()
        port = listener.getsockname()[1]
        assert sockets.url_of(listener) == url.format(port)
        with socket.create_connection((host, port), timeout=10):
            pass


def test_busy_port_names_its_holder_and_the_way_out() -> None:
    """The setting, the process, and another port."""
    with listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortBusy) as busy:
            listen("127.0.0.1", port)
    assert busy.value.message.startswith(f"port {port} is in use by pid {os.getpid()} (")
    assert busy.value.where == f"server.port = {port}"
    assert busy.value.help == f"stop it, or choose another port: --port {port + 1}"
    assert isinstance(busy.value.__cause__, OSError)


def test_port_can_be_taken_again_at_once() -> None:
    """Connections that were closed a moment ago do not hold it."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        listener.setblocking(True)
        served, _ = listener.accept()
        served.close()
        client.close()
    listen("127.0.0.1", port).close()


def test_address_of_another_machine_is_said() -> None:
    """With the setting that means it."""
    with pytest.raises(PortBusy) as refused:
        listen("203.0.113.7", 1888)
    assert refused.value.message == "cannot listen on 203.0.113.7:1888: Cannot assign requested address"
    assert refused.value.help.startswith("server.host must be an address of this machine")


def test_port_that_is_not_for_us_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 1024, for ordinary users; we are none where the tests run as root."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortBusy, match="port 80 is not for ordinary users") as refused:
        listen("127.0.0.1", 80)
    assert refused.value.help == "choose one above 1023: --port 1888"


def test_port_without_a_holder() -> None:
    """Nothing is said where nothing is known."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    assert sockets.holder_of(port) == ""
