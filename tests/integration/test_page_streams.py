"""The page at `/` for services that stream: in Chromium, on a server that speaks the protocol and nothing else.

The last tests do the same on a real `athena serve` of the examples.
"""

import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import Chromium
from tests.integration.sessions import END, Sessions, sound_of
from tests.serving import Server, eventually

ROOT: Final = Path(__file__).parents[2]
RECORDING: Final = ROOT.parent / "shared/data/speech/goforward.raw"
FRAME: Final = 1280  # bytes: 40 ms of 16 kHz, 16 bits, one channel
PATIENCE: Final = 25_000  # milliseconds for a model on a busy machine


@pytest.fixture(scope="module")
def served() -> Iterator[Sessions]:
    """The page of three services that stream."""
    with Sessions() as sessions:
        yield sessions


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One Chromium for all pages; its microphone says what the recording says, and beeps where that is absent."""
    voice = tmp_path_factory.mktemp("voice") / "goforward.wav"
    if RECORDING.exists():
        _write_wav(voice, RECORDING.read_bytes(), rate=16_000)
    with Chromium(voice if RECORDING.exists() else None) as one:
        yield one


def _service(page: Page, name: str) -> Locator:
    page.locator("html[data-ready]").wait_for()
    return page.locator("section", has=page.get_by_role("heading", name=name, exact=True))


def _start(section: Locator) -> Locator:
    section.get_by_role("button", name="Start", exact=True).click()
    return section.locator(".answer")


def _end(section: Locator, state: str = "done") -> Locator:
    """The answer, once it has ended in this state."""
    answer = section.locator(".answer")
    expect(answer.locator(".badge")).to_have_text(state)
    expect(answer).to_have_attribute("aria-busy", "false")
    return answer


def _wav(path: Path, *, rate: int, channels: int = 1, seconds: float = 1.0) -> bytes:
    """A WAV file of a tone, 16 bits; its samples."""
    tone = array("h")
    for at in range(int(rate * seconds)):
        tone.extend([int(9000 * math.sin(2 * math.pi * 440 * at / rate))] * channels)
    _write_wav(path, tone.tobytes(), rate=rate, channels=channels)
    return tone.tobytes()


def _write_wav(path: Path, samples: bytes, *, rate: int, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)


def _copied(section: Locator, language: str) -> str:
    samples = section.locator(".stream-code .code")
    samples.get_by_role("button", name=language).click()
    samples.get_by_role("button", name="Copy").click()
    expect(samples.get_by_role("button", name="Copied")).to_be_visible()
    text: str = section.page.evaluate("navigator.clipboard.readText()")
    return text


def test_text_comes_as_it_is_spoken(served: Sessions, browser: Chromium) -> None:
    """One frame goes out, asking for text; its pieces are appended; the line says what happened; all can be saved."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("an owl, 雅典娜 🦉 <b>and</b>")
        _start(section)
        answer = _end(section)
        expect(answer.locator("[data-output=reply] .piece")).to_have_text("an owl, 雅典娜 🦉 <b>and</b> ")
        assert answer.locator("b", has_text="and").count() == 0
        [frame] = served.sessions[-1]
        assert frame["header"] == {"app_id": "123456", "status": END}
        assert frame["parameter"]["chat"]["reply"] == {"format": "text"}
        assert frame["payload"]["text"]["status"] == END
        expect(answer.locator(".outcome")).to_contain_text("sent 1")
        expect(answer.locator(".outcome")).to_contain_text("received 5")
        expect(answer.locator(".outcome")).to_contain_text("first after")
        with page.expect_download() as saved:
            answer.get_by_role("link", name="Save").click()
        assert Path(saved.value.path()).read_text() == "an owl, 雅典娜 🦉 <b>and</b> "


