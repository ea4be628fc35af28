"""The page at `/`: each service tried as a person tries it, in Chromium, on a real server."""

import base64
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import Chromium
from tests.integration.rich import RICH
from tests.serving import Json, Server

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "examples/02-mmocr/picture.png"
SIGN: Final = ["The Owl and Lantern", "READING ROOM", "Open every night", "since 1888"]
STAGES: Final = ["read", "decode", "wait", "user", "encode"]

MIRROR: Final = """
from athena_serving.sdk import (
    AudioBodyField, BooleanParamField, DataAudio, DataImage, ImageBodyField, IntegerParamField, Response, ResponseData,
    StringBodyField, WrapperBase,
)


class UserRequest:
    picture = ImageBodyField(key="picture")
    text = StringBodyField(key="text")
    level = IntegerParamField(key="level", minimum=1, maximum=9)
    loud = BooleanParamField(key="loud")


class UserResponse:
    seen = ImageBodyField(key="seen")
    heard = AudioBodyField(key="heard")
    told = StringBodyField(key="told")


class Wrapper(WrapperBase):
    serviceId = "mirror"
    version = "v1"
    requestCls = UserRequest()
    responseCls = UserResponse()

    def wrapperInit(self, config):
        return 0

    def wrapperOnceExec(self, params, reqData):
        sent = reqData.get("picture")
        told = ",".join(f"{key}={params[key]}" for key in ("level", "loud") if key in params)
        return Response([
            ResponseData(key="seen", type=DataImage, data=sent.data if sent else b"no picture"),
            ResponseData(key="heard", type=DataAudio, data=bytes(3200)),
            ResponseData(key="told", data=told + "<b>" + reqData.get("text").data.decode() + "</b>"),
        ])
"""
"""Answers with a picture, with raw samples and with what it was told."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the smallest service, of one that has everything, and of one that answers with all kinds."""
    with Server(tmp_path_factory.mktemp("page"), [ROOT / "examples/01-echo", RICH, MIRROR]) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One Chromium for all pages."""
    with Chromium() as one:
        yield one


def _service(page: Page, name: str) -> Locator:
    page.locator("html[data-ready]").wait_for()
    return page.locator("section", has=page.get_by_role("heading", name=name, exact=True))


def _call(section: Locator) -> Locator:
    """Click, and wait for the answer."""
    section.get_by_role("button", name="Call", exact=True).click()
    answer = section.locator(".answer")
    expect(answer.locator(".outcome")).to_be_visible()
    expect(answer).to_have_attribute("aria-busy", "false")
    return answer


def _copied(section: Locator, language: str) -> str:
    samples = section.locator(".left .code").first
    samples.get_by_role("button", name=language).click()
    samples.get_by_role("button", name="Copy").click()
    expect(samples.get_by_role("button", name="Copied")).to_be_visible()
    text: str = section.page.evaluate("navigator.clipboard.readText()")
    return text


# ── calls ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="requirements/mmocr.txt is not installed")
def test_picture_is_read_and_its_lines_are_boxed(tmp_path: Path, browser: Chromium) -> None:
    """A real click on a real OCR: the sign's four lines in words, a box over each, and where the time went."""
    with Server(tmp_path, ROOT / "examples/02-mmocr") as server, browser.tab(f"{server.url}/") as page:
        section = _service(page, "mmocr")
        section.locator("input[type=file]").set_input_files(PICTURE)
        expect(section.get_by_role("img", name="picture.png")).to_be_visible()
        answer = _call(section)
        expect(answer.get_by_text(SIGN[0], exact=True)).to_be_visible()
        assert answer.locator(".places .words").all_inner_texts() == SIGN
        assert answer.locator("svg polygon").count() == len(SIGN)
        inside = """(one) => { const [box, all] = [one, one.closest("svg")].map((one) => one.getBoundingClientRect());
            return box.width > 20 && box.left > all.left && box.right < all.right && box.bottom < all.bottom; }"""
        assert all(one.evaluate(inside) for one in answer.locator("svg polygon").all())
        assert [one.get_attribute("data-stage") for one in answer.locator(".legend [data-stage]").all()] == STAGES
        answer.locator(".places li").nth(1).hover()
        expect(answer.locator("svg polygon").nth(1)).to_have_class("is-chosen")


