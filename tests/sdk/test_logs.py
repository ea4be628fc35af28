"""Loggers that wrappers import (wrapper.md 1.7). Each in a process of its own: they change the root logger."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from athena_serving.sdk.logs import getFileLogger


def ran(script: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        timeout=60,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), **environ},
    )


def test_lines_show_in_asf_format(tmp_path: Path) -> None:
    """`python wrapper.py` shows INFO and above, on stderr."""
    script = "from aiges.utils.log import log\ndef f():\n    log.info('loaded %s', 'x')\nf(); log.debug('secret')"
    lines = ran(script, tmp_path).stderr.splitlines()
    assert [line.partition(" - ")[2] for line in lines] == ["root:f:3 - INFO:  loaded x"]


def test_importing_the_sdk_alone_sets_nothing_up(tmp_path: Path) -> None:
    """Whoever does not ask for `log` keeps their own logging."""
    script = "import logging, aiges.sdk, aiges.dto; print(logging.getLogger().handlers, logging.getLogger().level)"
    assert ran(script, tmp_path).stdout == "[] 30\n"


def test_root_logger_of_the_server_stays_as_it_is(tmp_path: Path) -> None:
    """No second handler, no other level."""
    script = (
        "import logging; logging.basicConfig(level='WARNING', format='server %(message)s')\n"
        "from aiges.utils.log import log, getLogger\n"
        "assert getLogger('%(message)s', logging.DEBUG) is log is logging.getLogger()\n"
        "log.info('hidden'); log.warning('seen')"
    )
    assert ran(script, tmp_path).stderr == "server seen\n"


def test_file_of_the_root_logger_leaves_its_level(tmp_path: Path) -> None:
    """In a server, a wrapper's file must not turn everybody's debugging on."""
    script = (
        "import logging; logging.basicConfig(level='WARNING')\n"
        "from aiges.utils.log import getFileLogger\n"
        "log = getFileLogger('%(message)s', level=logging.DEBUG, name='root'); log.info('no'); log.warning('yes')"
    )
    ran(script, tmp_path, AIGES_LOG_DIR=str(tmp_path))
    assert (tmp_path / "root.log").read_text(encoding="utf-8") == "yes\n"


def test_format_and_level_can_be_changed(tmp_path: Path) -> None:
    """`getLogger` puts one handler in the place of the last."""
    script = (
        "import logging; from aiges.utils.log import log, getLogger\n"
        "getLogger('one %(message)s', logging.DEBUG); getLogger('two %(message)s', level=logging.DEBUG, name='x')\n"
        "log.debug('seen')"
    )
    assert ran(script, tmp_path).stderr == "two seen\n"


WRITES = (
    "from aiges.utils.log import getFileLogger\nimport logging, sys\n"
    "log = getFileLogger('%(levelname)s %(message)s', level=logging.DEBUG, name='ocr')\n"
    "getFileLogger('%(levelname)s %(message)s', level=logging.DEBUG, name='ocr')\n"
    "if 'quiet' not in sys.argv: log.debug('héllo')\n"
)


def test_file_is_made_by_the_first_record(tmp_path: Path) -> None:
    """In the folder of the variable; asking twice does not write twice."""
    folder = tmp_path / "deep" / "logs"
    ran(WRITES.replace("sys.argv", "['quiet']"), tmp_path, AIGES_LOG_DIR=str(folder))
    assert not folder.exists()
    ran(WRITES, tmp_path, AIGES_LOG_DIR=str(folder))
    assert (folder / "ocr.log").read_text(encoding="utf-8") == "DEBUG héllo\n"


def test_folder_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    """The next is tried: ASF's folder, `log` here, at last one among the temporary files."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "log").write_text("in the way")
    script = "import athena_serving.sdk.logs as logs; logs.FOLDERS = ('/proc/nothing', 'log')\n" + WRITES
    ran(script, tmp_path, AIGES_LOG_DIR="/proc/nothing/either")
    (folder,) = (tmp_path / "tmp").glob("athena-logs-*")
    assert (folder / "ocr.log").read_text(encoding="utf-8") == "DEBUG héllo\n"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_nowhere_to_write_is_worth_one_warning(tmp_path: Path) -> None:
    """And no error: a log must not stop what it tells of."""
    script = (
        "import athena_serving.sdk.logs as logs; logs.FOLDERS = ('/proc/a',); logs._private = lambda: '/proc/b'\n"
        "log = logs.getFileLogger(); log.error('one'); log.error('two')"
    )
    assert ran(script, tmp_path, AIGES_LOG_DIR="").stderr.count("wrapper.log cannot be written anywhere") == 1


def test_files_do_not_grow_for_ever(tmp_path: Path) -> None:
    """They are begun anew, and few old ones are kept."""
    script = (
        "import athena_serving.sdk.logs as logs; logs.FILE_BYTES = 100\nlog = logs.getFileLogger('%(message)s')\n"
        "[log.debug('x' * 60) for _ in range(20)]"
    )
    ran(script, tmp_path, AIGES_LOG_DIR=str(tmp_path))
    assert sorted(file.name for file in tmp_path.glob("wrapper.log*")) == [
        "wrapper.log",
        "wrapper.log.1",
        "wrapper.log.2",
        "wrapper.log.3",
    ]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/x", "a/b", "a\0b"])
def test_name_with_folders_is_refused(name: str) -> None:
    """A log file belongs into the log folder."""
    with pytest.raises(ValueError, match="no name for a log file"):
        getFileLogger("%(message)s", level=logging.DEBUG, name=name)
