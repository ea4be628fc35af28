"""Sessions by the thousand leave nothing behind, whatever ends them; nor do reloads under load. Rows T15 and T16."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from athena_serving.wire.session import StopReason
from tests.load import Load, load_on
from tests.reliability import crowds
from tests.reliability.crowds import Visitor
from tests.reliability.forms import BOTH, CALLBACK, FORMS, SYNC
from tests.reliability.streaming import Peer, Streaming, streaming
from tests.serving import ECHO, Json, eventually

SESSIONS: Final = 10_000
ROUND: Final = 2_500
"""Sessions between two looks."""
RARE: Final = 20
"""Sessions of each way that takes its time."""
DEATHS: Final = 5
"""Workers that are killed in the middle of sessions."""
SEATS: Final = 16
GROWTH: Final = 8 << 20
"""Bytes that a process may grow by after the first round: less than a kilobyte a session."""
RELOADS: Final = 50
PIECE: Final = 1 << 20
"""Bytes of a step where a test looks for what is kept of it."""
HASTY: Final = "[stream]\nidle_timeout = 0.5\nsession_timeout = 1.0\nstall_timeout = 0.5\n"
"""Settings of a service whose sessions soon run out of time."""


def renamed(source: str, old: str, new: str) -> str:
    """A wrapper as another service."""
    return source.replace(f'serviceId = "{old}"', f'serviceId = "{new}"')


def written(folder: Path, source: str, settings: str) -> Path:
    """A service's folder with settings of its own."""
    folder.mkdir()
    (folder / "wrapper.py").write_text(source)
    (folder / "athena.toml").write_text(settings)
    return folder


# ── ten thousand sessions ─────────────────────────────────────────────────────────────────────────