def test_text_goes_in_and_comes_out(served: Server, browser: Chromium) -> None:
    """What is typed is echoed, other scripts too, by mouse or by Ctrl+Enter."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "echo")
        section.get_by_label("text", exact=True).fill("Grüße, 雅典娜 🦉")
        expect(_call(section).locator("[data-output=result]")).to_contain_text("Grüße, 雅典娜 🦉")
        section.get_by_label("text", exact=True).fill('{"owl": [1, 2]}')
        section.get_by_label("text", exact=True).press("Control+Enter")
        expect(section.locator("[data-output=result] pre")).to_have_text(json.dumps({"owl": [1, 2]}, indent=2))


def test_first_call_needs_only_a_click(served: Server, browser: Chromium) -> None:
    """The form begins with a request that a simple service takes."""
    with browser.tab(f"{served.url}/") as page:
        expect(_call(_service(page, "echo")).locator(".badge")).to_have_text("HTTP 200")


def test_answers_are_shown_by_kind(served: Server, browser: Chromium) -> None:
    """A picture as a picture, raw samples as a sound of their length, markup as words; all listed, all to be saved."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "mirror")
        section.locator("input[type=file]").set_input_files(PICTURE)
        section.get_by_label("level").fill("3")
        section.get_by_label("loud").check()
        answer = _call(section)
        width = "one => one.decode().then(() => one.naturalWidth)"
        assert answer.locator("[data-output=seen] img").evaluate(width) == 640
        seconds = "one => new Promise((done) => { const tell = () => one.duration && done(one.duration); tell();"
        seconds += " one.addEventListener('loadedmetadata', tell); })"
        assert answer.locator("[data-output=heard] audio").evaluate(seconds) == pytest.approx(0.1)
        expect(answer.locator("[data-output=told] pre")).to_have_text("level=3,loud=true<b>hello</b>")
        assert answer.locator("b", has_text="hello").count() == 0
        assert answer.locator("tbody tr td:first-child").all_inner_texts() == ["seen", "heard", "told"]
        names = [one.get_attribute("download") for one in answer.get_by_role("link", name="Save").all()]
        assert names == ["seen.png", "heard.wav", "told.txt"]


