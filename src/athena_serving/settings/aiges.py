"""An aiges.toml, ASF's settings file: what its keys mean here (wrapper.md 4.3 and 4.4).

    document = aiges.read(Path("aiges.toml"), folder=Path.cwd())
    values = {**aiges.for_service(document), **aiges.for_server(document, "svcName")}

It was written for another program. A key that has no meaning here is a remark, not an error; a value that cannot be
what ASF's own loader would have taken is refused with its place.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from athena_serving.errors import SettingsError
from athena_serving.settings import sources
from athena_serving.settings.groups import Remark
from athena_serving.settings.sources import Found, Values

FILE_NAME = "aiges.toml"
HEADERS_NAME = "headerPass.wrapper"
"""A file beside it with a name on each line, like `[aiges].headerPass`."""

UNREAD = "ASF does not read it either"
_ONE_POOL = "not needed: a seat is given back when its call ends"
_NO_CENTER = "for ASF's load balancer and discovery; a center comes with a later version"

OUTCOMES: Mapping[str, str] = {
    "aiges.sub": UNREAD,
    "aiges.gesMock": UNREAD,
    "aiges.numaNode": f"{UNREAD}; AIservice reads AIGES_ENV_NUMA",
    "aiges.wrapperTrace": UNREAD,
    "aiges.wrapperDelayDetectPeriod": UNREAD,
    "aiges.asyncMode": "not needed: workers are processes, and a call waits for its own answer only",
    "aiges.sessMode": "not needed: calls and sessions are served side by side, by what methods there are",
    "aiges.realTimeRlt": "always on: results leave as they come",
    "aiges.sessDelGt": _ONE_POOL,
    "aiges.asyncRelease": _ONE_POOL,
    "aiges.httpRetry": "inputs are not fetched from addresses that a caller names",
    "aiges.storageData": "inputs of callers are not written to files",
    "aiges.gray": "there is no such label in the metrics",
    "aiges.pythonPluginCmd": "workers run in the Python that serves",
    "fc.able": "always on: seats and the queue are bounded",
    "fc.router": "there is one: a call goes to the worker with the most room",
    "fc.ttl": "for sessions: `stream.idle_timeout`",
    "fc.roll": "not needed: a session's end is an event",
    "fc.best": _NO_CENTER,
    "fc.strategy": _NO_CENTER,
    "fc.tasksize": _NO_CENTER,
    "fc.taskchsize": _NO_CENTER,
    "fc.wave": _NO_CENTER,
    "fc.report": _NO_CENTER,
    "fc.filterwin": _NO_CENTER,
    "ws": "WebSockets are on the service's port; `[stream]` of athena.toml has their times",
    "auth": UNREAD,
    "resource": UNREAD,
    "elog": UNREAD,
    "log": "the log goes to standard error; `server.log` chooses its form",
    "pprof": "for Go programs; SIGQUIT writes a worker's stacks to the log",
    "metrics": "always on: /metrics on both ports",
    "lbv2": _NO_CENTER,
    "trace": "always on: a request's `traceparent` is taken up",
    "sonar": UNREAD,
    "bvt": "for ASF's own tests",
    "dataProcess": UNREAD,
    "downAsync": "results are not delivered by message queue",
}
"""What became of each key of [aiges] and [fc], and of each section, that has no effect here."""

_UNKNOWN = "unknown"
_READ = ("aiges.usrCfg", "aiges.headerPass", "fc.max")
_LISTEN = "the wrapper gets it; `athena serve` listens where --host and --port say, AIservice listens here"
_OTHER_FILE = "the wrapper gets the keys of [aiges].usrCfg instead"
_RPC = "for ASF's gRPC port: XRPC comes with a later version"


class Document(NamedTuple):
    """One aiges.toml."""

    path: Path
    folder: Path
    """Where `usrCfg` and `headerPass.wrapper` are looked for: ASF's working directory."""
    tables: Mapping[str, object]

    def section(self, name: str) -> Mapping[str, object]:
        """A section's keys; none if it does not exist. Raises SettingsError if it is no section."""
        return sources.as_table(name, self.tables.get(name, {}), where=str(self.path))

    def word(self, section: str, key: str) -> str:
        """A string; empty if it is not there. Raises SettingsError for anything but a string."""
        value = self.section(section).get(key, "")
        if not isinstance(value, str):
            raise SettingsError(f"[{section}].{key} must be a string, not {value!r}", where=str(self.path))
        return value


