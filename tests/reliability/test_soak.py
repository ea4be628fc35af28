"""The soak, T16 as far as once-calls go: `make soak`, ten minutes unless SOAK_SECONDS says otherwise."""

import asyncio
import os
import random
import time
from pathlib import Path

import psutil
import pytest

from tests.load import load_on
from tests.serving import ECHO, Server

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
CALLERS = 4
ABORTS = 0.01  # share of calls that leave without waiting for their answer
GROWTH = 8 << 20  # bytes that the tree may have grown from the first third's end to the end


def resident(server: Server) -> int:
    """Bytes of memory that the processes of the tree do not share."""
    return sum(psutil.Process(pid).memory_full_info().uss for pid in server.tree())


def descriptors(server: Server) -> int:
    """Open descriptors of the tree."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in server.tree())


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 60)
async def test_half_load_with_aborts_leaks_nothing(tmp_path: Path) -> None:
    """T16: under half load, with 1 % of the callers leaving, memory, descriptors and seats stay what they were."""
    rng = random.Random(16)
    with Server(tmp_path, ECHO, settings={"workers.count": 2, "server.access_log": False}) as server:
        end = time.monotonic() + SECONDS
        async with load_on(server, "echo", callers=CALLERS, data="sleep 0.002") as load:
            await load.reached(500)
            first_descriptors = await asyncio.to_thread(descriptors, server)
            memory: list[int] = []
            while time.monotonic() < end:
                await load.reached(50)
                if rng.random() < ABORTS * 50:
                    link = await asyncio.to_thread(server.begin, "echo", "wait 1")
                    link.close()
                memory.append(await asyncio.to_thread(resident, server))
        assert {sample.status for sample in load.samples} == {200}
        settled = server.wait_for(
            lambda health: all(not one.get("running") for one in health["services"]["echo"]["workers"])
        )
        assert settled["ready"]
        assert server.total("athena_calls_in_flight") == 0
        assert descriptors(server) <= first_descriptors
        third = len(memory) // 3
        assert max(memory[-third:]) <= max(memory[:third]) + GROWTH
        assert not [line for line in server.log() if line.get("level") == "ERROR"]