def test_dropped_file_is_taken(served: Server, browser: Chromium) -> None:
    """A file dropped on the field is sent, and its ending says its encoding; Remove takes it back."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "mirror")
        data = base64.b64encode(PICTURE.read_bytes()).decode()
        script = """(data) => {
            const all = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            all.items.add(new File([bytes], "dropped.png", { type: "image/png" })); return all; }"""
        section.locator(".drop").dispatch_event("drop", {"dataTransfer": page.evaluate_handle(script, data)})
        expect(section.get_by_role("img", name="dropped.png")).to_be_visible()
        expect(section.locator(".left pre").first).to_contain_text('"encoding": "png"')
        section.get_by_role("button", name="Remove").click()
        expect(section.get_by_role("img", name="dropped.png")).to_have_count(0)
        expect(section.locator(".left pre").first).not_to_contain_text("dropped.png")


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────


def test_wrong_parameter_marks_its_field(served: Server, browser: Chromium) -> None:
    """Code and message are shown, the field is marked and focused, and a better value takes the mark away."""
    with browser.tab(f"{served.url}/", is_refused=True) as page:
        section = _service(page, "rich")
        size = section.get_by_label("size", exact=True)
        size.fill("99")
        answer = _call(section)
        expect(answer.get_by_role("alert")).to_contain_text("10163")
        expect(size).to_have_attribute("aria-invalid", "true")
        expect(size).to_be_focused()
        expect(size).to_have_accessible_description(re.compile("must be less or equal than 9"))
        size.fill("9")
        expect(_call(section).locator(".badge")).to_have_text("HTTP 200")
        assert size.get_attribute("aria-invalid") is None


def test_mistake_in_a_folded_field_unfolds_it(served: Server, browser: Chromium) -> None:
    """A field that is folded away is seen once it is wrong."""
    with browser.tab(f"{served.url}/", is_refused=True) as page:
        section = _service(page, "rich")
        rate = section.get_by_label("sample_rate", exact=True)
        rate.evaluate("one => { one.value = 0; one.dispatchEvent(new Event('input', { bubbles: true })); }")
        expect(rate).not_to_be_visible()
        _call(section)
        expect(rate).to_be_visible()
        expect(rate).to_have_attribute("aria-invalid", "true")


def test_what_is_not_json_is_not_sent(served: Server, browser: Chromium) -> None:
    """An input whose format is json is checked before the call."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "echo")
        section.locator("summary", has_text="Attributes").click()
        section.locator("details[open]").get_by_label("format", exact=True).select_option("json")
        text = section.get_by_label("text", exact=True)
        text.fill("{no")
        section.get_by_role("button", name="Call", exact=True).click()
        expect(section.get_by_text("This is not JSON.")).to_be_visible()
        expect(text).to_be_focused()
        assert section.locator(".outcome").count() == 0


def test_server_that_is_gone_is_said_so(browser: Chromium, tmp_path: Path) -> None:
    """A call that reaches nobody says so and leaves the form as it was."""
    with Server(tmp_path, ROOT / "examples/01-echo") as server, browser.tab(f"{server.url}/") as page:
        section = _service(page, "echo")
        page.route("**/v1/private/echo", lambda route: route.fulfill(status=200, body="<html>no</html>"))
        expect(_call(section).get_by_role("alert")).to_contain_text("<html>no</html>")
        page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('nobody')); }")
        section.get_by_role("button", name="Call", exact=True).click()
        expect(section.get_by_role("alert")).to_contain_text("The server cannot be reached: nobody")
        expect(section.get_by_role("button", name="Call", exact=True)).to_be_enabled()


# ── code ──────────────────────────────────────────────────────────────────────────────────────────


def test_copied_command_sends_the_chosen_file(served: Server, browser: Chromium, tmp_path: Path) -> None:
    """The curl command says what the form says: run beside the file, it gets the answer; other text stays text."""
    name, words = "a picture's $(name).png", "`owl` $HOME \\ \"'"
    (tmp_path / name).write_bytes(PICTURE.read_bytes())
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "rich")
        section.locator("input[type=file]").first.set_input_files(tmp_path / name)
        section.get_by_label("note").fill(words)
        section.get_by_label("text", exact=True).fill("hello")
        command = _copied(section, "curl")
        shown = command.replace("curl ", "curl -s --noproxy '*' ", 1)
        done = subprocess.run(
            ["bash", "-c", shown], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True
        )
        answer: Json = json.loads(done.stdout)
        assert answer["header"]["code"] == 0, answer
        assert answer["payload"]["boxes"]["text"] == [PICTURE.stat().st_size, 5]
        compile(_copied(section, "Python"), "page", "exec")
        assert "Path(path).read_bytes()" in _copied(section, "Python")
        assert 'import { readFile } from "node:fs/promises"' in _copied(section, "JavaScript")


