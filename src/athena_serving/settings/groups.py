"""Groups of settings: what exists, in what unit, and why the default is what it is.

Frozen: a change is a new value. The docstring under a field is its reference; docs/settings.md holds the same for
people, and a test compares the two.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from athena_serving.settings.kinds import (
    ENTRY,
    TEXT,
    Count,
    Host,
    Names,
    Pause,
    Port,
    Seconds,
    Segment,
    Switch,
    amount,
    choice,
    milliseconds,
    size,
    whole,
)


@dataclass(frozen=True, slots=True)
class Server:
    """`[server]`: where the service listens, how it logs, how it stops."""

    host: Host = "127.0.0.1"
    """Address that calls come in on. Loopback, since nothing is open to others by omission."""
    port: Port = 1888
    """TCP port that calls come in on; 0 takes any free one. 1888 is ASF's, so its clients find the service."""
    admin_host: Host = "127.0.0.1"
    """Address of the admin port. Loopback: it has no keys, and its lines name files and people."""
    admin_port: Port = 1890
    """TCP port for probes, metrics and control; 0 takes any free one. Beside 1888, easy to remember."""
    http2: Switch = False
    """Speak HTTP/2 as well. Off: it needs the extra `http2`, and costs every HTTP/1.1 request a look at its start."""
    check_consumer: Switch = False
    """Refuse calls whose X-Consumer-Username is not their app id (ASF's `enable_appid_check`). Off: without an API
    gateway in front that writes this header, anybody can send it."""
    access_log: Switch = True
    """One line in the log per call. On: the first question after a complaint is whether the call arrived."""
    log: Annotated[Literal["auto", "human", "json"], choice("auto", "human", "json")] = "auto"
    """Form of the log lines; `auto` is `human` on a terminal and `json` elsewhere, since there a machine reads them."""
    lame_duck: Pause = 0.0
    """Seconds between failing readiness and refusing calls. 0 on a laptop; 5 where a balancer must notice first."""
    drain_timeout: Seconds = 30.0
    """Seconds that accepted calls have to finish after a stop; the rest are cancelled with a reason. Kubernetes
    kills after 30 unless told otherwise."""

    reload: Switch = False
    """Watch the files beside each wrapper, and start new workers after an edit. Off: a server for callers changes
    when somebody says so, by SIGHUP."""

    def log_form(self, *, is_terminal: bool) -> Literal["human", "json"]:
        """What `log` means for a stream that is a terminal, or is not."""
        if self.log == "auto":
            return "human" if is_terminal else "json"
        return self.log


@dataclass(frozen=True, slots=True)
class Limits:
    """`[server.limits]`: the most that anybody may ask of the service. Everything is bounded."""

    body: Annotated[int, size(low=1)] = 64 * 1024**2
    """Bytes of one request's body; more is refused with 413. 64 MiB: a minute of studio sound in base64."""
    header: Annotated[int, size(low=1024)] = 32 * 1024
    """Bytes of one request's line and headers. 32 KiB: as much as nginx passes on."""
    inflight_bytes: Annotated[int, size(low=1)] = 1024**3
    """Bytes of all bodies in the process; beyond it calls are refused with 429. 1 GiB: sixteen of the largest."""
    connections: Count = 10_000
    """Open connections; the first request of a further one is refused in words, with 503. Bounds descriptors and
    memory."""
    requests: Count = 10_000
    """Open requests; further ones are refused in words, with 503. As many as connections, for HTTP/1.1 clients."""
    header_timeout: Seconds = 10.0
    """Seconds from a request's first byte to the end of its headers. 10: headers are a few packets; who takes longer
    holds a socket."""
    body_timeout: Seconds = 10.0
    """Seconds with less than 1 KiB of the body before 408. A stall, not the whole: slow links may take their time."""
    write_timeout: Seconds = 30.0
    """Seconds in which the client takes less than 1 KiB of the answer before the connection is cut. 30: a phone
    between two cells is back by then."""
    idle_timeout: Seconds = 75.0
    """Seconds that a connection may rest between requests. Longer than the 60 of common balancers, which must be
    the ones to close."""
    call_timeout: Seconds = 120.0
    """Seconds from a call's arrival to its answer, queue included; then 504 with code 10102. ASF waited as long."""
    ping_interval: Seconds = 20.0
    """Seconds between two pings of a WebSocket's peer, and as many for its pong; then it counts as gone. 20: balancers
    forget a silent connection after 30 or more."""


