"""What `/healthz` and `/readyz` say: computed from the workers' true states, with reasons."""

from collections.abc import Iterable
from typing import Final

import msgspec

from athena_serving.supervisor.doors import Door
from athena_serving.supervisor.fleets import Fleet
from athena_serving.supervisor.places import Place, State

_LINES: Final = 5
"""Last lines of a dead worker that are shown."""


class WorkerHealth(msgspec.Struct, omit_defaults=True):
    """One worker."""

    name: str
    state: str
    reason: str
    pid: int = 0
    restarts: int = 0
    running: int = 0
    """Calls that user code has."""
    longest_seconds: float = 0.0
    """How long it has had the oldest of them."""
    last_lines: list[str] = []


class ServiceHealth(msgspec.Struct, omit_defaults=True):
    """One service."""

    ready: bool
    generation: int
    seats: int
    used: int
    """Seats that are taken."""
    workers: list[WorkerHealth]
    reason: str = ""
    """Why it is not ready."""
    note: str = ""
    """What a person should know though it is ready."""


class Report(msgspec.Struct):
    """Everything."""

    ready: bool
    state: str
    reasons: list[str]
    services: dict[str, ServiceHealth]


def report(fleets: Iterable[Fleet], doors: Iterable[Door], *, state: str, now: float) -> Report:
    """The state of everything at this moment of the monotonic clock."""
    services = {fleet.name: _service(fleet, now) for fleet in fleets}
    reasons = [f"service {name}: {one.reason}" for name, one in services.items() if not one.ready]
    reasons += [f"door {door.index}: {door.reason}" for door in doors if not door.is_serving]
    if state != "serving":
        reasons.insert(0, state)
    return Report(not reasons, state, reasons, services)


def _service(fleet: Fleet, now: float) -> ServiceHealth:
    workers = [_worker(place, now) for place in fleet.places()]
    current = fleet.current
    ready = current.ready() if current is not None else []
    reason = "" if ready else "; ".join(dict.fromkeys(f"{w.name} {w.reason}" for w in workers)) or "no workers"
    seats = sum(place.hosted.workers.seats for place in ready)
    used = sum(min(place.hosted.workers.seats, len(place.running())) for place in ready)
    generation = current.number if current is not None else 0
    return ServiceHealth(bool(ready), generation, seats, used, workers, reason, fleet.note)


def _worker(place: Place, now: float) -> WorkerHealth:
    running = place.running()
    state = "busy" if place.is_busy and place.state is State.READY else place.state.value
    lines = place.recent_lines()[-_LINES:] if place.state in (State.WAITING, State.GIVEN_UP, State.STARTING) else []
    return WorkerHealth(
        place.name,
        state,
        f"{place.state.value}: {place.reason}" if place.reason != place.state.value else place.reason,
        pid=place.pid,
        restarts=place.restarts,
        running=len(running),
        longest_seconds=round(max((now - call.started for call in running), default=0.0), 3),
        last_lines=lines,
    )
