"""Binds ports, and says who has one that is taken."""

import contextlib
import errno
import logging
import socket
from pathlib import Path

from athena_serving.errors import PortBusy

log = logging.getLogger("supervisor")

BACKLOG = 4096
"""Connections that wait to be accepted; the kernel's own limit may be lower."""


def listen(host: str, port: int, *, setting: str, flag: str) -> socket.socket:
    """A listening socket, without SO_REUSEPORT so that a busy port is noticed. Raises `PortBusy`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not to wait for old connections' TIME_WAIT
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port, setting, flag) from error
    listener.setblocking(False)
    return listener


def listen_admin(host: str, port: int, *, is_chosen: bool) -> socket.socket:
    """A listening socket for the admin port; where nobody chose the port and it is busy, on any other.

    Raises `PortBusy`.
    """
    try:
        return listen(host, port, setting="server.admin_port", flag="--admin-port")
    except PortBusy as busy:
        cause = busy.__cause__
        if is_chosen or not isinstance(cause, OSError) or cause.errno != errno.EADDRINUSE:
            raise
        log.warning("%s; the admin port is another one", busy.message)
        return listen(host, 0, setting="server.admin_port", flag="--admin-port")


def url_of(listener: socket.socket) -> str:
    """`http://127.0.0.1:1888`: where a bound socket can be called, also if its port was chosen by the system."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explained(error: OSError, host: str, port: int, setting: str, flag: str) -> PortBusy:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        who = f" by {holder}" if holder else ""
        return PortBusy(
            f"port {port} is in use{who}",
            where=f"{setting} = {port}",
            help=f"stop it, or choose another port: {flag} {port + 1}",
        )
    if error.errno == errno.EACCES:
        return PortBusy(
            f"port {port} is not for ordinary users",
            where=f"{setting} = {port}",
            help=f"choose one above 1023: {flag} 1888",
        )
    return PortBusy(
        f"cannot listen on {host}:{port}: {error.strerror or error}", where=f"{setting} = {port}",
        help="server.host must be an address of this machine: 127.0.0.1, or 0.0.0.0 for all",
    )  # fmt: skip


def holder_of(port: int) -> str:
    """`pid 4711 (python serve.py)`: who listens on a port of this machine; empty where it cannot be told."""
    inodes = _listening(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, inodes):
            command = ""
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            return f"pid {process.name}" + (f" ({command[:80]})" if command else "")
    return ""


def _listening(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _holds(process: Path, inodes: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) in inodes:
                    return True
    return False
