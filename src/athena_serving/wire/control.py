"""What the supervisor and its children say to each other: orders down, reports up. One message a struct.

    worker   ◄ WorkerSetup(page)  Attach(data, side)  Ping  Stop
             ► Loaded  Ready  Failed  Pong
    door     ◄ DoorSetup(page, sockets…)  Install  Join(data, side, page)  TakeOver  Retire  Groups
               Divide  Health  Retreat  Answer  List  End  Ping
             ► Serving  Retired  Drained  Ask  Listed  Ended  Pong

What stands in brackets are the descriptors that come with the message, in order.
"""

from typing import Final

import msgspec

LINE_MARK: Final = "\x1e"
"""Begins each line of a worker's output that is a log line already, to be passed on as it is."""


SPAWN: Final = "ATHENA_SPAWN"
"""Environment variable that marks a child and everything it starts: `<pid of the supervisor>.<name>.<a number>.`"""


class Batching(msgspec.Struct, frozen=True):
    """Which calls meet in a batch: `[batch]` of the settings."""

    max: int = 1
    max_wait_ms: float = 0.0
    key: str = ""
    weight: str = ""
    max_weight: float = 0.0


class WorkerSetup(msgspec.Struct, tag=True, frozen=True):
    """First message to a worker. Descriptor: its page."""

    name: str
    """`mmocr-0`, in every log line."""
    path: str
    """The wrapper's file."""
    service: str
    """Name that overrides the wrapper's own, or empty."""
    version: str
    """Version that overrides the wrapper's own, or empty."""
    config: dict[str, str]
    """For `wrapperInit`."""
    seats: int
    window: int
    doors: int
    """Doors that there may be; door i's calls stand in slots i·window … of the page."""
    body_limit: int
    """Bytes; the schema's lengths derive from it."""
    warmup: bool
    log: str
    """`human` or `json`."""
    batching: Batching = Batching()
    idempotent: bool = False
    """May the items of a batch be run again?"""
    resources: str = ""
    """The folder of the personal resources; empty if there are none."""
    resources_max: int = 64
    """Of these the worker keeps so many loaded."""


class Attach(msgspec.Struct, tag=True, frozen=True):
    """A door will send calls. Descriptors: data link, side link."""

    door: int


class Ping(msgspec.Struct, tag=True, frozen=True):
    """Are you there?"""

    number: int


class Pong(msgspec.Struct, tag=True, frozen=True):
    """Yes."""

    number: int


class Stop(msgspec.Struct, tag=True, frozen=True):
    """No more calls come: run `wrapperFini` and exit. For a door: close what is left and exit."""


class Loaded(msgspec.Struct, tag=True, frozen=True):
    """The wrapper is imported and bound; `wrapperInit` comes next."""

    service: str
    document: bytes
    """Schema document as JSON."""
    faces: tuple[str, ...] = ("once",)
    """What its methods can do: `once` calls, `stream` (sessions), `batch` (once-calls together)."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """`wrapperInit` and the warm-up are done."""

    load_seconds: float


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The worker cannot serve and will exit."""

    stage: str
    """`load`: the file itself is wrong. `init`: `wrapperInit` failed; another try may succeed."""
    message: str
    where: str
    help: str


class DoorSetup(msgspec.Struct, tag=True, frozen=True):
    """First message to a door. Descriptors: page, then the listening sockets."""

    index: int
    limits: bytes
    """`settings.Limits` as JSON."""
    server: bytes
    """`settings.Server` as JSON."""
    log: str
    """`human` or `json`."""
    pid: int
    """The supervisor's."""
    address: str
    """The address that is listened on, for the sid."""
    port: int


class Serving(msgspec.Struct, tag=True, frozen=True):
    """The door listens to us; told what there is, and then the health, it accepts connections."""


class Install(msgspec.Struct, tag=True, frozen=True):
    """A generation of a service exists; its workers follow, then it takes over."""

    service: str
    generation: int
    document: bytes
    queue: int
    passed_headers: list[str] = []
    """Members of the request's `header` that become parameters."""
    faces: tuple[str, ...] = ("once",)
    """As in `Loaded`."""
    stream: bytes = b"{}"
    """`settings.Stream` as JSON."""


class Divide(msgspec.Struct, tag=True, frozen=True):
    """A category exists: a service that leads to others (wire/category.py)."""

    document: bytes


class Join(msgspec.Struct, tag=True, frozen=True):
    """A ready worker of a generation. Descriptors: data link, side link, page."""

    worker: str
    service: str
    generation: int
    seats: int
    window: int
    ahead: int
    """Once-calls that may be sent ahead of their turn; at most `window`."""
    batch: int
    """Once-calls that may share a seat."""


class TakeOver(msgspec.Struct, tag=True, frozen=True):
    """New calls of the service go to this generation."""

    service: str
    generation: int


class Retire(msgspec.Struct, tag=True, frozen=True):
    """Send this worker no more calls; say `Retired` when its last one is answered."""

    worker: str


class Retired(msgspec.Struct, tag=True, frozen=True):
    """The worker has no call of this door and gets none."""

    worker: str


class Groups(msgspec.Struct, tag=True, frozen=True):
    """The process groups to end if the supervisor dies."""

    groups: list[int]


class Health(msgspec.Struct, tag=True, frozen=True):
    """The supervisor's view of everything, whenever it changes."""

    ready: bool
    document: bytes
    """What `/healthz` answers, as JSON."""
    services: dict[str, str]
    """Why a service cannot be called, by name; empty text if it can."""
    complete: bool
    """Is every service's name known? Until then, a path that is no service's may become one's."""


class Retreat(msgspec.Struct, tag=True, frozen=True):
    """One step of the way out: `lame-duck`, `refuse`, `drain`."""

    step: str
    seconds: float


class Drained(msgspec.Struct, tag=True, frozen=True):
    """No call and no connection is left, or the time is up."""

    clean: bool


class Ask(msgspec.Struct, tag=True, frozen=True):
    """A door asks for the metrics."""

    number: int


class Answer(msgspec.Struct, tag=True, frozen=True):
    """The metrics, as text."""

    number: int
    body: bytes


class List(msgspec.Struct, tag=True, frozen=True):
    """Which sessions are there?"""

    number: int


class Listed(msgspec.Struct, tag=True, frozen=True):
    """The sessions, as JSON."""

    number: int
    sessions: bytes


class End(msgspec.Struct, tag=True, frozen=True):
    """End the session of this sid."""

    number: int
    sid: str


class Ended(msgspec.Struct, tag=True, frozen=True):
    """Was it there?"""

    number: int
    found: bool


ToWorker = WorkerSetup | Attach | Ping | Stop
FromWorker = Loaded | Ready | Failed | Pong
ToDoor = (
    DoorSetup
    | Install
    | Divide
    | Join
    | TakeOver
    | Retire
    | Groups
    | Health
    | Retreat
    | Answer
    | List
    | End
    | Ping
    | Stop
)
FromDoor = Serving | Retired | Drained | Ask | Listed | Ended | Pong | Failed

encode: Final = msgspec.msgpack.Encoder().encode
read_to_worker: Final = msgspec.msgpack.Decoder(ToWorker).decode
read_from_worker: Final = msgspec.msgpack.Decoder(FromWorker).decode
read_to_door: Final = msgspec.msgpack.Decoder(ToDoor).decode
read_from_door: Final = msgspec.msgpack.Decoder(FromDoor).decode
