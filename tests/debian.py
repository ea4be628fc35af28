"""Programs that tests need and Python's registry does not have: Debian's, installed if we may."""

import os
import shutil
import subprocess
from typing import Final

import pytest

INSTALL_TIMEOUT: Final = 300.0  # seconds
SBIN: Final = "/usr/sbin"  # which is not on everybody's PATH


def program(name: str, package: str) -> str:
    """Path of a program; its package is installed if it is missing and this is root. Skips the test otherwise."""
    found, apt = _found(name), shutil.which("apt-get")
    if found is None and apt and os.geteuid() == 0:
        # What it would start by itself must not run beside what a test starts.
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        command = [apt, "install", "--yes", "--no-install-recommends", package]
        subprocess.run(command, env=environ, timeout=INSTALL_TIMEOUT, check=False, stdout=subprocess.DEVNULL)
        found = _found(name)
    if found is None:
        pytest.skip(f"there is no {name}: apt-get install {package}")
    return found


def _found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=SBIN)
