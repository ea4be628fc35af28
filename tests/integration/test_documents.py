"""How services are called, as the server tells it: /openapi.json, the page at /docs, and ASF's monitoring."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from athena_serving import __version__
from tests.browser import Chromium
from tests.integration.rich import RICH
from tests.serving import ECHO, Json, Server, eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the smallest service and of one that has everything."""
    with Server(tmp_path_factory.mktemp("documents"), [ROOT / "examples" / "01-echo", RICH]) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One Chromium for all pages."""
    with Chromium() as one:
        yield one


def _get(server: Server, path: str, **headers: str) -> httpx.Response:
    return httpx.get(server.url + path, headers=headers, trust_env=False)


def _section(page: Page, name: str) -> str:
    return page.locator("section", has=page.get_by_role("heading", name=name, exact=True)).inner_text()


# ── the document ──────────────────────────────────────────────────────────────────────────────────


def test_document_has_every_service(served: Server) -> None:
    """Each route of each service, and the server's own."""
    paths = served.get("/openapi.json").json()["paths"]
    services = {"/v1/private/echo", "/v1/private/rich", "/v2/private/rich"}
    assert paths.keys() == services | {"/livez", "/readyz", "/healthz", "/metrics"}


def test_document_of_one_service_is_called_like_it(tmp_path: Path) -> None:
    """Title and version are the service's where there is but one; another limit is another document."""
    with Server(tmp_path, ECHO, settings={"server.limits.body": "1MiB"}) as server:
        body = server.get("/openapi.json").json()
        assert (body["info"]["title"], body["info"]["version"]) == ("echo", "v1")
        data = body["components"]["schemas"]["echo.request"]["properties"]["payload"]["properties"]["data"]
        assert data["properties"]["text"]["maxLength"] == 1 << 20


