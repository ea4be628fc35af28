"""T12: bodies of 16 MiB go in and out, through shared memory or, where there is none, through the socket."""

import base64
import errno
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.serving import Server

MIRROR: Final = '''
from athena_serving.sdk import ImageBodyField, Response, ResponseData, WrapperBase
from athena_serving.sdk.constants import IMAGE


class UserRequest:
    data = ImageBodyField(key="data")


class UserResponse:
    result = ImageBodyField(key="result")


class Wrapper(WrapperBase):
    serviceId = "mirror"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperOnceExec(self, params, reqData):
        """The bytes, last one first."""
        response = Response()
        response.list = [ResponseData(key="result", data=reqData.get("data").data[::-1], type=IMAGE)]
        return response
'''

NO_BLOCKS: Final = '''
import errno, os

memfd_create = os.memfd_create


def refusing(name, *flags):
    """The supervisor's pages are made before a sandbox closes; blocks of a door or a worker are not."""
    if name == "block":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return memfd_create(name, *flags)


os.memfd_create = refusing
'''
"""A `sitecustomize.py` under which no process can make blocks of shared memory."""

SIZE: Final = 16 << 20
AT_ONCE: Final = 3
WARNINGS: Final = ("no shared memory for requests", "no shared memory for answers")
READ_ONLY: Final = ("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro /dev/shm && exec "$0" "$@"')
"""Starts a command that cannot write to /dev/shm."""


def can_lock_shm() -> bool:
    """May we give a process a /dev/shm of its own that it cannot write to?"""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    probe = [*READ_ONLY, "sh", "-c", "! touch /dev/shm/athena-test"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def assert_mirrored(server: Server, data: bytes) -> None:
    """One call, whose answer must be the same bytes, last one first."""
    with closing(server.begin("mirror", data)) as link:
        response = link.getresponse()
        body = response.read()
        assert response.status == 200, body[:1000]
    assert base64.b64decode(json.loads(body)["payload"]["result"]["image"]) == data[::-1]


def assert_big_bodies_pass(server: Server) -> None:
    """Big bodies one after another, so that blocks are used again, then several at once."""
    data = [os.urandom(SIZE), os.urandom(SIZE - 1)]
    for one in data:
        assert_mirrored(server, one)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(assert_mirrored, server, data[i % 2]) for i in range(AT_ONCE)]:
            done.result()


def test_big_bodies_pass_whole(tmp_path: Path) -> None:
    """T12: 16 MiB go in and out, one after another and several at once, byte for byte, without a word in the log."""
    with Server(tmp_path, MIRROR) as server:
        assert_big_bodies_pass(server)
        assert not server.log("no shared memory")


def test_big_bodies_pass_where_shared_memory_cannot_be_made(tmp_path: Path) -> None:
    """T12: where no block of shared memory can be made all goes through the socket, with one log line a direction."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_BLOCKS)
    with Server(tmp_path, MIRROR, environ={"PYTHONPATH": str(tmp_path / "site")}) as server:
        assert_big_bodies_pass(server)
        for warning in WARNINGS:
            (line,) = server.log(warning)
            assert line["level"] == "WARNING"
            assert os.strerror(errno.ENOSYS) in line["message"]


@pytest.mark.skipif(not can_lock_shm(), reason="needs root and mount namespaces")
def test_big_bodies_pass_where_dev_shm_is_read_only(tmp_path: Path) -> None:
    """T12: /dev/shm may be unwritable, since our shared memory has no name there."""
    with Server(tmp_path, MIRROR, prefix=READ_ONLY) as server:
        assert_mirrored(server, os.urandom(SIZE))
        assert not server.log("no shared memory")
