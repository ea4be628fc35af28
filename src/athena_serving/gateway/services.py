"""The services behind this door: which one a path means, and the generation that its calls go to."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qs

from athena_serving.crew.crew import Crew
from athena_serving.gateway.meters import Meter
from athena_serving.settings import Stream
from athena_serving.wire.category import Category
from athena_serving.wire.schema import Schema

Headers = Iterable[tuple[bytes, bytes]]


class Timing(NamedTuple):
    """How long a session may take, in seconds."""

    idle: float
    """Without a step or a result, while it is the caller's turn."""
    session: float
    """In all."""
    stall: float
    """Without a sign of the wrapper, while it is the wrapper's turn."""
    keep_alive: float
    """Of silence, before an event stream sends a comment."""


class Generation:
    """A service's schema and the workers that were started with it. A call is checked and run in one generation."""

    def __init__(
        self,
        number: int,
        schema: Schema,
        crew: Crew,
        passed_headers: tuple[str, ...] = (),
        *,
        stream: Stream = Stream(),  # noqa: B008  # frozen
    ) -> None:
        self.number = number
        self.schema = schema
        self.crew = crew
        self.passed_headers = passed_headers
        """Members of the request's `header` that become parameters where the caller set none of that name."""
        self.has_once = "once" in schema.faces
        """Does the wrapper answer calls of one step?"""
        self.has_stream = "stream" in schema.faces
        """Does it hold sessions?"""
        self.timing = Timing(
            idle=schema.read_timeout or stream.idle_timeout,
            session=schema.session_timeout or stream.session_timeout,
            stall=stream.stall_timeout,
            keep_alive=stream.keep_alive,
        )


class Service:
    """A name that can be called. `current` is None until a first generation has taken over, and for a category."""

    def __init__(self, name: str, meter: Meter, category: Category | None = None) -> None:
        self.name = name
        self.meter = meter
        self.category = category
        """Where its calls go, if it leads to other services instead of to workers."""
        self.current: Generation | None = None
        self.sub = "ase" if category is None else category.sub
        """Business type: the first letters of its sids."""
        self.generations: dict[int, Generation] = {}
        self.why_not = "no worker is ready yet"
        """Why it cannot be called, when it cannot."""


class Services:
    """Finds the service that a request means (http-api.md 1.3)."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}
        self._by_name: dict[str, Service] = {}
        """Those that the last part of a path may name."""
        self._routes: dict[tuple[str, str], Service] = {}
        """By host and path; the host is empty for a route that counts at all of them."""

    def names(self) -> list[str]:
        """Every service's name."""
        return sorted(self._services)

    def get(self, name: str) -> Service | None:
        """A service by its name."""
        return self._services.get(name)

    def add(self, service: Service) -> None:
        """A new service."""
        self._services[service.name] = service
        if service.category is None:
            self._by_name[service.name] = service
            return
        if not service.category.is_exclusive:
            self._by_name[service.name] = service
        self.route(service, service.category.routes, service.category.hosts)

    def route(self, service: Service, routes: Iterable[str], hosts: Iterable[str] = ()) -> None:
        """Paths that mean a service besides those that end in its name.

        At one of `hosts` they win over another service's; elsewhere they count if no other has them. ASF answers 404
        elsewhere, which only keeps people from trying a service at another address than its public one.
        """
        kept = {place: one for place, one in self._routes.items() if one is not service}
        for path in routes:
            kept.update({(host, path): service for host in hosts})
            kept.setdefault(("", path), service)
        self._routes = kept

    def find(self, path: str, query: bytes, headers: Headers) -> Service | None:
        """The service id in the query wins, then the last part of the path, then the routes of the host, then all."""
        name = path[path.rfind("/") + 1 :]
        if query and b"serviceId=" in query:
            name = parse_qs(query.decode("latin-1")).get("serviceId", [name])[0]
        return self._by_name.get(name) or self._by_route(path, headers)

    def _by_route(self, path: str, headers: Headers) -> Service | None:
        # Not X-Forwarded-Host, as in ASF: whoever calls could write anything into it.
        host = next((value for key, value in headers if key == b"host"), b"")
        return self._routes.get((_name(host), path)) or self._routes.get(("", path))


def _name(host: bytes) -> str:
    """A Host header without its port."""
    return host.decode("latin-1").partition(":")[0].lower()


def code_map(service: Service) -> Mapping[int, int]:
    """HTTP statuses that a service has for codes of its own choice (`meta.codeMap`, http-api.md 3.6)."""
    if service.category is not None:
        return service.category.code_map
    return service.current.schema.code_map if service.current is not None else {}