def read(path: Path, *, folder: Path) -> Document:
    """The file's sections. Raises UsageError for one that cannot be read, SettingsError for one that is no TOML."""
    return Document(path, folder, sources.read_toml(path))


# ── what it says ──────────────────────────────────────────────────────────────────────────────────


def for_service(document: Document) -> Values:
    """`wrapper.*`, `workers.seats` and `service.pass_headers`, as far as they are said. Raises SettingsError."""
    found = dict(_wrapper(document))
    seats = document.section("fc").get("max")
    if seats is not None:
        # ASF's licence is the number of instances, which is the most calls at once (ag/conf/configure.go:77).
        found["workers.seats"] = sources.check("workers.seats", seats, str(document.path), called="[fc].max")
    found.update(_pass_headers(document))
    return found


def for_server(document: Document, service: str) -> Values:
    """`server.host` and `server.port`, as far as they are said. Raises SettingsError.

    ASF listens at `http_listen` of [wrapper]. In the section of `service` it had no effect there, though ASF's own
    sample file has it in that place: it counts where [wrapper] has none.
    """
    place = next((name for name in ("wrapper", service) if "http_listen" in document.section(name)), None)
    if place is None:
        return {}
    called, text = f"[{place}].http_listen", document.word(place, "http_listen")
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isdecimal() or not port):
        remedy = 'write "0.0.0.0:1888", or "127.0.0.1:1888" for this machine only'
        raise SettingsError(f'{called} must be "ADDRESS:PORT", not "{text}"', where=str(document.path), help=remedy)
    # As Go has it: no address is every address, no port any free one.
    values = {"server.host": host.strip("[]") or "0.0.0.0", "server.port": int(port or 0)}  # noqa: S104  # the user's word
    return {name: sources.check(name, value, str(document.path), called=called) for name, value in values.items()}


def remarks(document: Document, *, listens: bool = False) -> tuple[Remark, ...]:
    """What of the file has no effect. `listens`: whether `for_server` was asked too. Raises SettingsError."""
    return tuple(_remarks(document, listens=listens))


def _wrapper(document: Document) -> Values:
    other = document.word("aiges", "usrCfg")
    path = document.folder / other if other else document.path
    if not path.is_file():
        remedy = "create it, or leave usrCfg empty to use [wrapper]"
        raise SettingsError(f"no such file: [aiges].usrCfg = {other}", where=str(document.path), help=remedy)
    entries = sources.read_toml(path) if other else document.section("wrapper")
    return sources.checked(sources.flat(entries, "wrapper."), origin=str(path))


def _pass_headers(document: Document) -> Iterator[tuple[str, Found]]:
    listed, file = document.word("aiges", "headerPass").split(";"), document.folder / HEADERS_NAME
    origins = [str(document.path)] if any(listed) else []
    if file.is_file():
        listed += sources.read_text(file).splitlines()
        origins.append(str(file))
    # ASF makes a parameter without a name of an empty one (ag/conf/configure.go:267-277).
    names = tuple(dict.fromkeys(name.strip() for name in listed if name.strip()))
    if names:
        yield "service.pass_headers", Found(names, " and ".join(origins))


# ── what it says in vain ──────────────────────────────────────────────────────────────────────────


def _remarks(document: Document, *, listens: bool) -> Iterator[Remark]:
    for name, value in document.tables.items():
        if name == "wrapper":
            yield from _wrapper_remarks(document, listens=listens)
        elif name in ("aiges", "fc"):
            keys = [key for key in document.section(name) if f"{name}.{key}" not in _READ]
            yield from (Remark(f"[{name}].{key}", OUTCOMES.get(f"{name}.{key}", _UNKNOWN)) for key in keys)
        elif name in OUTCOMES:
            yield Remark(f"[{name}]", OUTCOMES[name])
        else:
            is_service = isinstance(value, dict) and not {"host", "port", "finder"}.isdisjoint(value)
            yield Remark(f"[{name}]", _RPC if is_service else _UNKNOWN)


def _wrapper_remarks(document: Document, *, listens: bool) -> Iterator[Remark]:
    if document.word("aiges", "usrCfg"):
        yield Remark("[wrapper]", _OTHER_FILE)
    if "http_listen" in document.section("wrapper") and not listens:
        yield Remark("[wrapper].http_listen", _LISTEN)
