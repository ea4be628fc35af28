"""Processors of a memory node: what the kernel writes, and what is said where it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.cli import numa
from athena_serving.errors import UsageError


@given(st.sets(st.integers(min_value=0, max_value=4096)))
def test_lists_are_read_as_the_kernel_writes_them(processors: set[int]) -> None:
    """Single numbers and ranges, in any mixture."""
    ranges = [f"{one}-{one + 2}" for one in processors]
    assert numa.parse_list(",".join(map(str, processors)) + "\n") == processors
    assert numa.parse_list(",".join(ranges)) == {one + more for one in processors for more in range(3)}


def test_process_keeps_to_the_node(tmp_path: Path) -> None:
    """A pinned process may run on the node's processors only."""
    (tmp_path / "node1").mkdir()
    processor = min(os.sched_getaffinity(0))
    (tmp_path / "node1" / "cpulist").write_text(f"{processor}\n")
    script = f"""
import os, pathlib
from athena_serving.cli import numa
assert numa.pin(1, nodes=pathlib.Path({str(tmp_path)!r})) == os.sched_getaffinity(0) == {{{processor}}}
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def test_missing_node_is_named_with_those_there_are(tmp_path: Path) -> None:
    """The error says which node was asked for, and which exist."""
    for name in ("node0", "node2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cpulist").touch()
    with pytest.raises(UsageError, match=r"there is no NUMA node 7") as caught:
        numa.pin(7, nodes=tmp_path)
    assert caught.value.help == "this machine has 0, 2"


@pytest.mark.parametrize("text", ["", "zero", "99999"])
def test_node_without_usable_processors_is_refused(tmp_path: Path, text: str) -> None:
    """An empty node, nonsense, and processors that do not exist are errors with the file's name."""
    (tmp_path / "node0").mkdir()
    (tmp_path / "node0" / "cpulist").write_text(text)
    before = os.sched_getaffinity(0)
    with pytest.raises(UsageError, match=r"cannot run on NUMA node 0") as caught:
        numa.pin(0, nodes=tmp_path)
    assert caught.value.where == str(tmp_path / "node0" / "cpulist")
    assert os.sched_getaffinity(0) == before
