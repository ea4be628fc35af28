"""The soak, T16: calls and sessions at half load, 1 % of whose callers leave. 20 s here, ten minutes by `make soak`.

SOAK_SECONDS says how long `make soak` takes.
"""

import asyncio
import contextlib
import os
import random
import time
from pathlib import Path
from typing import Final

import pytest

from tests.load import Load, load_on
from tests.reliability import crowds
from tests.reliability.crowds import Visitor
from tests.reliability.forms import FORMS
from tests.reliability.streaming import Streaming, streaming
from tests.serving import ECHO

BRIEF: Final = 20.0
"""Seconds of the soak that every run of the tests has."""
SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "600"))
CALLERS: Final = 2
VISITORS: Final = 4
PAUSE: Final = 0.05
"""Seconds between two sessions of a visitor: half a load, no more."""
ABORTS: Final = 0.01
"""Share of callers that leave without waiting for their answer."""
GROWTH: Final = 8 << 20
"""Bytes that a process may grow by from the first third's end to the end."""
WAYS: Final = (crowds.finish_shared, crowds.finish_new, crowds.finish_events)
LEAVINGS: Final = (crowds.vanish, crowds.leave_events, crowds.leave_shared)


async def visit(visitor: Visitor, until: float) -> None:
    """Sessions of all forms, one after another, with pauses."""
    while time.monotonic() < until:
        ways = LEAVINGS if visitor.rng.random() < ABORTS else WAYS
        await visitor.go(visitor.rng.choice(ways), visitor.rng.choice([*FORMS]))
        await asyncio.sleep(PAUSE)
    await visitor.leave()


async def abort_calls(server: Streaming, load: Load, until: float) -> None:
    """Calls that nobody waits for, one in a hundred."""
    rng = random.Random(16)
    while time.monotonic() < until:
        await load.reached(50)
        if rng.random() < ABORTS * 50:
            link = await asyncio.to_thread(server.begin, "echo", "wait 1")
            link.close()


async def soak(folder: Path, seconds: float) -> None:
    """Everything at once for so long; what is held at the end was held after a third of the time."""
    with streaming(folder, [*FORMS.values(), ECHO], seats=8, settings={"server.access_log": False}) as server:
        began = time.monotonic()
        pids = {**server.workers(), "door": server.door(), "supervisor": server.pid}
        visitors = [Visitor(server, number) for number in range(VISITORS)]
        async with load_on(server, "echo", callers=CALLERS, data="sleep 0.01") as load, asyncio.TaskGroup() as group:
            for visitor in visitors:
                group.create_task(visit(visitor, began + seconds))
            group.create_task(abort_calls(server, load, began + seconds))
            await asyncio.sleep(seconds / 3)
            before = await asyncio.to_thread(crowds.holdings, pids)
        assert {sample.status for sample in load.samples} == {200}
        assert sum(visitor.done.total() for visitor in visitors) > VISITORS * seconds
        await asyncio.to_thread(crowds.until_settled, server)
        await asyncio.to_thread(crowds.assert_not_grown, before, pids, memory=GROWTH)
        for form in FORMS:
            await asyncio.to_thread(crowds.assert_each_ended_once, server, form)
        assert not [line for line in server.log() if line.get("level") == "ERROR"]
        with contextlib.closing(server.begin("echo", "still here")) as link:
            assert link.getresponse().status == 200


async def test_half_load_for_a_while_leaks_nothing(tmp_path: Path) -> None:
    """T16: calls and sessions, 1 % of whose callers leave, for some seconds: nobody fails, nothing is held."""
    await soak(tmp_path, BRIEF)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 90)
async def test_half_load_for_minutes_leaks_nothing(tmp_path: Path) -> None:
    """T16: the same for as long as SOAK_SECONDS says."""
    await soak(tmp_path, SECONDS)
