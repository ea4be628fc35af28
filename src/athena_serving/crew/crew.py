"""A crew: the workers of one generation of one service, and the way of a call to one of them.

    admission ─ queue ─ dispatch ─ member ⇢ worker

A call goes to the worker that has the least to do. If the worker dies before user code saw the call, the call goes to
another worker, once; if user code had it, it is answered 10109 and never repeated.

A session takes a seat of its own for as long as it lasts, so it never waits for one: it has a seat at once, or it is
refused.
"""

import asyncio
from collections.abc import Callable

from athena_serving.crew.admission import Admission
from athena_serving.crew.member import Member
from athena_serving.crew.queue import Queue
from athena_serving.crew.sessions import Ending
from athena_serving.errors import QueueFull, Unavailable, WorkerDied
from athena_serving.wire.messages import Call, Send

TRIES = 2
"""A call that two workers died under before user code saw it is not given to a third."""


class Crew:
    """Is a `Serve`: `await crew.serve(call, send)`."""

    def __init__(
        self,
        service: str,
        *,
        queue: int,
        on_left: Callable[[Member], None],
        on_dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self.service = service
        self._on_left = on_left
        self._on_dropped = on_dropped
        self.admission = Admission(queue=queue)
        self.members: list[Member] = []
        self.queue: Queue[Member] = Queue()
        self.unavailable = "no worker is ready yet"
        """Why there is no worker, for the answer; kept up by whoever hears the supervisor."""

    def check(self) -> None:
        """Could a call come in now? Asked before its body is read. Raises `QueueFull`, `Unavailable`."""
        admission = self.admission
        if admission.inside < admission.seats:
            return
        if not admission.seats:
            raise self._nobody()
        admission.check()

    def check_seat(self) -> None:
        """Could a session begin now? Raises `QueueFull`, `Unavailable`."""
        self._seat()

    async def serve(self, call: Call, send: Send) -> None:
        """Run a call. Raises `QueueFull`, `Unavailable`, `WorkerDied`."""
        if not call.is_session:
            self.check()
        self.admission.enter()
        try:
            for _ in range(TRIES):
                if call.is_session:
                    member = self._seat()
                    member.reserve()
                else:
                    if not self.members:
                        raise self._nobody()
                    member = self._pick() or await self._wait()
                ending = await member.serve(call, send)
                if ending is None:
                    return
                if ending is Ending.DIED or call.feed is not None:  # what was fed cannot be fed again
                    raise WorkerDied("the worker died while it had the call")
            raise Unavailable(f"{TRIES} workers died before they began with the call")
        finally:
            self.admission.leave()

    def add(self, member: Member) -> None:
        """A worker is ready."""
        self.members.append(member)
        self._recount()
        self._dispatch(member)

    def retire(self, member: Member) -> None:
        """Send a worker no more calls; `on_left` is told when it has none.

        Those that wait when every worker retires are still served.
        """
        member.is_retiring = True
        self._recount()
        self._settle(member)

    def on_change(self, member: Member) -> None:
        """A member has less to do than before, or is gone."""
        if member not in self.members:
            return
        if member.is_gone:
            self._let_go(member)
            if not self.members:
                self.queue.dismiss(self._nobody())
            return
        if self.queue:
            self._dispatch(member)
        if member.is_retiring:
            self._settle(member)

    # ── dispatch ──────────────────────────────────────────────────────────────────────────────────

    def _pick(self) -> Member | None:
        """The worker with the least to do, reserved; None if none may have more, or others wait already."""
        if self.queue:
            return None
        best: Member | None = None
        for member in self.members:
            if (best is None or member.load < best.load) and self._may_have(member):
                best = member
        if best is not None:
            best.reserve()
        return best

    def _seat(self) -> Member:
        """The worker with the most free seats. Raises `QueueFull` if none has one, `Unavailable` if there is none."""
        ready = [member for member in self.members if not member.is_retiring]
        if not ready:
            raise self._nobody()
        best = min(ready, key=lambda member: member.load - member.seats)
        if best.load >= min(best.seats, best.limit) or self.queue:
            raise QueueFull(f"all {self.admission.seats} seats are taken, and a session does not wait for one")
        return best

    async def _wait(self) -> Member:
        waiter = self.queue.join()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()  # promised to us in the very moment we were cancelled
            self._on_dropped()
            raise

    def _dispatch(self, member: Member) -> None:
        """Give waiting calls to a worker that may have more."""
        while self._may_have(member) and self.queue:
            member.reserve()
            self.queue.serve(member)

    def _may_have(self, member: Member) -> bool:
        return member.load < member.limit and (not member.is_retiring or all(m.is_retiring for m in self.members))

    def _settle(self, member: Member) -> None:
        if member.is_retiring and not member.load and not (self.queue and self._may_have(member)):
            self._let_go(member)

    def _let_go(self, member: Member) -> None:
        self.members.remove(member)
        self._recount()
        self._on_left(member)

    def _recount(self) -> None:
        self.admission.seats = sum(m.seats * m.batch for m in self.members if not m.is_retiring)

    def _nobody(self) -> Unavailable:
        return Unavailable(f"service {self.service} cannot be called: {self.unavailable}")