@pytest.mark.parametrize("path", ["/v1/private/echo", "/v1/private/rich", "/v2/private/rich"])
def test_example_is_answered_as_published(served: Server, path: str) -> None:
    """The example of a route is a call that succeeds."""
    body = served.get("/openapi.json").json()
    content = body["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    answer = httpx.post(served.url + path, json=content["example"], trust_env=False)
    assert (answer.status_code, answer.json()["header"]["code"]) == (200, 0)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/page.js"])
def test_what_has_not_changed_is_not_sent_again(served: Server, path: str) -> None:
    """An ETag, and 304 without a body to who has it, also among others and as a weak one."""
    first = _get(served, path)
    etag = first.headers["etag"]
    for tags in (etag, f'"other", W/{etag}', "*"):
        again = _get(served, path, **{"if-none-match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert _get(served, path, **{"if-none-match": '"other"'}).content == first.content


def test_new_generation_is_a_new_document(tmp_path: Path) -> None:
    """After a reload the document is that of the new schema."""
    with Server(tmp_path, ECHO) as server:
        old = server.get("/openapi.json")
        wrapper = next(tmp_path.glob("*/wrapper.py"))
        source = wrapper.read_text()
        wrapper.write_text(
            source.replace('StringBodyField(key="result")', 'StringBodyField(key="result", format="json")')
        )
        server.kill(1)
        eventually(lambda: server.get("/openapi.json").headers["etag"] != old.headers["etag"], what="another document")
        answer = server.get("/openapi.json").json()["paths"]["/v1/private/echo"]["post"]["responses"]["200"]
        example = answer["content"]["application/json"]["example"]
        assert example["payload"]["result"]["format"] == "json"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/style.css", "/docs/icon.svg", "/docs/words.js"])
def test_documents_may_only_do_what_they_need(served: Server, path: str) -> None:
    """Strict headers on each; HEAD has the same and no body."""
    answer = _get(served, path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = httpx.head(served.url + path, trust_env=False)
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "date": ""} == {**answer.headers, "date": ""}


def test_only_the_pages_own_files_are_served(served: Server) -> None:
    """No other file, no other method; a slash too many leads back."""
    for path in ("/docs/other.js", "/docs/../probes.py", "/docs/%2e%2e/probes.py", "/docs/pages/page.js"):
        assert _get(served, path).status_code == 404
    assert httpx.post(f"{served.url}/docs", trust_env=False).status_code == 404
    moved = _get(served, "/docs/")
    assert (moved.status_code, moved.headers["location"]) == (308, "../docs")


# ── the page ──────────────────────────────────────────────────────────────────────────────────────


def test_page_shows_what_a_service_takes(served: Server, browser: Chromium) -> None:
    """Parameters, inputs, outputs and errors with types, bounds, defaults and what is required."""
    with browser.tab(f"{served.url}/docs") as page:
        page.locator("html[data-ready]").wait_for()
        rows = {
            "size": "1 … 9",
            "ratio": "0.5 … 2",
            "language": "required",
            "strict": "true",
            "note": "2 … 20 bytes",
            "image": "base64",
        }
        for name, words in rows.items():
            named = page.get_by_role("rowheader").get_by_text(name, exact=True)
            expect(page.locator("#service-1 tr", has=named)).to_contain_text(words)
        text = _section(page, "rich")
        for words in ("/v2/private/rich", "payload.picture", "payload.boxes", "app_id", "one of them", "10163", "504"):
            assert words in text
        assert "This service takes no parameters." in _section(page, "echo")
        assert page.title() == "Athena Serving · API"


def test_words_of_a_service_stay_words(served: Server, browser: Chromium) -> None:
    """Markup in a description is shown as it was written, and does nothing."""
    with browser.tab(f"{served.url}/docs") as page:
        page.locator("html[data-ready]").wait_for()
        for words in ("How many <b>lines</b>.", "</p><script>alert(1)", "<img src=x onerror=alert(1)>"):
            expect(page.get_by_text(words)).to_be_visible()
        assert page.locator("main b, main img, main script").count() == 0


def test_code_can_be_copied_and_works(served: Server, browser: Chromium) -> None:
    """The curl command that is copied is a call that succeeds; Python and JavaScript say the same request."""
    with browser.tab(f"{served.url}/docs") as page:
        samples = page.locator("#service-1 .samples")
        samples.get_by_role("button", name="Copy").first.click()
        expect(samples.get_by_role("button", name="Copied")).to_be_visible()
        command = shlex.split(page.evaluate("navigator.clipboard.readText()"))
        url, body = command[1], json.loads(command[command.index("-d") + 1])
        assert httpx.post(url, json=body, trust_env=False).json()["header"]["code"] == 0

        page.locator("#service-1 summary").first.click()
        samples.get_by_role("button", name="Python").click()
        expect(samples.get_by_role("button", name="Python")).to_be_focused()
        assert page.locator("#service-1 details").first.get_attribute("open") is not None
        code = samples.locator("pre").first.inner_text()
        posted: list[tuple[str, Json]] = []
        _run(code, posted)
        assert posted == [(url, body)]

        samples.get_by_role("button", name="JavaScript").click()
        code = samples.locator("pre").first.inner_text()
        called = page.evaluate(f"(async () => {{ {code}; return (await answer.headers.get('x-request-id')) }})()")
        assert called.startswith("ase")


def _run(code: str, posted: list[tuple[str, Json]]) -> None:
    """Run the Python of the page with a `requests` that only notes what is posted."""

    class Requests:
        """Stands in for the package, which is not ours to need."""

        @staticmethod
        def post(url: str, json: Json) -> "Requests":
            """Note it."""
            posted.append((url, json))
            return Requests()

        def raise_for_status(self) -> None:
            """All is well."""

        def json(self) -> Json:
            """An answer."""
            return {"payload": {}}

    first, _, rest = code.partition("\n")
    assert first == "import requests"
    exec(compile(rest, "page", "exec"), {"requests": Requests})  # noqa: S102  # our own page's words


@pytest.mark.parametrize(
    ("language", "own", "other"), [("en-GB", "Call it", "调用地址"), ("zh-CN", "调用地址", "Call it")]
)
def test_page_speaks_both_languages(served: Server, browser: Chromium, language: str, own: str, other: str) -> None:
    """The browser's language first; the switch changes it, and a reload remembers."""
    with browser.tab(f"{served.url}/docs", language=language) as page:
        expect(page.get_by_role("heading", name=own).first).to_be_visible()
        page.locator("#language").click()
        expect(page.get_by_role("heading", name=other).first).to_be_visible()
        expect(page.get_by_role("heading", name=own)).to_have_count(0)
        page.reload()
        expect(page.get_by_role("heading", name=other).first).to_be_visible()
        assert page.locator("html").get_attribute("lang") == ("zh-CN" if own == "Call it" else "en")


@pytest.mark.parametrize("is_dark", [False, True])
def test_page_is_light_or_dark(served: Server, browser: Chromium, is_dark: bool) -> None:
    """As the system is; the switch changes it, and a reload remembers."""

    def brightness(page: Page) -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    with browser.tab(f"{served.url}/docs", is_dark=is_dark) as page:
        page.locator("html[data-ready]").wait_for()
        assert (brightness(page) < 64) == is_dark
        page.locator("#theme").click()
        assert (brightness(page) < 64) != is_dark
        page.reload()
        page.locator("html[data-ready]").wait_for()
        assert (brightness(page) < 64) != is_dark


def test_page_fits_a_narrow_window(served: Server, browser: Chromium) -> None:
    """Nothing makes the page itself scroll sideways on a phone."""
    with browser.tab(f"{served.url}/docs", width=390, height=844) as page:
        page.locator("html[data-ready]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_page_without_a_document_says_so(served: Server, browser: Chromium) -> None:
    """If the document cannot be had, the page says why instead of staying empty."""
    with browser.tab(f"{served.url}/docs") as page:
        page.route("**/openapi.json", lambda route: route.fulfill(status=200, body="no JSON"))
        page.reload()
        expect(page.get_by_text("openapi.json cannot be read:")).to_be_visible()


@pytest.mark.parametrize(
    ("wrong", "event"),
    [
        ("console.error('no')", "console"),
        ("setTimeout(() => { throw new Error('no') })", "weberror"),
        ("new Image().src = 'http://[::1]/no'", "requestfailed"),
    ],
)
def test_browser_lets_no_page_do_wrong(served: Server, browser: Chromium, wrong: str, event: str) -> None:
    """A tab does fail for what these tests rely on it to notice: an error, an exception, another host."""
    with (
        pytest.raises(pytest.fail.Exception, match="no"),
        browser.tab(f"{served.url}/livez") as page,
        page.context.expect_event(event),
    ):
        page.evaluate(wrong)


# ── monitoring ────────────────────────────────────────────────────────────────────────────────────


def test_g47_monitoring_is_answered_as_asf_does(served: Server) -> None:
    """`null`, a version, and the options for whatever else there is; nobody can make us collect garbage (G47)."""
    assert served.get("/monitor/health").text == "null"
    assert served.get("/monitor/version").json() == {"version": __version__}
    for option in ("xyz", "conn", "gc", ""):
        assert served.get(f"/monitor/{option}").json() == {"opts": ["info", "health", "gc", "conn"]}
    assert served.probe("/monitor/health/more") == 404


def test_monitoring_has_asfs_keys(served: Server) -> None:
    """`/monitor/info` has every key of ASF's, with numbers that are true here."""
    assert served.get("/monitor/info").json() == {
        "message": "ok",
        "data": {
            "clients": {"total": 0, "detail": {}},
            "app_ids": {},
            "go_routine_num": 0,
            "num_cpu": len(os.sched_getaffinity(0)),
            "num_cgo_call": 0,
        },
    }
