"""What must be on the machine: wrk, and a virtual environment for each peer, made from its locked requirements."""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import BenchError, PeerMissing

HERE = Path(__file__).parent
PEERS = ("fastapi", "mosec", "litserve", "bentoml")
EVERY = (*PEERS, "chart")
"""The peers', and that of what draws the chart."""


def folder(peer: str) -> Path:
    """The virtual environment of a peer."""
    return HERE / ".venvs" / peer


def lock(peer: str) -> Path:
    """The locked requirements of a peer."""
    return HERE / f"requirements-{peer}.txt"


def is_made(peer: str) -> bool:
    """Is the environment there, complete, and of the present lock?"""
    stamp = folder(peer) / "lock.sha256"
    return stamp.exists() and stamp.read_text() == _digest(peer)


def make(peer: str) -> None:
    """Create the environment, from nothing. Raises `PeerMissing` if the packages cannot be had."""
    python = folder(peer) / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # One try and a short wait: without a network the run should go on with the other servers at once.
    pip += ["--retries", "1", "--timeout", "20", "--require-hashes", "--requirement", str(lock(peer))]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder(peer))], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise PeerMissing(
                f"the environment of {peer} cannot be made: {last}",
                help="with a package registry in reach: python -m benchmarks setup",
            )
    (folder(peer) / "lock.sha256").write_text(_digest(peer))


def versions(site: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of the packages installed in a virtual environment; "?" for one that is not."""
    paths = [str(path) for path in site.glob("lib/python*/site-packages")]
    found = {}
    for package in packages:
        matches = importlib.metadata.Distribution.discover(name=package, path=paths)
        found[package] = next((match.version for match in matches), "?")
    return found


def wrk() -> str:
    """Path of wrk, installed from Debian if it is missing and we may. Raises `BenchError` if there is none."""
    if not shutil.which("wrk") and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "--yes", "wrk"]
        subprocess.run(command, capture_output=True, check=False, start_new_session=True)
    path = shutil.which("wrk")
    if path is None:
        raise BenchError("no wrk on this machine", help="apt-get install wrk (as root), then again")
    return path


def _digest(peer: str) -> str:
    return hashlib.sha256(lock(peer).read_bytes()).hexdigest()
