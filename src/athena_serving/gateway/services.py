"""The services behind this door: which one a path means, and the generation that its calls go to."""

from collections.abc import Iterable
from urllib.parse import parse_qs

from athena_serving.crew.crew import Crew
from athena_serving.gateway.meters import Meter
from athena_serving.wire.schema import Schema


class Generation:
    """A service's schema and the workers that were started with it. A call is checked and run in one generation."""

    def __init__(self, number: int, schema: Schema, crew: Crew) -> None:
        self.number = number
        self.schema = schema
        self.crew = crew


class Service:
    """A name that can be called. `current` is None until a first generation has taken over."""

    def __init__(self, name: str, meter: Meter) -> None:
        self.name = name
        self.meter = meter
        self.current: Generation | None = None
        self.generations: dict[int, Generation] = {}
        self.why_not = "no worker is ready yet"
        """Why it cannot be called, when it cannot."""


class Services:
    """Finds the service that a path means (http-api.md 1.3)."""

    def __init__(self) -> None:
        self._by_name: dict[str, Service] = {}
        self._by_route: dict[str, Service] = {}

    def names(self) -> list[str]:
        """Every service's name."""
        return sorted(self._by_name)

    def get(self, name: str) -> Service | None:
        """A service by its name."""
        return self._by_name.get(name)

    def add(self, service: Service) -> None:
        """A new service."""
        self._by_name[service.name] = service

    def route(self, service: Service, routes: Iterable[str]) -> None:
        """Paths that mean a service besides those that end in its name."""
        self._by_route = {path: one for path, one in self._by_route.items() if one is not service}
        self._by_route.update(dict.fromkeys(routes, service))

    def find(self, path: str, query: bytes) -> Service | None:
        """The service id in the query wins, then the last part of the path, then the routes."""
        name = path[path.rfind("/") + 1 :]
        if query and b"serviceId=" in query:
            name = parse_qs(query.decode("latin-1")).get("serviceId", [name])[0]
        return self._by_name.get(name) or self._by_route.get(path)
