"""Which service a request means (http-api.md 1.3)."""

import pytest

from athena_serving.gateway.meters import Meter
from athena_serving.gateway.services import Service, Services
from athena_serving.wire.category import Category
from athena_serving.wire.page import Page

ANYWHERE: list[tuple[bytes, bytes]] = [(b"host", b"127.0.0.1:1888")]


def service(name: str, category: Category | None = None) -> Service:
    """A service that nobody runs."""
    page = Page(memoryview(bytearray(1 << 16)))
    page.format(1)
    return Service(name, Meter(page, name), category)


def category(name: str, *routes: str, is_exclusive: bool = False) -> Category:
    """A category that leads nowhere."""
    return Category(name, "ase", routes, (), is_exclusive, {}, (), ())


@pytest.fixture
def services() -> Services:
    """`ocr` and `its`; the latter with routes of its own."""
    found = Services()
    for name in ("ocr", "its"):
        found.add(service(name))
    its = found.get("its")
    assert its is not None
    found.route(its, ["/v1/its/translate", "/v2/x"], ["api.example"])
    return found


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("/ocr", b"", "ocr"),
        ("/v1/private/ocr", b"", "ocr"),
        ("/any/thing/ocr", b"a=b", "ocr"),
        ("/ocr/", b"", None),
        ("/", b"", None),
        ("/x", b"serviceId=ocr", "ocr"),
        ("/ocr", b"serviceId=its", "its"),
        ("/ocr", b"serviceId=", "ocr"),
        ("/v1/its/translate", b"", "its"),
        ("/v1/its/translate", b"serviceId=nothing", "its"),
        ("/v3/x", b"", None),
    ],
)
def test_query_then_last_part_then_routes(services: Services, path: str, query: bytes, name: str | None) -> None:
    """The order in which ASF looks."""
    found = services.find(path, query, ANYWHERE)
    assert (found.name if found else None) == name


def test_route_at_its_own_host_wins_over_anothers(services: Services) -> None:
    """Two services may have one path, at different hosts; whichever came first has it elsewhere."""
    other = service("other")
    services.add(other)
    services.route(other, ["/v2/x"], ["other.example"])
    by_host = {
        host: services.find("/v2/x", b"", [(b"host", host)])
        for host in (b"api.example", b"OTHER.example:80", b"third.example")
    }
    assert {host: one.name if one else None for host, one in by_host.items()} == {
        b"api.example": "its",
        b"OTHER.example:80": "other",
        b"third.example": "its",
    }


def test_forwarded_host_is_not_asked(services: Services) -> None:
    """Any caller could write it."""
    other = service("other")
    services.add(other)
    services.route(other, ["/v2/x"], ["other.example"])
    found = services.find("/v2/x", b"", [(b"host", b"api.example"), (b"x-forwarded-host", b"other.example")])
    assert found is not None
    assert found.name == "its"


def test_new_generation_forgets_its_old_routes(services: Services) -> None:
    """In ASF they stayed until a restart."""
    its = services.get("its")
    assert its is not None
    services.route(its, ["/v9/its/anew"])
    assert services.find("/v1/its/translate", b"", ANYWHERE) is None
    assert services.find("/v9/its/anew", b"", [(b"host", b"api.example")]) is its


def test_category_is_found_by_name_and_route(services: Services) -> None:
    """As any service."""
    services.add(service("iat", category("iat", "/v1/iat/all")))
    for path in ("/v1/private/iat", "/v1/iat/all"):
        found = services.find(path, b"", ANYWHERE)
        assert found is not None
        assert found.name == "iat"


def test_companion_route_is_the_only_way_to_its_category(services: Services) -> None:
    """Its name means nothing in other paths, but it is listed."""
    services.add(service("iat", category("iat", "/v2/iat/all", is_exclusive=True)))
    assert services.find("/v1/private/iat", b"", ANYWHERE) is None
    assert services.find("/v2/iat/all", b"", ANYWHERE) is not None
    assert services.names() == ["iat", "its", "ocr"]