def test_sound_file_goes_out_in_frames_of_40_ms(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """A WAV that fits is sent sample by sample as it is; a line is written anew until it is final."""
    samples = _wav(tmp_path / "tone.wav", rate=16_000, seconds=1.01)
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        section.locator("input[type=file]").set_input_files(tmp_path / "tone.wav")
        _start(section)
        answer = _end(section)
        lines = answer.locator("[data-output=result] .piece")
        expect(lines).to_have_text(["heard 16160 samples", "and no more"])
        expect(lines.nth(1)).to_have_class("piece is-line is-open")
        first, *rest = served.sessions[-1]
        assert b"".join(map(sound_of, served.sessions[-1])) == samples
        assert {len(sound_of(one)) for one in [first, *rest[:-1]]} == {FRAME}
        assert first["payload"]["audio"]["encoding"] == "raw"
        assert first["payload"]["audio"]["sample_rate"] == 16_000
        assert {*rest[0]} == {"header", "payload"}
        assert {*rest[0]["payload"]["audio"]} == {"audio", "status"}
        for place in ("header", "payload"):
            blocks = [frame[place] if place == "header" else frame[place]["audio"] for frame in served.sessions[-1]]
            assert [one["status"] for one in blocks] == [0] + [1] * (len(rest) - 1) + [END]


def test_other_sounds_are_resampled(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """44.1 kHz in two channels become 16 kHz in one: as long, as loud, the same tone."""
    _wav(tmp_path / "tone.wav", rate=44_100, channels=2)
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        section.locator("input[type=file]").set_input_files(tmp_path / "tone.wav")
        _start(section)
        _end(section)
        samples = array("h", b"".join(map(sound_of, served.sessions[-1])))
        assert len(samples) == pytest.approx(16_000, abs=4)
        assert max(samples) == pytest.approx(9000, rel=0.05)
        ups = sum(one < 0 <= other for one, other in itertools.pairwise(samples))
        assert ups == pytest.approx(440, abs=2)


def test_raw_file_is_sent_as_it_is(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """What is called .raw has no header; in real time its frames are as far apart as they last."""
    (tmp_path / "tone.raw").write_bytes(bytes(range(256)) * 50)
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        section.locator("input[type=file]").set_input_files(tmp_path / "tone.raw")
        section.get_by_label("Send a file in real time").check()
        page.evaluate("window.began = performance.now()")
        _start(section)
        _end(section)
        assert b"".join(map(sound_of, served.sessions[-1])) == bytes(range(256)) * 50
        assert page.evaluate("performance.now() - window.began") >= 9 * 40  # milliseconds: the tenth frame waits


@pytest.mark.parametrize("data", [b"", b"RIFF\x00\x00\x00\x00WAVE", b"no sound at all" * 99])
def test_file_that_is_no_sound_is_not_sent(served: Sessions, browser: Chromium, tmp_path: Path, data: bytes) -> None:
    """The field says so, and no session begins."""
    (tmp_path / "tone.wav").write_bytes(data)
    before = len(served.sessions)
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        section.locator("input[type=file]").set_input_files(tmp_path / "tone.wav")
        section.get_by_role("button", name="Start", exact=True).click()
        expect(section.get_by_text("The browser cannot read this sound.")).to_be_visible()
        expect(section.locator("input[type=file]")).to_be_focused()
        expect(section.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    assert len(served.sessions) == before


def test_microphone_is_streamed_until_it_is_stopped(served: Sessions, browser: Chromium) -> None:
    """One click begins, another ends the sound and not the session: the last words still come."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        section.get_by_role("button", name="Microphone").click()
        expect(section.locator("[data-output=result] .is-open")).to_contain_text("samples so far")
        section.get_by_role("button", name="Stop recording").click()
        answer = _end(section)
        expect(answer.locator(".piece").first).to_have_text("heard " + str(_count(served)) + " samples")
        expect(section.get_by_role("button", name="Microphone")).to_be_visible()
        assert {len(sound_of(one)) for one in served.sessions[-1][:-1]} == {FRAME}
        samples = array("h", b"".join(map(sound_of, served.sessions[-1])))
        assert max(samples) > 1000  # somebody was heard


def _count(served: Sessions) -> int:
    return sum(len(sound_of(one)) for one in served.sessions[-1]) // 2


def test_microphone_that_is_refused_is_said_so(served: Sessions, browser: Chromium) -> None:
    """The field says it, and the button is as before."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        refusal = "Promise.reject(new DOMException('', 'NotAllowedError'))"
        page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = () => {refusal}; }}")
        section.get_by_role("button", name="Microphone").click()
        expect(section.get_by_text("The microphone may not be used.")).to_be_visible()
        expect(section.get_by_role("button", name="Microphone")).to_be_visible()


def test_sound_is_played_as_it_comes(served: Sessions, browser: Chromium) -> None:
    """Its seconds pass, no more than came; then all of it is a WAV file of the answer's rate."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "speak")
        _start(section)
        answer = _end(section)
        sound = answer.locator("[data-output=audio]")
        expect(sound).to_have_attribute("data-received", "0.500")
        expect(sound).to_have_attribute("data-played", "0.500")
        expect(sound.locator(".times")).to_have_text("played 0.5 s out of 0.5 s")
        with page.expect_download() as saved:
            sound.get_by_role("link", name="Save").click()
        with wave.open(str(saved.value.path())) as file:
            assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (22050, 1, 11_025)
        expect(sound.locator("audio")).to_be_visible()


def test_sound_can_be_paused(served: Sessions, browser: Chromium) -> None:
    """What is paused is not heard further until it goes on, though all of it has come."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "speak")
        section.get_by_label("text", exact=True).fill("long")
        _start(section)
        sound = _end(section).locator("[data-output=audio]")
        expect(sound).to_have_class("output is-heard")
        sound.get_by_role("button", name="Pause").click()
        expect(sound).to_have_class("output")
        assert float(sound.get_attribute("data-played") or 0) < float(sound.get_attribute("data-received") or 0)
        sound.get_by_role("button", name="Play").click()
        expect(sound).to_have_class("output is-heard")


def test_pictures_are_shown(served: Sessions, browser: Chromium) -> None:
    """A picture among the pieces is a picture on the page."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("picture")
        _start(section)
        width = "one => one.decode().then(() => one.naturalWidth)"
        assert _end(section).locator("[data-output=seen] img").evaluate(width) == 640


def test_error_is_shown_with_code_and_reason(served: Sessions, browser: Chromium) -> None:
    """Code, message and close reason; its place in the form is marked; a new session takes them away."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("fail")
        _start(section)
        answer = _end(section, "refused 10907")
        expect(answer.get_by_role("alert")).to_contain_text("10907 <the owl sleeps>")
        expect(answer.get_by_role("alert")).to_contain_text("closed with asleep")
        expect(section.get_by_label("most")).to_have_attribute("aria-invalid", "true")
        section.get_by_label("text", exact=True).fill("better")
        _start(section)
        _end(section)
        expect(section.get_by_role("alert")).to_have_count(0)


def test_connection_that_ends_too_early_is_said_so(served: Sessions, browser: Chromium) -> None:
    """What came stays; how it was closed is told."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("vanish")
        _start(section)
        answer = _end(section, "closed")
        expect(answer.locator("[data-output=reply]")).to_contain_text("so")
        expect(answer.get_by_role("alert")).to_contain_text("The connection was closed before the end: 1011")
        expect(answer.get_by_role("alert")).to_contain_text("no owl left")


def test_server_that_does_not_answer_is_said_so(served: Sessions, browser: Chromium) -> None:
    """A session that cannot begin says so."""
    with browser.tab(f"{served.url}/", is_refused=True) as page:
        section = _service(page, "chat")
        served.is_closed = True
        try:
            _start(section)
            expect(_end(section, "closed").get_by_role("alert")).to_contain_text("could not be opened")
        finally:
            served.is_closed = False


def test_stop_closes_the_session(served: Sessions, browser: Chromium) -> None:
    """An answer without an end ends by the button: the server sees it close, and the page is ready for more."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("for ever")
        _start(section)
        expect(section.locator("[data-output=reply]")).to_contain_text("owl owl")
        section.get_by_role("button", name="Stop", exact=True).click()
        _end(section, "stopped")
        assert served.closed.acquire(timeout=10)


def test_mode_decides_how_it_is_called(served: Sessions, browser: Chromium) -> None:
    """One answer is a POST, with its own code beside it; where that makes no sense there is no choice."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        expect(section.locator(".stream-code")).to_be_visible()
        page.route("**/v1/private/chat", lambda route: route.fulfill(json={"header": {"code": 0}, "payload": {}}))
        section.get_by_text("One answer").click()
        expect(section.locator(".stream-code")).not_to_be_visible()
        expect(section.locator(".once-code pre")).to_contain_text("curl")
        section.get_by_role("button", name="Call", exact=True).click()
        expect(section.locator(".badge")).to_have_text("HTTP 200")
        section.get_by_label("One answer").press("ArrowLeft")
        expect(section.get_by_role("button", name="Start", exact=True)).to_be_visible()
        expect(_service(page, "hear").locator(".modes")).to_have_count(0)
        expect(_service(page, "hear").locator(".once-code")).to_have_count(0)


# ── code ──────────────────────────────────────────────────────────────────────────────────────────


def test_copied_python_sends_the_sound(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """Run beside the file, it streams it and prints the words."""
    samples = _wav(tmp_path / "my tone.wav", rate=16_000)
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "hear")
        section.locator("input[type=file]").set_input_files(tmp_path / "my tone.wav")
        assert "heard 16000 samples" in _run_python(_copied(section, "Python"), tmp_path)
        assert b"".join(map(sound_of, served.sessions[-1])) == samples
        assert 'readFile("my tone.wav")' in _copied(section, "JavaScript")


def test_copied_python_keeps_the_sound(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """Sound that comes back becomes a file."""
    with browser.tab(f"{served.url}/") as page:
        _run_python(_copied(_service(page, "speak"), "Python"), tmp_path)
    assert (tmp_path / "audio.raw").stat().st_size == 22_050


def test_copied_code_prints_text_as_it_comes(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """Python prints what the page shows; JavaScript is a session too; curl asks for events."""
    with browser.tab(f"{served.url}/") as page:
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("an owl")
        assert _run_python(_copied(section, "Python"), tmp_path) == "an owl "
        before = len(served.sessions)
        page.evaluate(f"() => {{ {_copied(section, 'JavaScript')} }}")
        eventually(lambda: len(served.sessions) > before and served.sessions[-1], what="a session")
        assert served.sessions[-1] == served.sessions[before - 1]
        command = _copied(section, "curl")
        assert command.startswith("curl -N ")
        assert "-H 'Accept: text/event-stream'" in command


def _run_python(code: str, folder: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environ, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ── the page itself ───────────────────────────────────────────────────────────────────────────────


def test_streams_are_in_chinese_too(served: Sessions, browser: Chromium) -> None:
    """Every sentence of a session that ran and of one that failed; a sentence without Chinese is an error."""
    with browser.tab(f"{served.url}/", language="zh-CN", is_dark=True) as page:
        section = _service(page, "speak")
        section.get_by_role("button", name="开始").click()
        expect(section.locator(".badge")).to_have_text("完成")
        expect(section.locator(".times")).to_contain_text("已播放")
        section = _service(page, "chat")
        section.get_by_label("text", exact=True).fill("fail")
        section.get_by_role("button", name="开始").click()
        expect(section.locator(".badge")).to_have_text("错误 10907")
        page.locator("#language").click()
        expect(section.locator(".badge")).to_have_text("refused 10907")


def test_streams_fit_a_phone(served: Sessions, browser: Chromium, tmp_path: Path) -> None:
    """Nothing scrolls sideways at 375 pixels, with everything unfolded, after a session of each."""
    _wav(tmp_path / "tone.wav", rate=16_000)
    with browser.tab(f"{served.url}/", width=375, height=812) as page:
        _service(page, "hear").locator("input[type=file]").set_input_files(tmp_path / "tone.wav")
        for name in ("hear", "speak", "chat"):
            _start(_service(page, name))
            _end(_service(page, name))
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_control_of_a_stream_has_a_name(served: Sessions, browser: Chromium) -> None:
    """Each input can be found by its label, and the keyboard reaches it."""
    with browser.tab(f"{served.url}/") as page:
        for name in ("hear", "speak", "chat"):
            controls = _service(page, name).locator("input, select, textarea")
            assert (
                controls.evaluate_all("all => all.filter((one) => !one.labels?.length || one.tabIndex < 0).length") == 0
            )


def test_documents_show_streams(served: Sessions, browser: Chromium) -> None:
    """/docs says that the path is a WebSocket's, and has code for one."""
    with browser.tab(f"{served.url}/docs") as page:
        section = _service(page, "hear")
        expect(section.locator(".routes .verb")).to_have_text(["WebSocket"])
        expect(section.locator(".samples .code").first).to_contain_text("threading.Thread(target=send")
        expect(_service(page, "chat").locator(".routes .verb")).to_have_text(["WebSocket", "POST"])


@pytest.mark.parametrize(("hertz", "least", "most"), [(1000, 0.68, 0.73), (6000, 0.6, 0.73), (11_000, 0, 0.002)])
@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_microphone_is_resampled_without_folding(
    served: Sessions, browser: Chromium, rate: int, hertz: int, least: float, most: float
) -> None:
    """A tone of speech keeps its strength; one that 16 kHz cannot hold is gone."""
    script = """async ([rate, hertz]) => {
        const { Resampler } = await import('/docs/resampler.js');
        const one = new Resampler(rate, 16000);
        const tone = Float32Array.from({ length: rate }, (_, at) => Math.sin(2 * Math.PI * hertz * at / rate));
        const pieces = [];
        for (let at = 0; at < rate; at += 128) pieces.push(...one.push(tone.subarray(at, at + 128)));
        pieces.push(...one.flush());
        const middle = pieces.slice(100, -100);
        return [pieces.length, Math.sqrt(middle.reduce((sum, value) => sum + value * value, 0) / middle.length)]; }"""
    with browser.tab(f"{served.url}/") as page:
        count, strength = page.evaluate(script, [rate, hertz])
    assert count == pytest.approx(16_000, abs=2)
    assert least <= strength <= most


# ── on the examples ───────────────────────────────────────────────────────────────────────────────


def _example(name: str, module: str) -> Path:
    """The folder of an example; skips where what it needs is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"requirements/{name.partition('-')[2]}.txt is not installed")
    return ROOT / "examples" / name


@pytest.mark.parametrize("is_spoken", [False, True], ids=["file", "microphone"])
def test_recognised_words_appear(tmp_path: Path, browser: Chromium, is_spoken: bool) -> None:
    """A recording, from its file or through the microphone, becomes the words that it says."""
    if not RECORDING.exists():
        pytest.skip("the recording is not there")
    with Server(tmp_path, _example("03-iat", "pocketsphinx")) as server, browser.tab(f"{server.url}/") as page:
        section = _service(page, "iat")
        # A browser's microphone resamples what it is given: the last word may be another.
        words = "go forward ten" if is_spoken else "go forward ten meters"
        if is_spoken:
            section.get_by_role("button", name="Microphone").click()
            expect(section.locator("[data-output=result]")).to_contain_text(words, timeout=PATIENCE)
            section.get_by_role("button", name="Stop recording").click()
        else:
            section.locator("input[type=file]").set_input_files(RECORDING)
            _start(section)
        expect(section.locator(".badge")).to_have_text("done", timeout=PATIENCE)
        lines = section.locator("[data-output=result] .piece:not(.is-open)")
        expect(lines.filter(has_text=words)).to_have_count(1)


def test_spoken_text_is_heard(tmp_path: Path, browser: Chromium) -> None:
    """A sentence comes back as sound of the service's own rate, and is played to its end."""
    with Server(tmp_path, _example("04-tts", "espeakng_loader")) as server, browser.tab(f"{server.url}/") as page:
        section = _service(page, "tts")
        section.get_by_label("text", exact=True).fill("The owl looked at the lantern.")
        _start(section)
        sound = _end(section).locator("[data-output=audio]")
        received = sound.get_attribute("data-received") or ""
        assert float(received) > 1
        expect(sound).to_have_attribute("data-played", received, timeout=PATIENCE)
        with page.expect_download() as saved:
            sound.get_by_role("link", name="Save").click()
        with wave.open(str(saved.value.path())) as file:
            assert file.getframerate() == 22_050
            assert file.getnframes() / 22_050 == pytest.approx(float(received), abs=0.001)


def test_copied_curl_prints_events(tmp_path: Path, browser: Chromium) -> None:
    """The command as copied gets the pieces that the page gets, one an event."""
    with Server(tmp_path, ROOT / "examples/06-chat") as server, browser.tab(f"{server.url}/") as page:
        section = _service(page, "chat")
        _start(section)
        _end(section)
        command = _copied(section, "curl").replace("curl ", "curl -s --noproxy '*' ", 1)
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    events = [json.loads(line.removeprefix("data: ")) for line in done.stdout.splitlines() if line.startswith("data: ")]
    assert events[-1]["header"]["status"] == END
    assert {event["header"]["code"] for event in events} == {0}
    assert any(event.get("payload") for event in events)
