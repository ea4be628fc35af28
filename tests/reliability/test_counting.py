"""Metrics count what happened, whoever died meanwhile. Row T8."""

import asyncio
import itertools
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.load import load_on
from tests.serving import ECHO, Server, eventually

pytestmark = pytest.mark.reliability

COUNTERS = ("_total", "_count", "_sum", "_bucket")


def fallen(before: dict[str, float], after: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Counters that went down, or vanished, from one reading to the next."""
    return {
        series: (value, after.get(series, 0.0))
        for series, value in before.items()
        if series.partition("{")[0].endswith(COUNTERS) and after.get(series, 0.0) < value
    }


async def test_counters_agree_with_the_callers_after_deaths_and_restarts(tmp_path: Path) -> None:
    """T8: a killed worker and a rolling restart later, calls by code and status are what the load counted itself."""
    with Server(tmp_path, ECHO, settings={"workers.count": 4}) as server:
        async with load_on(server, "echo", callers=4, data="sleep 0.01") as load:
            readings = [server.metrics()]
            await load.reached(100)
            victim = server.workers()["echo-2"]
            os.kill(victim, signal.SIGKILL)
            restarted = asyncio.create_task(asyncio.to_thread(server.wait_for, _has_restarted))
            while not restarted.done():
                readings.append(await asyncio.to_thread(server.metrics))
            await restarted
            server.kill(signal.SIGHUP)
            rolled = asyncio.create_task(asyncio.to_thread(server.wait_for, _has_rolled, 20.0))
            while not rolled.done():
                readings.append(await asyncio.to_thread(server.metrics))
            await rolled
            await load.reached(100)
        eventually(lambda: server.total("athena_calls_in_flight") == 0, what="the end of all calls")
        readings.append(server.metrics())
        own = Counter((sample.code, sample.status) for sample in load.samples)
        assert all(not sample.error for sample in load.samples)
        assert set(own) <= {(0, 200), (10109, 503)}
        counted = {series: value for series, value in readings[-1].items() if series.startswith("athena_calls_total{")}
        assert counted == {
            f'athena_calls_total{{service="echo",code="{code}",status="{status}"}}': count
            for (code, status), count in own.items()
        }
        assert server.total("athena_call_seconds_count", stage="user") == own[0, 200]
        assert server.total("athena_worker_restarts_total") == 1
        for before, after in itertools.pairwise(readings):
            assert fallen(before, after) == {}


def _has_restarted(health: dict[str, dict[str, dict[str, list[dict[str, object]]]]]) -> bool:
    return any(one.get("restarts") and one["state"] == "ready" for one in health["services"]["echo"]["workers"])


def _has_rolled(health: dict[str, dict[str, dict[str, object]]]) -> bool:
    return health["services"]["echo"]["generation"] == 2
