"""examples/02-mmocr, served for real: ASF's demo request, pictures good and bad, and the demo itself."""

import base64
import importlib.util
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None, reason="requirements/mmocr.txt is not installed"
)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "02-mmocr"
PLAQUE = ROOT.parent / "shared" / "data" / "demo_text_det.jpg"
SIGN = ["The Owl and Lantern", "READING ROOM", "Open every night", "since 1888"]
WORDS = ["octavia", "hill", "social", "reformer", "established", "this", "garden"]
WORDS += ["hall", "and", "cottages", "pioneered", "army", "1887"]


@pytest.fixture(scope="module")
def mmocr(serve: Callable[[str], httpx.Client]) -> httpx.Client:
    """A client of the running example."""
    return serve("02-mmocr")


def demo_request(picture: bytes, *, encoding: str = "jpg") -> dict[str, object]:
    """ASF's demo request, written out, for one picture."""
    return {
        "header": {
            "app_id": "123456",
            "uid": "39769795890",
            "did": "SR082321940000200",
            "imei": "8664020318693660",
            "imsi": "4600264952729100",
            "mac": "6c:92:bf:65:c6:14",
            "net_type": "wifi",
            "net_isp": "CMCC",
            "status": 3,
            "request_id": None,
        },
        "parameter": {
            "mmocr": {
                "category": "ai_category",
                "application_mode": "common_gpu",
                "gpu_id": "first",
                "gpu_type": "T4G16",
                "boxes": {"encoding": "utf8", "compress": "raw", "format": "json"},
            }
        },
        "payload": {"data": {"encoding": encoding, "image": base64.b64encode(picture).decode(), "status": 3}},
    }


def read(client: httpx.Client, picture: bytes, *, path: str = "/v1/private/mmocr") -> list[dict[str, object]]:
    """The lines that the service finds on a picture."""
    answer = client.post(path, json=demo_request(picture))
    assert answer.status_code == 200, answer.text
    assert answer.json()["header"]["code"] == 0
    (page,) = answer.json()["payload"]["boxes"]["text"]
    assert page["filename"] == "0"
    return page["result"]  # type: ignore[no-any-return]


def white_png(*, width: int, height: int) -> bytes:
    """A PNG without anything on it, one bit a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xff" * -(-width // 8)) * height
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("path", ["/v1/private/mmocr", "/mmocr"])
def test_demo_request_is_answered_with_a_parsed_list(mmocr: httpx.Client, path: str) -> None:
    """ASF's request works at ASF's route and at the bare service id; a line has the four keys of the demo."""
    lines = read(mmocr, (EXAMPLE / "picture.png").read_bytes(), path=path)
    for line in lines:
        assert list(line) == ["box", "box_score", "text", "text_score"]
        assert isinstance(line["box"], list)
        assert [type(edge) for edge in line["box"]] == [int] * 8
        assert isinstance(line["box_score"], float)
        assert isinstance(line["text_score"], float)


def test_own_picture_is_read_exactly(mmocr: httpx.Client) -> None:
    """The four lines of the sign come back letter by letter, top down."""
    assert [line["text"] for line in read(mmocr, (EXAMPLE / "picture.png").read_bytes())] == SIGN


@pytest.mark.skipif(not PLAQUE.exists(), reason="ASF's demo picture is not there: ../shared/data/demo_text_det.jpg")
def test_asf_picture_is_read(mmocr: httpx.Client) -> None:
    """Every word of the round plaque in ASF's demo picture is found."""
    text = " ".join(str(line["text"]) for line in read(mmocr, PLAQUE.read_bytes())).lower()
    assert [word for word in WORDS if word not in text] == []


def test_parameters_are_optional(mmocr: httpx.Client) -> None:
    """A caller who only has a picture need not send ASF's parameters; the answer is parsed all the same."""
    picture = base64.b64encode((EXAMPLE / "picture.png").read_bytes()).decode()
    answer = mmocr.post("/mmocr", json={"header": {"app_id": "123456"}, "payload": {"data": {"image": picture}}})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["payload"]["boxes"]["text"][0]["result"]) == len(SIGN)


def test_picture_without_text_has_no_lines(mmocr: httpx.Client) -> None:
    """A blank sheet is no error: the list of lines is empty."""
    assert read(mmocr, white_png(width=320, height=200)) == []


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(b"this is not a picture", id="not a picture"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="only the first bytes of one"),
        pytest.param(white_png(width=10_000, height=10_000), id="100 million pixels in a few kilobytes"),
    ],
)
def test_broken_picture_is_refused_in_words(mmocr: httpx.Client, picture: bytes) -> None:
    """What cannot be decoded is answered with 502, ASF's code for a failed wrapper and the wrapper's own words."""
    answer = mmocr.post("/v1/private/mmocr", json=demo_request(picture))
    assert answer.status_code == 502, answer.text
    header = answer.json()["header"]
    assert header["code"] == 10909
    assert header["message"] == "the picture cannot be decoded: send a jpg or png;code=100"


def test_missing_picture_is_refused_in_words(mmocr: httpx.Client) -> None:
    """A request without a payload gets the same words, not a traceback."""
    answer = mmocr.post("/v1/private/mmocr", json={"header": {"app_id": "123456"}})
    assert answer.status_code == 502, answer.text
    assert "the picture cannot be decoded" in answer.json()["header"]["message"]


def test_service_goes_on_after_a_broken_picture(mmocr: httpx.Client) -> None:
    """A bad caller costs the next one nothing."""
    mmocr.post("/v1/private/mmocr", json=demo_request(b"broken"))
    assert read(mmocr, (EXAMPLE / "picture.png").read_bytes())


def test_picture_is_small() -> None:
    """The committed picture stays under 60 KB."""
    assert (EXAMPLE / "picture.png").stat().st_size < 60_000


def test_demo_prints_what_it_read() -> None:
    """`make demo` exits with 0, prints each line of the sign and ends with a curl line."""
    demo = subprocess.run(
        [sys.executable, EXAMPLE / "demo.py"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for text in SIGN:
        assert f"│ {text}" in demo.stdout
    assert demo.stdout.rstrip().splitlines()[-1].lstrip().startswith("curl ")


def test_demo_fails_honestly(tmp_path: Path) -> None:
    """A file that is no picture makes the demo exit with 1 and show the server's words."""
    broken = tmp_path / "broken.jpg"
    broken.write_text("not a picture")
    demo = subprocess.run(
        [sys.executable, EXAMPLE / "demo.py", broken],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert demo.returncode == 1
    assert "the picture cannot be decoded" in demo.stdout