async def slow_ways(server: Streaming) -> Counter[str]:
    """Sessions that are ended by a clock, or for want of a seat, a few at a time."""
    holder = Visitor(server, 1000)
    connection = await holder.shared("narrow")
    for number in range(SEATS):
        await crowds.begun(connection, "narrow", "echo", status=0, cid=str(number))
        await connection.recv()
        await connection.recv()
    visitors = [Visitor(server, 1001 + number) for number in range(8)]

    async def hold(visitor: Visitor, rounds: int) -> None:
        for _ in range(rounds):
            for service in ("hasty", "hasty-callback"):
                for way in (crowds.stay_silent, crowds.overstay, crowds.be_stalled):
                    await visitor.go(way, service)
            await visitor.go(crowds.be_refused, "narrow")

    async with asyncio.TaskGroup() as group:
        for visitor in visitors:
            group.create_task(hold(visitor, RARE // len(visitors)))
    await holder.leave()
    return sum((visitor.done for visitor in visitors), Counter())


async def deaths(server: Streaming) -> Counter[str]:
    """Workers killed one after another while they hold sessions, some on a connection that lives on."""
    visitor = Visitor(server, 2000)
    connection = await visitor.shared("mortal")
    for number in range(DEATHS):
        links = [await visitor.opened("mortal") for _ in range(3)]
        for link in links:
            await crowds.begun(link, "mortal", "count")
            await link.recv()
        await crowds.begun(connection, "mortal", "count", cid=str(number))
        await connection.recv()
        (pid,) = (await asyncio.to_thread(server.workers, "mortal")).values()
        os.kill(pid, signal.SIGKILL)
        assert [(await crowds.heard(link))["header"]["code"] for link in links] == [10109] * 3
        assert (await crowds.heard(connection, str(number)))["header"]["code"] == 10109
        await asyncio.to_thread(server.wait_for, partial(is_back, pid=pid))
    await visitor.leave()
    return Counter(died=4 * DEATHS)


def is_back(health: Json, pid: int) -> bool:
    """Has a killed worker's place another that is ready?"""
    mortal = health["services"]["mortal"]
    return bool(mortal["ready"]) and all(one.get("pid", 0) not in (0, pid) for one in mortal["workers"])


def by_reason(server: Streaming) -> Counter[str]:
    """Sessions that ended, by reason."""
    counted: Counter[str] = Counter()
    for series, value in server.metrics().items():
        if series.startswith("athena_sessions_total{"):
            counted[series.partition('reason="')[2].partition('"')[0]] += int(value)
    return counted


@pytest.mark.slow  # ten thousand sessions, and those that wait for a clock, take half a minute
@pytest.mark.timeout(240)
async def test_ten_thousand_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    """T16: descriptors, threads, seats and memory of every process are what they were, whatever ended the sessions.

    Of the reasons there are, SHUTDOWN is the server's own end (test_sessions.py), and FAULT a bug of ours.
    """
    hasty = [
        written(tmp_path / "hasty", renamed(SYNC, "sync", "hasty"), HASTY),
        written(tmp_path / "hasty-callback", renamed(CALLBACK, "callback", "hasty-callback"), HASTY),
    ]
    others = [renamed(SYNC, "sync", "narrow"), renamed(FORMS["async"], "async", "mortal")]
    settings = {"server.access_log": False, "workers.restart_delay": 0}
    with streaming(tmp_path, [*FORMS.values(), *others, *hasty], seats=SEATS, settings=settings) as server:
        lasting = {name: pid for name, pid in server.workers().items() if not name.startswith("mortal")}
        lasting |= {"door": server.door(), "supervisor": server.pid}
        done = await crowds.crowd(server, ROUND)
        done += await slow_ways(server) + await deaths(server)
        await asyncio.to_thread(crowds.until_settled, server)
        before = crowds.holdings(lasting)
        for number in range(1, SESSIONS // ROUND + 1):
            extra = asyncio.gather(slow_ways(server), deaths(server)) if number == 1 else None
            done += await crowds.crowd(server, ROUND, seed=number)
            if extra is not None:
                done += sum(await extra, Counter())
        await asyncio.to_thread(crowds.until_settled, server)
        await asyncio.to_thread(crowds.assert_not_grown, before, lasting, memory=GROWTH)
        for service in (*FORMS, "narrow", "hasty", "hasty-callback"):
            await asyncio.to_thread(crowds.assert_each_ended_once, server, service)
        counted = by_reason(server)
        assert {*counted} >= {one.value for one in StopReason if one not in (StopReason.SHUTDOWN, StopReason.FAULT)}
        assert counted[StopReason.FAULT.value] == 0
        assert counted[StopReason.FINISHED.value] == sum(done[way] for way in done if way.startswith("finish"))
        assert counted[StopReason.WORKER_DIED.value] == done["died"]
        assert sum(counted.values()) == done.total() + done["leave_shared"] + 2 * SEATS
        assert not [line for line in server.log() if "own fault" in str(line.get("message"))]


def test_finished_sessions_of_a_kept_connection_keep_none_of_their_data(tmp_path: Path) -> None:
    """T16: a connection may have had hundreds of sessions; what they brought is gone with them."""
    with streaming(tmp_path, [FORMS["async"]]) as server:
        door = {"door": server.door()}
        with Peer(server, "async", query="?stream_mode=multiplex") as peer:
            for number in range(100):
                peer.say("quick", "brief", "x" * PIECE, cid=str(number))
                assert not peer.rest(str(number))[-1]["header"]["code"]
                if number == 9:
                    before = crowds.holdings(door)
            crowds.assert_not_grown(before, door, memory=16 * PIECE)


# ── T15: reloads ──────────────────────────────────────────────────────────────────────────────────


class Streams:
    """Event streams, one after another, until stopped; each must be whole."""

    def __init__(self, server: Streaming) -> None:
        self.whole = 0
        self._visitor = Visitor(server, 0)
        self._is_over = False

    async def run(self) -> None:
        """Hold streams until `stop`."""
        while not self._is_over:
            await self._visitor.go(crowds.finish_events, "both")
            self.whole += 1

    def stop(self) -> None:
        """Begin no more."""
        self._is_over = True


@contextlib.asynccontextmanager
async def streams_on(server: Streaming) -> AsyncIterator[Streams]:
    """Streams while the block runs."""
    streams = Streams(server)
    async with asyncio.TaskGroup() as group:
        group.create_task(streams.run())
        try:
            yield streams
        finally:
            streams.stop()


async def reloaded(server: Streaming, file: Path, number: int) -> None:
    """Edit the wrapper, and wait until what serves is the edited one."""
    generation = (await asyncio.to_thread(server.health))["services"]["both"]["generation"]
    await asyncio.to_thread(file.write_text, f"{BOTH}\n# edit {number}\n")
    await asyncio.to_thread(server.wait_for, lambda health: health["services"]["both"]["generation"] > generation, 30.0)


def failed(load: Load) -> set[tuple[int, str]]:
    """What became of requests other than 200."""
    return {(one.status, one.error) for one in load.samples} - {(200, "")}


@pytest.mark.slow  # fifty reloads, each of which starts a process, take half a minute
@pytest.mark.timeout(180)
async def test_fifty_reloads_under_load_fail_nothing_and_keep_nothing(tmp_path: Path) -> None:
    """T15: while a service is edited 50 times, its calls and streams and a neighbour's calls succeed; memory stays."""
    settings = {"server.reload": True, "server.access_log": False}
    with streaming(tmp_path, [BOTH, ECHO], seats=4, settings=settings) as server:
        file = server.folder_of("both") / "wrapper.py"
        lasting = {"door": server.door(), "supervisor": server.pid, "neighbour": server.workers()["echo-0"]}
        async with (
            load_on(server, "echo", callers=1) as neighbour,
            load_on(server, "both", callers=1) as calls,
            streams_on(server) as streams,
        ):
            for number in range(RELOADS):
                await reloaded(server, file, number)
                if number == RELOADS // 5:
                    await asyncio.to_thread(until_alone, server)
                    before = crowds.holdings(lasting)
        assert failed(neighbour) == failed(calls) == set()
        assert streams.whole > RELOADS // 10
        assert max(one.seconds for one in neighbour.samples) < 2.0
        await asyncio.to_thread(until_alone, server)
        await asyncio.to_thread(crowds.assert_not_grown, before, lasting, memory=GROWTH)
        assert server.workers()["echo-0"] == lasting["neighbour"]


def until_alone(server: Streaming) -> None:
    """Wait until no old worker of the service is left."""
    eventually(lambda: len(server.health()["services"]["both"]["workers"]) == 1, what="the end of the old workers")
