"""What is asked of every server: how many callers, of which kind, with which request, and what was aimed at."""

from dataclasses import dataclass, field
from enum import Enum

from benchmarks import exchanges, streams
from benchmarks.exchanges import Dialect, Exchange

NO_BATCHES = "no batches"
NO_SOCKET = "no WebSocket"
NO_SESSIONS = "no sessions"
IDEAL_BATCHES = 2640
"""Items a second where sixteen take 6 ms and a sleep's usual 60 µs of oversleeping."""


class Drive(Enum):
    """Who calls."""

    WRK = "wrk"
    EVENTS = "events"
    """Callers of server-sent events, a request after the other."""
    FRAMES = "frames"
    """Callers over WebSocket, a session after the other."""
    PACED = "paced"
    """Sessions that send a frame every 40 ms, whatever the server does."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A number that a row was to reach."""

    text: str
    """A formula, which every language reads."""
    server: str
    """Whose row it is read from."""
    field: str
    """Of `rounds.Row`."""
    least: float = 0.0
    most: float = float("inf")
    per: float = 1.0
    """What the field is divided by."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A once-call that goes on beside the sessions, and shows that they do not starve it."""

    service: str
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load."""

    name: str
    group: str
    """What `--only` selects."""
    title: str
    service: str
    """Folder in `services/`, serviceId of its wrapper, path in the peers."""
    concurrency: int
    """Connections, each with one request in flight, or with one session."""
    workers: int
    """Processes that run user code."""
    exchanges: dict[Dialect, Exchange]
    drive: Drive = Drive.WRK
    aims: tuple[Aim, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)
    """By server: why it has no part in this case."""
    dialects: dict[str, Dialect] = field(default_factory=dict)
    """By server: a dialect that is not its usual one."""
    beside: Beside | None = None

    @property
    def beside_name(self) -> str:
        """The name of the row of the calls beside."""
        return f"once beside {self.name}"


def every_case() -> tuple[Case, ...]:
    """All cases in the order of the report."""
    return (*_once(), *_streams(), _batch(), *_audio())


def times(server: str, least: float) -> Aim:
    """So many times a server's rate."""
    return Aim(f"rate / rate({server}) ≥ {least:g}", server, "rate_ratio", least=least)


def as_quick_as(server: str) -> Aim:
    """A median no longer than a server's."""
    return Aim(f"p50({server}) / p50 ≥ 1", server, "p50_ratio", least=1.0)


def _once() -> tuple[Case, ...]:
    echo, varied = exchanges.echo(), exchanges.echo(uid=exchanges.VARYING)
    image, burn = exchanges.image(), exchanges.burn()
    one, many = (as_quick_as("fastapi"), as_quick_as("mosec")), (times("fastapi", 3), times("mosec", 3))
    big = (times("fastapi", 5), times("mosec", 5))
    fair = (times("mosec", 1.25), Aim("cores ≥ 1.85", "athena", "cores", least=1.85))
    same = "the same, another envelope in every request"
    return (
        Case("echo at 1", "echo", "echo of 1 KB, one caller", "echo", 1, 1, echo, aims=one),
        Case("echo at 32", "echo", "echo of 1 KB, 32 callers", "echo", 32, 1, echo, aims=many),
        Case("echo at 32, new uid", "echo", same, "echo", 32, 1, varied),
        Case("image at 8", "image", "CRC32 of a 200 KB picture, 8 callers", "crc", 8, 1, image, aims=big),
        Case("burn at 16", "burn", "2 ms of CPU, 16 callers, two workers", "burn", 16, 2, burn, aims=fair),
    )


def _streams() -> tuple[Case, ...]:
    events = Case(
        "chunks at 16",
        "chunks",
        "100 chunks of 16 bytes a request, server-sent events, 16 callers; chunks a second, time to the first chunk",
        "chunks",
        16,
        1,
        streams.events(),
        Drive.EVENTS,
        aims=(times("fastapi", 1.4), times("mosec", 4), as_quick_as("fastapi"), as_quick_as("mosec")),
    )
    frames = Case(
        "chunks-ws at 16",
        "chunks-ws",
        "100 chunks of 16 bytes a session, WebSocket, 16 callers; chunks a second, time to the first chunk",
        "chunks",
        16,
        1,
        streams.frames(),
        Drive.FRAMES,
        aims=(times("fastapi", 1.4), as_quick_as("fastapi")),
        absent=dict.fromkeys(("mosec", "litserve", "bentoml"), NO_SOCKET),
    )
    return events, frames


def _batch() -> Case:
    return Case(
        "batch at 64",
        "batch",
        "a job of 5 ms, of which 16 together take 6 ms, 64 callers",
        "batch",
        64,
        1,
        exchanges.batch(),
        aims=(
            times("mosec", 1.15),
            Aim(f"rate / {IDEAL_BATCHES:,} ≥ 0.92", "athena", "rate", least=0.92, per=IDEAL_BATCHES),
        ),
        absent={"fastapi": NO_BATCHES},
        dialects={"bentoml": Dialect.LISTED},
    )


def _audio() -> tuple[Case, ...]:
    forms = {
        "audio, async generator": "audio_async",
        "audio, generator": "audio_sync",
        "audio, callback": "audio_callback",
    }
    once = Beside("echo", exchanges.echo()[Dialect.ASE])
    # Nobody gains by an echo that comes early, so the rate is the pace; what counts is the slowest frame.
    aims = (Aim("p99 < 40 ms", "athena", "p99_ms", most=streams.FRAME_SECONDS * 1e3),)
    return tuple(
        Case(
            name,
            "audio",
            "200 sessions, a frame of 1,280 bytes every 40 ms in each; frames a second, time from frame to echo",
            service,
            200,
            1,
            streams.audio(service),
            Drive.PACED,
            aims=aims,
            absent=dict.fromkeys(("fastapi", "mosec", "litserve", "bentoml"), NO_SESSIONS),
            beside=once,
        )
        for name, service in forms.items()
    )
