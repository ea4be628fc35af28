"""A service's workers, generation by generation.

A generation is a set of workers and the schema they were loaded with. Reload, rolling restart and (later) a pushed
schema are one move: start a generation, let it take over when all its workers are ready, retire the old one. If the new
one cannot be loaded the old one stays. With `replace = "stop-first"` the old one is retired first, so there is nothing
to fall back on: the new one takes over with its first worker, and is tried again as any worker that dies.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from athena_serving.errors import UsageError, WrapperNotLoadable
from athena_serving.settings import Hosted
from athena_serving.supervisor import edits
from athena_serving.supervisor.places import Place, State
from athena_serving.wire.control import Install, Loaded, TakeOver, ToDoor

log = logging.getLogger("supervisor")


class Joins(Protocol):
    """Links doors with a worker, whose seats are shared by `batch` once-calls."""

    def __call__(self, place: Place, service: str, generation: int, *, batch: int) -> None:
        """Link them."""


class Switchboard(Protocol):
    """The doors, as a fleet needs them."""

    def tell(self, order: ToDoor) -> None:
        """Tell every door."""

    def join(self, place: Place, service: str, generation: int, *, batch: int) -> None:
        """Link every door with a worker, whose seats are shared by `batch` once-calls."""

    async def retire(self, place: Place) -> None:
        """Wait until no door has a call at a worker."""

    def start(self, name: str, place: Place) -> None:
        """Run `place.keep()` as a task that the supervisor owns."""

    def on_first_ready(self, fleet: "Fleet") -> None:
        """A service can be called for the first time."""


class Generation:
    """Workers that were started together."""

    def __init__(self, number: int, places: list[Place]) -> None:
        self.number = number
        self.places = places
        self.document = b""
        self.faces: tuple[str, ...] = ()
        """What the wrapper's methods can do (`control.Loaded`)."""
        self.is_installed = False

    @property
    def is_over(self) -> bool:
        """Has every worker left?"""
        return all(place.state is State.LEFT for place in self.places)

    def ready(self) -> list[Place]:
        """Its workers that can be called."""
        return [place for place in self.places if place.state is State.READY]