def test_copied_code_without_a_file_is_a_call(served: Server, browser: Chromium) -> None:
    """JavaScript as copied gets the answer of the text in the form."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "echo")
        section.get_by_label("text", exact=True).fill("an owl")
        code = _copied(section, "JavaScript")
        answer = page.evaluate(f"(async () => {{ {code}; return request }})()")
        assert httpx.post(f"{served.url}/echo", json=answer, trust_env=False).json()["payload"]["result"]["text"]
        assert answer["payload"]["data"]["text"] == base64.b64encode(b"an owl").decode()


# ── the page itself ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("language", "own", "other"), [("en-GB", "Call", "调用"), ("zh-CN", "调用", "Call")])
def test_language_can_be_changed_in_the_middle(
    served: Server, browser: Chromium, language: str, own: str, other: str
) -> None:
    """The switch changes every sentence; what was typed, and the answer, stay."""
    with browser.tab(f"{served.url}/", language=language) as page:
        section = _service(page, "echo")
        section.get_by_label("text", exact=True).fill("stays")
        section.get_by_role("button", name=own, exact=True).click()
        expect(section.locator("[data-output=result]")).to_contain_text("stays")
        page.locator("#language").click()
        expect(section.get_by_role("button", name=other, exact=True)).to_be_visible()
        expect(section.get_by_label("text", exact=True)).to_have_value("stays")
        expect(section.locator("[data-output=result]")).to_contain_text("stays")
        page.reload()
        expect(_service(page, "echo").get_by_role("button", name=other, exact=True)).to_be_visible()
        text = page.locator("body").inner_text()
        assert ("试用" in text or "应答" in text) == (other == "调用")


@pytest.mark.parametrize("is_dark", [False, True])
def test_text_can_be_read_in_both_themes(served: Server, browser: Chromium, is_dark: bool) -> None:
    """Ground and ink are apart in light and dark, in the fields too."""
    apart = """(one) => {
        const light = (words) => words.match(/\\d+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0) / 3;
        const style = getComputedStyle(one); return light(style.color) - light(style.backgroundColor); }"""
    with browser.tab(f"{served.url}/", is_dark=is_dark) as page:
        _service(page, "echo")
        for element in (page.locator("body"), page.locator("textarea").first, page.locator("select").first):
            assert (element.evaluate(apart) > 150) == is_dark
        page.locator("#theme").click()
        assert (page.locator("body").evaluate(apart) > 150) != is_dark


def test_page_fits_a_phone(served: Server, browser: Chromium) -> None:
    """Nothing scrolls sideways, before or after a call, with everything unfolded; the answer comes into view."""
    with browser.tab(f"{served.url}/", width=390, height=844) as page:
        section = _service(page, "mirror")
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        _call(section)
        expect(section.locator(".outcome")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_control_has_a_name(served: Server, browser: Chromium) -> None:
    """Each input can be found by its label, and the keyboard reaches it, the file's too."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "rich")
        nameless = "all => all.filter((one) => !one.labels?.length || one.tabIndex < 0).length"
        assert section.locator("input, select, textarea").evaluate_all(nameless) == 0
        section.locator("input[type=file]").first.focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_links_lead_to_the_documents(served: Server, browser: Chromium) -> None:
    """To /docs at the service, to openapi.json and to the health, whose state is in the bar; /docs leads back."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "mirror")
        expect(page.locator("#health")).to_have_text("ready")
        links = page.locator("nav a").evaluate_all("all => all.map((one) => one.pathname + one.hash)")
        assert links == ["/#service-0", "/#service-1", "/#service-2", "/docs", "/openapi.json", "/healthz"]
        section.get_by_role("link", name="Documents").click()
        page.locator("html[data-ready]").wait_for()
        assert page.url.endswith("/docs#service-1")
        page.get_by_role("link", name="Try it").click()
        _service(page, "mirror")


def test_service_that_is_not_ready_says_why(served: Server, browser: Chromium) -> None:
    """The bar and the service have it from /healthz, and look again by themselves."""
    bad = {
        "ready": False,
        "state": "serving",
        "reasons": ["echo died"],
        "services": {"echo": {"ready": False, "reason": "it died"}},
    }
    with browser.tab(f"{served.url}/livez") as page:
        page.route("**/healthz", lambda route: route.fulfill(json=bad), times=1)
        page.goto(f"{served.url}/")
        expect(page.locator("#health")).to_have_text("not ready")
        expect(_service(page, "echo").get_by_text("it died")).to_be_visible()
        expect(page.locator("#health")).to_have_text("ready")
        expect(page.get_by_text("it died")).to_have_count(0)


def test_page_is_there_for_reading_only(served: Server) -> None:
    """GET and HEAD of `/`; blobs are the only pictures and sounds besides our own; nothing inline runs."""
    answer = httpx.get(f"{served.url}/", trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"].startswith("text/html")
    assert "img-src 'self' blob:" in policy
    assert "unsafe" not in policy
    assert "data:" not in policy
    assert httpx.head(f"{served.url}/", trust_env=False).status_code == 200
    assert httpx.post(f"{served.url}/", json={}, trust_env=False).status_code == 404


# ── boxes ─────────────────────────────────────────────────────────────────────────────────────────

SQUARE: Final = [[10, 20], [30, 20], [30, 60], [10, 60]]
CORNERS: Final = [10, 20, 30, 60]


@pytest.fixture(scope="module")
def opened(served: Server, browser: Chromium) -> Iterator[Page]:
    """The page, for tests that only ask one of its modules."""
    with browser.tab(f"{served.url}/") as page:
        yield page


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([{"box": [10, 20, 30, 20, 30, 60, 10, 60], "text": "owl"}], id="eight numbers"),
        pytest.param({"pages": [{"result": [{"polygon": SQUARE, "label": "owl"}]}]}, id="four points, deep inside"),
        pytest.param([{"points": [{"x": x, "y": y} for x, y in SQUARE], "class_name": "owl"}], id="points as objects"),
        pytest.param([{"bbox": CORNERS, "name": "owl"}], id="two corners"),
        pytest.param([{"xywh": [10, 20, 20, 40], "name": "owl"}], id="a corner and a size, by name"),
        pytest.param(
            [{"bbox": [10, 20, 20, 40], "label": "owl"}, {"bbox": [50, 60, 5, 7], "label": "owl"}],
            id="sizes, by content",
        ),
        pytest.param([{"bbox": {"x": 10, "y": 20, "width": 20, "height": 40}, "label": "owl"}], id="named size"),
        pytest.param([{"xmin": 10, "ymin": 20, "xmax": 30, "ymax": 60, "class": "owl"}], id="sides in the object"),
        pytest.param([{"box": [0.1, 0.2, 0.3, 0.6], "label": "owl"}], id="parts of the picture"),
        pytest.param([[SQUARE, "owl", 0.5]], id="points, text, score"),
        pytest.param([[SQUARE, ["owl", 0.5]]], id="points and a pair"),
        pytest.param({"boxes": [CORNERS], "labels": ["owl"], "scores": [0.5]}, id="lists beside each other"),
        pytest.param({"boundingPoly": {"vertices": [{"x": x, "y": y} for x, y in SQUARE]}, "text": "owl"}, id="poly"),
    ],
)
def test_boxes_are_found_in_common_spellings(opened: Page, said: Json | list[Json]) -> None:
    """The same place and its label, however an answer writes it."""
    found = _shapes(opened, said)
    assert [[round(x), round(y)] for x, y in found[0]["points"]] == SQUARE
    assert found[0]["label"] == "owl"


@pytest.mark.parametrize(
    "said",
    [
        [1, 2, 3, 4],
        {"size": [640, 480, 3, 8]},
        [{"text": "owl"}],
        "owl",
        None,
        {"box": "here"},
        {"box": [1, 2, "3", 4]},
    ],
)
def test_other_numbers_are_no_boxes(opened: Page, said: object) -> None:
    """Numbers that nobody calls a place are not drawn."""
    assert _shapes(opened, said) == []


def _shapes(page: Page, said: object) -> list[Json]:
    script = "async (said) => (await import('/docs/boxes.js')).shapes([said], { width: 100, height: 100 })"
    found: list[Json] = page.evaluate(script, said)
    return found
