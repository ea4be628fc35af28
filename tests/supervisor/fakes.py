"""Places without processes, and the board and the house around them, which remember what they were told."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from athena_serving.settings import Hosted, Service, Workers
from athena_serving.supervisor.fleets import Fleet
from athena_serving.supervisor.places import Place, State, Verdict
from athena_serving.wire.control import Failed, Install, Loaded, TakeOver, ToDoor
from athena_serving.wire.page import Page


def hosted(*, count: int = 1, seats: int = 1, replace: str = "start-first", name: str = "") -> Hosted:
    """A service in the folder `ocr`."""
    workers = Workers(count=count, seats=seats, replace="stop-first" if replace == "stop-first" else "start-first")
    path = Path("/services/ocr/wrapper.py")
    return Hosted(path, Service(name=name), workers, {}, path.parent)


class House:
    """Counts what changes."""

    def __init__(self) -> None:
        self.changes = 0

    def environment(self, hosted: Hosted, index: int) -> dict[str, str]:  # noqa: ARG002  # the protocol's
        """Nothing."""
        return {}

    def on_loaded(self, place: Place, loaded: Loaded) -> None:
        """Not asked for."""

    def on_ready(self, place: Place) -> None:
        """Not asked for."""

    def on_dead(self, place: Place, verdict: Verdict) -> None:
        """Not asked for."""

    def on_change(self) -> None:
        """One more."""
        self.changes += 1


class FakePlace(Place):
    """A place whose worker does what the test says."""

    def __init__(self, one: Hosted, name: str, index: int) -> None:
        super().__init__(one, House(), name=name, index=index, doors=1, body_limit=1000, log_form="json")
        self.may_retire = asyncio.Event()
        """The last call of the worker is answered."""

    async def keep(self) -> None:
        """Nothing to keep."""

    async def leave(self, retire: Callable[[Place], Awaitable[None]]) -> None:  # noqa: ARG002  # `may_retire` is asked
        """Finish the calls, then end."""
        self._leaving.set()
        if self.state is State.READY:
            self._become(State.RETIRING, "finishing its calls")
            await self.may_retire.wait()
        self._become(State.LEFT, "left")
        self._settled.set()

    def kill(self) -> None:
        """End at once."""
        self._leaving.set()
        self._become(State.LEFT, "left")

    def be(self, state: State, reason: str = "", *, calls: int = 0) -> None:
        """Come into a state, with so many calls that run since second 90 of the clock."""
        self._become(state, reason or state.value)
        self.page = Page(memoryview(bytearray(1 << 12)))
        self.page.format(8)
        for slot in range(calls):
            self.page.set_slot(slot, slot, 90.0 + slot, 200.0)

    def fail(self, stage: str, message: str) -> None:
        """The wrapper does not load, or does not init."""
        self.failure = Failed(stage, message, "wrapper.py:3", "mend it")
        self._become(State.WAITING, f"{message}; help: mend it")
        self._settled.set()


class Board:
    """A fleet's surroundings; `fleet` is built on it."""

    def __init__(self, one: Hosted) -> None:
        self.orders: list[str] = []
        """What the doors were told, shortly."""
        self.first_ready = 0
        self.claimed: list[str] = []
        self.fleet = Fleet(one, self, FakePlace, claim=lambda _, name: self.claimed.append(name))

    def tell(self, order: ToDoor) -> None:
        """Tell every door."""
        if isinstance(order, Install | TakeOver):
            self.orders.append(f"{type(order).__name__} {order.service} {order.generation}")

    def join(self, place: Place, service: str, generation: int, *, batch: int) -> None:  # noqa: ARG002  # a board's
        """Link every door with a worker."""
        self.orders.append(f"Join {place.name} {service} {generation}")

    async def retire(self, place: Place) -> None:
        """At once."""

    def start(self, name: str, place: Place) -> None:
        """Nothing to run."""

    def on_first_ready(self, fleet: Fleet) -> None:  # noqa: ARG002  # the protocol's
        """One more."""
        self.first_ready += 1

    def places(self) -> list[FakePlace]:
        """The fleet's places that are not over."""
        return [place for place in self.fleet.places() if isinstance(place, FakePlace)]

    def load(self, place: FakePlace, name: str = "ocr") -> None:
        """A worker has read its wrapper."""
        self.fleet.on_loaded(place, Loaded(name, b"{}"))

    def ready(self, *places: FakePlace, name: str = "ocr") -> None:
        """Workers load and are ready, one after the other."""
        for place in places:
            self.load(place, name)
            place.be(State.READY)
            place._settled.set()
            self.fleet.on_ready(place)