class Fleet:
    """One service."""

    def __init__(
        self,
        hosted: Hosted,
        board: Switchboard,
        make: Callable[[Hosted, str, int], Place],
        *,
        claim: Callable[["Fleet", str], None],
    ) -> None:
        self.hosted = hosted
        self.name = hosted.service.name or hosted.directory.name
        """The service's name; the folder's until the wrapper has said its own."""
        self.current: Generation | None = None
        self.coming: Generation | None = None
        self.is_named = bool(hosted.service.name)
        """Has it claimed its name? Until then the folder's stands in, which others may claim."""
        self.note = ""
        """What became of the last reload, if it failed."""
        self._board = board
        self._make = make
        self._claim = claim
        self._count = 0
        self._begun: list[Generation] = []
        self._leaving = asyncio.Event()
        self._lock = asyncio.Lock()
        self._has_next = False
        """Does a reload wait for the one in progress?"""
        self._edited: set[Path] = set()

    def places(self) -> Iterable[Place]:
        """Every place that is not over, oldest generation first; also those that retire or were just killed."""
        for generation in self._begun:
            yield from (place for place in generation.places if place.state is not State.LEFT)

    def start(self) -> None:
        """Start a generation that replaces nobody; it takes over as soon as one of its workers is ready."""
        self.coming = self._begin()

    async def roll(self, edited: Collection[Path] = ()) -> None:
        """Replace every worker; `edited` are files that are not what they were.

        Asked while one is in progress, it waits for that to be decided. However often it is asked meanwhile, there is
        one more: it starts from whatever is there then.
        """
        self._edited.update(edited)
        if self._has_next:
            return
        self._has_next = True
        async with self._lock:
            self._has_next = False
            old = None if self._leaving.is_set() else await self._replace()
        if old is not None:
            await self._leave(old)  # its calls may take long, and the next reload need not wait for them

    async def leave(self) -> None:
        """End every worker in order, for good."""
        self._leaving.set()
        await asyncio.gather(*(self._leave(one) for one in self._begun))

    def resend(self, tell: Callable[[ToDoor], None], join: Joins) -> None:
        """Tell a door that has just started everything that is."""
        for generation in (self.current, self.coming):
            if generation is None or not generation.is_installed:
                continue
            tell(self._install(generation))
            for place in generation.ready():
                join(place, self.name, generation.number, batch=self._batch(generation))
        if self.current is not None:
            tell(TakeOver(self.name, self.current.number))

    # ── what places tell ──────────────────────────────────────────────────────────────────────────

    def on_loaded(self, place: Place, loaded: Loaded) -> None:
        """A worker has read its wrapper. Raises `UsageError` if its name is another's, or not what it was."""
        generation = self._of(place)
        if generation is None:
            return
        if self.is_named and loaded.service != self.name:
            raise UsageError(
                f"service {self.name!r} cannot become {loaded.service!r} while it is served",
                where=str(self.hosted.path),
                help="give it back its name, or start the server anew",
            )
        self._claim(self, loaded.service)
        self.name, self.is_named = loaded.service, True
        place.rename(f"{self.name}-{place.index}")
        if not generation.is_installed:
            generation.document = loaded.document
            generation.faces = loaded.faces
            generation.is_installed = True
            self._board.tell(self._install(generation))

    def on_ready(self, place: Place) -> None:
        """A worker can be called."""
        generation = self._of(place)
        if generation is None:
            return
        self._board.join(place, self.name, generation.number, batch=self._batch(generation))
        if self.current is None and generation is self.coming:
            self._take_over(generation)
            self._board.on_first_ready(self)

    def load_error(self) -> WrapperNotLoadable | None:
        """Why the service cannot even be loaded at the start; None if it could, or may still."""
        if self.current is not None or self.coming is None or self._count > 1:
            return None
        for place in self.coming.places:
            if place.failure is not None and place.failure.stage == "load":
                failed = place.failure
                return WrapperNotLoadable(failed.message, where=failed.where, help=failed.help)
        return None

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    async def _replace(self) -> Generation | None:
        """Start a generation; the one that has to leave since the new one took over, if so."""
        old = self.current
        if old is not None and self.hosted.workers.replace == "stop-first":
            await self._leave(old)
            if self._leaving.is_set():
                return None
            self.current = old = None
        if old is None:
            self._give_up_coming()
            self.start()
            return None
        coming = self.coming = self._begin(is_trial=True)
        await asyncio.gather(*(place.settled() for place in coming.places))
        if self._leaving.is_set():
            return None
        if len(coming.ready()) == len(coming.places) or (coming.ready() and not old.ready()):
            self._take_over(coming)
            log.info("%s: reloaded", self.name, extra={"fields": {"generation": coming.number}})
            return old
        failed = next(place for place in coming.places if place.state is not State.READY)
        self.note = f"the reload failed, the old workers stay: {failed.reason}"
        log.error("%s: %s", self.name, self.note)
        self._give_up_coming()
        return None

    def _begin(self, *, is_trial: bool = False) -> Generation:
        """Start workers; of a trial's deaths `_replace` tells, and they are nobody's news."""
        edits.forget_compiled(self._edited)
        self._edited.clear()
        self._count += 1
        places = [self._make(self.hosted, f"{self.name}-{i}", i) for i in range(self.hosted.workers.count)]
        generation = Generation(self._count, places)
        self._begun = [*(one for one in self._begun if not one.is_over), generation]
        for place in places:
            place.is_trial = is_trial
            self._board.start(place.name, place)
        return generation

    def _of(self, place: Place) -> Generation | None:
        return next((g for g in (self.current, self.coming) if g is not None and place in g.places), None)

    def _install(self, generation: Generation) -> Install:
        return Install(
            self.name,
            generation.number,
            generation.document,
            queue=self.hosted.workers.queue,
            passed_headers=[*self.hosted.service.pass_headers],
            faces=generation.faces,
            stream=msgspec.json.encode(self.hosted.stream),
        )

    def _batch(self, generation: Generation) -> int:
        return self.hosted.batch.max if "batch" in generation.faces else 1

    def _take_over(self, generation: Generation) -> None:
        self.current, self.coming, self.note = generation, None, ""
        for place in generation.places:
            place.is_trial = False
        self._board.tell(TakeOver(self.name, generation.number))

    async def _leave(self, generation: Generation) -> None:
        await asyncio.gather(*(place.leave(self._board.retire) for place in generation.places))

    def _give_up_coming(self) -> None:
        if self.coming is not None:
            for place in self.coming.places:
                place.kill()
            self.coming = None