@dataclass(frozen=True, slots=True)
class Service:
    """`[service]`: what is served."""

    name: Segment = ""
    """The last part of the URL. Empty: the class's `serviceId`, else the name of the wrapper's folder."""
    version: Segment = ""
    """Shown in documents, and the first part of the URL. Empty: the class's own `version`."""
    idempotent: Switch = False
    """May a call run twice? If so, the items of a batch that failed are run again by halves, so that one bad item fails
    alone. Off: only the author can know."""
    pass_headers: Names = ()
    """Members of a request's `header` that `params` has too, unless the caller sets a parameter of that name (ASF's
    `headerPass`). Empty: a wrapper reads parameters, and `sid` is always among them."""
    resources: Annotated[str, TEXT] = ""
    """Folder of personal resources, which callers ask for by id: a file each, relative to the wrapper's folder. Empty:
    there are none."""
    resources_max: Count = 64
    """Personal resources that one worker keeps loaded. 64: more users than speak at once, in a few MiB of hot words."""


@dataclass(frozen=True, slots=True)
class Workers:
    """`[workers]`: the processes that run the wrapper."""

    count: Count = 1
    """Processes. 1: most models fill the memory of the one card there is."""
    seats: Count = 1
    """Calls that user code runs at once in one worker. 1: a wrapper needs no locks unless it asked for company."""
    queue: Annotated[int, whole(low=0)] = 256
    """Calls that may wait for a seat, all workers together; 0 refuses at once, as ASF did. 256: two seconds of a
    fast model, and a wait that clients still bear."""
    window: Annotated[int, whole(low=1, high=1024)] = 32
    """Calls sent to a worker ahead of their turn, at least as many as it has seats. 32 keeps a fast wrapper busy; each
    is a call to move if it dies."""
    devices: Names = ()
    """Worker i sees only card i of this list (CUDA_VISIBLE_DEVICES). Empty: every worker sees what the server sees."""
    env: Annotated[Mapping[str, str], ENTRY] = field(default_factory=dict)
    """Environment variables for the workers, on top of the server's own."""
    replace: Annotated[Literal["start-first", "stop-first"], choice("start-first", "stop-first")] = "start-first"
    """Order of a reload: new workers before the old stop, so that no call is refused; or the reverse, for cards
    that hold the model only once."""
    warmup: Switch = True
    """Run one call of the wrapper's own example before a worker is ready: the first client does not pay for it."""
    start_timeout: Seconds = 300.0
    """Seconds for import, `wrapperInit` and warm-up together. 300: large weights from a slow disk."""
    stop_timeout: Seconds = 10.0
    """Seconds for `wrapperFini` before the worker is killed. 10: closing takes less, hanging takes for ever."""
    stall_timeout: Seconds = 30.0
    """Seconds past a call's own deadline before a busy worker counts as stuck and is replaced. 30: who minds a
    deadline late is slow, not stuck."""
    ping_interval: Seconds = 0.5
    """Seconds between two pings of a worker. 0.5: four chances within `ping_timeout`, at no cost that shows."""
    ping_timeout: Seconds = 2.0
    """Seconds without an answer before a worker with a call counts as busy, and an idle one as gone. 2: a healthy
    process on a loaded machine answers sooner."""
    restart_delay: Pause = 0.1
    """Seconds before a dead worker's first restart; doubles with every death in a row. 0.1: one death is mostly
    chance, so hardly wait."""
    restart_delay_max: Pause = 10.0
    """Seconds; the longest wait between two restarts. 10: a broken model costs a start in ten seconds."""
    restart_limit: Count = 8
    """Deaths in a row before the service gives up on a worker, stays up and says so. 8: six seconds of waiting and
    eight loads."""
    steady_after: Seconds = 10.0
    """Seconds that a worker must live for its earlier deaths to be forgotten. 10: what is wrong with a model
    shows in its first calls."""
    log_lines: Annotated[int, whole(low=0)] = 1000
    """Lines a second of a worker's own output that are kept; the rest is counted, and the count logged. 1,000:
    more than anyone reads, less than fills a disk."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`[batch]`: which calls meet in one `wrapperBatchExec`."""

    max: Annotated[int, whole(low=1, high=512)] = 16
    """Calls in one batch. 16: most of what a card gains by batching, at a wait that one batch costs."""
    max_wait_ms: Annotated[float, milliseconds()] = 0.0
    """Milliseconds that a batch waits to fill up, from its first call's arrival. 0: while one batch runs the next one
    gathers, and a service with nothing to do adds no wait."""
    key: Annotated[str, TEXT] = ""
    """Parameter whose value all calls of a batch share. Empty: any calls may meet."""
    weight: Annotated[str, TEXT] = ""
    """What is summed over a batch: an input's name (characters of a text, bytes of anything else), or a parameter's
    (its number). Empty: nothing."""
    max_weight: Annotated[float, amount()] = 0.0
    """The most that the sum may be; a call that weighs more runs alone. 0: no bound."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`[stream]`: how long sessions may take."""

    idle_timeout: Seconds = 15.0
    """Seconds without a step from the caller or a result, while it is the caller's turn; then `time out`. The schema's
    `read_timeout` wins. 15: ASF's."""
    session_timeout: Seconds = 180.0
    """Seconds that a session may last; then code 10114. The schema's `session_timeout` wins. 180: ASF's loader's."""
    stall_timeout: Seconds = 60.0
    """Seconds in which a wrapper neither takes a step that waits nor sends a result that is due; then code 10102, and
    the seat is free. 60: a slow first word is not yet a hung model."""
    keep_alive: Seconds = 15.0
    """Seconds of silence after which an event stream sends a comment. 15: half of what balancers bear."""


