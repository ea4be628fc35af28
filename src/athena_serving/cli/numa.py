"""A process on the processors of one memory node, so that a model's memory is near who computes with it."""

import os
from pathlib import Path

from athena_serving.errors import UsageError

NODES = Path("/sys/devices/system/node")


def pin(node: int, *, nodes: Path = NODES) -> frozenset[int]:
    """Run this process, and what it starts, on the processors of a node only; their numbers.

    Raises UsageError if there is no such node, it has no processors, or the system refuses.
    """
    where = str(nodes / f"node{node}" / "cpulist")
    try:
        processors = parse_list(Path(where).read_text(encoding="ascii"))
        os.sched_setaffinity(0, processors)
    except FileNotFoundError:
        numbers = sorted(int(one.name[4:]) for one in nodes.glob("node*") if one.name[4:].isdecimal())
        remedy = f"this machine has {', '.join(map(str, numbers))}" if numbers else "this machine has none"
        raise UsageError(f"there is no NUMA node {node}", where=where, help=remedy) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot run on NUMA node {node}: {error}", where=where) from error
    return processors


def parse_list(text: str) -> frozenset[int]:
    """Processors from the kernel's form of a list: `0-3,8,10-11`. Raises ValueError."""
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
