"""How the services are called: `/openapi.json` for programs, `/docs` for people who read, `/` for those who try.

The pages are ours and stand beside this module: they read `/openapi.json` and need nothing from elsewhere
(docs/decisions/0010). They may run their own script and style and ask their own server, no more, so that whatever a
service's author writes into a title stays text.
"""

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from athena_serving import __version__
from athena_serving.gateway.services import Services
from athena_serving.wire import openapi

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]
"""Status, headers without the length, body."""

_PAGES: Final = Path(__file__).with_name("pages")
_SCRIPT, _STYLE = b"text/javascript; charset=utf-8", b"text/css; charset=utf-8"
_HTML: Final = b"text/html; charset=utf-8"
_SCRIPTS: Final = tuple(sorted(one.stem for one in _PAGES.glob("*.js")))
_STYLES: Final = ("home", "style")
_ASSETS: Final = {
    "/": ("home.html", _HTML),
    "/docs": ("docs.html", _HTML),
    "/docs/icon.svg": ("icon.svg", b"image/svg+xml"),
    **{f"/docs/{name}.css": (f"{name}.css", _STYLE) for name in _STYLES},
    **{f"/docs/{name}.js": (f"{name}.js", _SCRIPT) for name in _SCRIPTS},
}
"""The pages' files by path: what is not here is not served."""

_RULES: Final = (
    *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'"),
    *("form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"),
)
_POLICY: Final = "; ".join([*_RULES, "img-src 'self'"]).encode()
_HOME_POLICY: Final = "; ".join([*_RULES, "img-src 'self' blob:", "media-src blob:"]).encode()
"""The page at `/` also shows what the caller has chosen and the service has answered; blobs are made by its script."""

_SAFE: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),  # keep it, and ask each time whether it is still right
]


class Document(NamedTuple):
    """Something to read."""

    kind: bytes
    """Content type."""
    body: bytes
    etag: bytes


class Documents:
    """Makes the OpenAPI document of the services there are, once for each set of generations."""

    def __init__(self, *, body_limit: int) -> None:
        self._body_limit = body_limit
        self._generations: tuple[tuple[str, int], ...] | None = None
        self._openapi = Document(b"", b"", b"")

    def find(self, path: str, headers: Iterable[tuple[bytes, bytes]], services: Services) -> Answer | None:
        """The answer to a GET; None if this path is not ours."""
        if path == "/docs/":  # the page's links are relative to /docs, so that it works behind a prefix
            return 308, [(b"location", b"../docs")], b""
        if path == "/openapi.json":
            document = self._of(services)
        elif path in _ASSETS:
            document = _asset(path)
        else:
            return None
        policy = _HOME_POLICY if path == "/" else _POLICY
        said = [(b"content-security-policy", policy), *_SAFE, (b"etag", document.etag)]
        if _has(headers, document.etag):
            return 304, said, b""
        return 200, [(b"content-type", document.kind), *said], document.body

    def _of(self, services: Services) -> Document:
        found = [services.get(name) for name in services.names()]
        current = [one.current for one in found if one is not None and one.current is not None]
        generations = tuple((one.schema.service, one.number) for one in current)
        if generations != self._generations:
            schemas = [one.schema for one in current]
            is_one = len(schemas) == 1
            body = openapi.build(
                schemas,
                title=schemas[0].service if is_one else "Athena Serving",
                version=schemas[0].version if is_one else __version__,
                body_limit=self._body_limit,
            )
            self._openapi = _document(b"application/json", msgspec.json.encode(body))
            self._generations = generations
        return self._openapi


def _document(kind: bytes, body: bytes) -> Document:
    return Document(kind, body, b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode())


@functools.cache
def _asset(path: str) -> Document:
    name, kind = _ASSETS[path]
    return _document(kind, (_PAGES / name).read_bytes())


def _has(headers: Iterable[tuple[bytes, bytes]], etag: bytes) -> bool:
    """Does the caller have the document already (If-None-Match, RFC 9110 13.1.2)?"""
    given = b",".join(value for key, value in headers if key == b"if-none-match")
    tags = {tag.strip().removeprefix(b"W/") for tag in given.split(b",")}
    return etag in tags or b"*" in tags