_MOST_AHEAD = 1024
"""As many as the largest window."""


class Remark(NamedTuple):
    """A key of an ASF file that has no effect here."""

    key: str
    """Section and key, `[aiges].sub`, or a whole section, `[log]`."""
    outcome: str
    """What became of it."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """One service to serve: a file, and what its author and its operator said about it."""

    path: Path
    """The wrapper's file, absolute. Links are kept: a mounted Kubernetes volume changes what they point to."""
    service: Service
    workers: Workers
    wrapper: Mapping[str, str]
    """`[wrapper]`: what `wrapperInit` gets."""
    directory: Path
    """The file's folder: where its workers run, and import from first."""
    batch: Batch = Batch()
    stream: Stream = Stream()
    origins: Mapping[str, str] = field(default_factory=dict)
    """As in `Serve`, for `service.*`, `workers.*`, `batch.*`, `stream.*` and `wrapper.*`."""
    remarks: tuple[Remark, ...] = ()
    """What the aiges.toml beside the wrapper says to no effect."""

    @property
    def reach(self) -> int:
        """Calls that a worker may have at once: its window, its seats, or two batches a seat if these are more."""
        batches = min(2 * self.batch.max * self.workers.seats, _MOST_AHEAD)
        return max(self.workers.window, self.workers.seats, batches)


@dataclass(frozen=True, slots=True)
class Serve:
    """Everything that `athena serve` was told."""

    server: Server
    limits: Limits
    services: tuple[Hosted, ...]
    categories: tuple[Path, ...] = ()
    """Schema documents without a wrapper: services that lead to those above (docs/categories.md). Absolute."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each value of `server.*` is from: `flag --port`, `environment ATHENA_SERVER_PORT`, a file, `default`."""

    def public_warning(self) -> str | None:
        """One line for the log if others than this machine can reach the service, which has no keys yet."""
        places = (("server.host", self.server.host), ("server.admin_host", self.server.admin_host))
        public = [f"{name} = {host}" for name, host in places if not is_loopback(host)]
        if not public:
            return None
        return f"anyone who can reach this machine can call the service ({', '.join(public)}): it has no keys"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. A name that is no address could be anywhere: no."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
