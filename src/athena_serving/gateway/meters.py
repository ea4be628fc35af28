"""What the door counts, in its shared page, where it outlives the door. supervisor/metrics.py explains the names."""

from bisect import bisect_left
from typing import Final, Protocol

from athena_serving.wire.page import Page
from athena_serving.wire.session import StopReason

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the duration buckets, in seconds; one more has none."""

STAGES: Final = ("read", "decode", "wait", "user", "encode", "total")
"""read the body · check and decode it · queue, dispatch and way there and back · user code · encode · all."""


class Ended(Protocol):
    """What is counted of a call that ended."""

    code: int
    status: int
    bytes_in: int
    bytes_out: int
    user_us: int
    started: float
    read_at: float
    decoded_at: float
    answered_at: float
    """0 if user code did not answer."""


class Waited(Protocol):
    """What is counted of a session's feed."""

    waits: int
    waited: float


class Talked(Protocol):
    """What is counted of a session that ended."""

    steps_in: int
    steps_out: int

    @property
    def feed(self) -> Waited:
        """Its steps' way to the worker."""


class Meter:
    """The counters of one service."""

    def __init__(self, page: Page, service: str) -> None:
        self._page = page
        self._service = label(service)
        self._codes: dict[tuple[int, int], int] = {}
        self._in_flight = page.counter(f'athena_calls_in_flight{{service="{self._service}"}}')
        self._dropped = page.counter(f'athena_dropped_calls_total{{service="{self._service}"}}')
        self._bytes_in = page.counter(f'athena_request_bytes_total{{service="{self._service}"}}')
        self._bytes_out = page.counter(f'athena_response_bytes_total{{service="{self._service}"}}')
        self._sessions = page.counter(f'athena_sessions{{service="{self._service}"}}')
        self._steps_in, self._steps_out = (
            page.counter(f'athena_session_steps_total{{service="{self._service}",side="{side}"}}')
            for side in ("caller", "wrapper")
        )
        self._waits = page.counter(f'athena_stream_waits_total{{service="{self._service}",side="wrapper"}}')
        self._waited = page.counter(f'athena_stream_wait_seconds_total{{service="{self._service}",side="wrapper"}}')
        self._stages = [_histogram(page, f'service="{self._service}",stage="{stage}"') for stage in STAGES]
        """Per stage: indices of its buckets, and of its sum."""

    def entered(self) -> None:
        """A call has come."""
        self._page.values[self._in_flight] += 1.0

    def session_opened(self) -> None:
        """A session has begun."""
        self._page.values[self._sessions] += 1.0

    def session_closed(self, talk: Talked, reason: StopReason) -> None:
        """A session is over."""
        values, page, service = self._page.values, self._page, self._service
        values[self._sessions] -= 1.0
        values[page.counter(f'athena_sessions_total{{service="{service}",reason="{reason.value}"}}')] += 1.0
        values[self._steps_in] += talk.steps_in
        values[self._steps_out] += talk.steps_out
        values[self._waits] += talk.feed.waits
        values[self._waited] += talk.feed.waited

    def moved(self, to: "Meter") -> None:
        """A call has been found to be another service's."""
        self._page.values[self._in_flight] -= 1.0
        to.entered()

    def dropped(self) -> None:
        """A call was cancelled while it waited here for a worker. Workers count those dropped there."""
        self._page.values[self._dropped] += 1.0

    def ended(self, exchange: Ended, now: float) -> None:
        """A call has its answer, or nobody waits for one."""
        values = self._page.values
        outcome = (exchange.code, exchange.status)
        index = self._codes.get(outcome)
        if index is None:
            labels = f'service="{self._service}",code="{exchange.code}",status="{exchange.status}"'
            index = self._codes[outcome] = self._page.counter(f"athena_calls_total{{{labels}}}")
        values[index] += 1.0
        values[self._in_flight] -= 1.0
        values[self._bytes_in] += exchange.bytes_in
        values[self._bytes_out] += exchange.bytes_out
        if exchange.code or not exchange.answered_at:
            return
        for (buckets, total), seconds in zip(self._stages, stages(exchange, now), strict=True):
            values[buckets[bisect_left(BOUNDS, seconds)]] += 1.0
            values[total] += seconds


def stages(exchange: Ended, now: float) -> tuple[float, ...]:
    """Seconds that each of `STAGES` took of a call that user code answered."""
    started, read, decoded, answered = exchange.started, exchange.read_at, exchange.decoded_at, exchange.answered_at
    user = exchange.user_us / 1e6
    return read - started, decoded - read, max(0.0, answered - decoded - user), user, now - answered, now - started


def _histogram(page: Page, labels: str) -> tuple[list[int], int]:
    """Buckets are kept apart and summed up by whoever reads: one store an observation, not one a bucket."""
    bounds = [f"{bound:g}" for bound in BOUNDS] + ["+Inf"]
    buckets = [page.counter(f'athena_call_seconds_bucket{{{labels},le="{bound}"}}') for bound in bounds]
    return buckets, page.counter(f"athena_call_seconds_sum{{{labels}}}")


def label(text: str) -> str:
    """A label's value as it must be written in metrics."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
