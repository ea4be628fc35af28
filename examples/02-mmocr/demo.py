"""Serve this example, send it ASF's demo request, show what was read on the picture, stop.

make demo
.venv/bin/python examples/02-mmocr/demo.py photo.jpg
"""

import base64
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).resolve().parent
ATHENA = Path(sys.executable).with_name("athena")
PATH = "/v1/private/mmocr"
START_TIMEOUT = 120.0  # seconds; a cold disk takes its time to load the models
STOP_TIMEOUT = 60.0  # seconds; more than the server's own drain_timeout
CALL_TIMEOUT = 120.0  # seconds; the server's own call_timeout

console = Console()
# A proxy set in the environment has no business with the loopback address.
web = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoError(Exception):
    """Something did not go as it should; the message says what."""


def demo_request(picture: Path) -> dict[str, object]:
    """ASF's demo request for one picture (http-api.md, chapter 2)."""
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
        "payload": {
            "data": {
                "encoding": "png" if picture.suffix.lower() == ".png" else "jpg",
                "image": base64.b64encode(picture.read_bytes()).decode(),
                "status": 3,
            }
        },
    }


# ── the server ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def serving() -> Iterator[str]:
    """Run `athena serve` on free ports and give its address once it is ready; stop it at the end.

    Raises DemoError if it does not start, or does not stop with exit code 0; its log is shown then.
    """
    port, admin = free_ports()
    command = [str(ATHENA), "serve", str(HERE), "--port", str(port), "--admin-port", str(admin)]
    console.print(f"[bold]athena serve {HERE.name}[/] on port {port}")
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_ready(server, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
            stop(server)
        except BaseException:
            server.kill()
            server.wait()
            show_log(log)
            raise


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on, at least now."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def wait_ready(server: subprocess.Popen[bytes], address: str) -> None:
    """Return once GET /readyz says 200; raise DemoError if the server ends or START_TIMEOUT passes first."""
    began = time.monotonic()
    console.print(f"waiting until {address}/readyz says 200: the model is being loaded")
    while not is_ready(address):
        if time.monotonic() - began > START_TIMEOUT:
            raise DemoError(f"the server is not ready after {START_TIMEOUT:.0f} seconds")
        try:
            code = server.wait(timeout=0.1)  # the pause between two questions, cut short if there is no one to ask
        except subprocess.TimeoutExpired:
            continue
        raise DemoError(f"the server ended before it was ready, with exit code {code}")
    console.print(f"ready after {time.monotonic() - began:.1f} s\n")


def is_ready(address: str) -> bool:
    """Does GET /readyz say 200?"""
    try:
        with web.open(f"{address}/readyz", timeout=5.0) as answer:
            return bool(answer.status == 200)
    except OSError:  # nobody listens yet, or 503: not ready yet
        return False


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop; raise DemoError unless it does so, with exit code 0."""
    server.terminate()
    try:
        code = server.wait(timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise DemoError(f"the server has not stopped {STOP_TIMEOUT:.0f} seconds after SIGTERM") from None
    if code != 0:
        raise DemoError(f"the server stopped with exit code {code}")


def show_log(log: IO[str]) -> None:
    """Print what the server wrote."""
    log.seek(0)
    console.rule("the server's log")
    console.print(log.read(), markup=False, highlight=False, soft_wrap=True)
    console.rule()


# ── the call ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Line:
    """One line of text on the picture."""

    text: str
    score: float
    corners: list[tuple[int, int]]
    """Pixels: x and y of the four corners, clockwise from the top left."""


def call(url: str, body: bytes) -> Any:
    """POST a request and parse the answer; raises DemoError with the server's words unless it is 200."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with web.open(request, timeout=CALL_TIMEOUT) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise DemoError(f"POST {url} was answered with {error.code}: {error.read().decode()}") from error
    except OSError as error:
        raise DemoError(f"POST {url} was not answered: {error}") from error


def lines_of(answer: Any) -> list[Line]:
    """The lines in an answer, whose `payload.boxes.text` is an already parsed list with one entry a picture."""
    (page,) = answer["payload"]["boxes"]["text"]
    return [
        Line(found["text"], found["text_score"], list(zip(found["box"][::2], found["box"][1::2], strict=True)))
        for found in page["result"]
    ]


# ── what one sees ─────────────────────────────────────────────────────────────────────────────────


def table_of(lines: list[Line], *, title: str) -> Table:
    """The lines of text, one row each."""
    table = Table(title=Text(title), title_style="bold", title_justify="left")
    table.add_column("text", style="green")
    table.add_column("score", justify="right")
    table.add_column("corners of its box (x,y)", style="dim")
    for line in lines:
        table.add_row(Text(line.text), f"{line.score:.3f}", "  ".join(f"{x},{y}" for x, y in line.corners))
    return table


def json_of(answer: object) -> Text:
    """JSON for people: indented and coloured, but the numbers of a box on one line."""
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    return JSONHighlighter()(re.sub(r"\[[\d\s,-]+\]", lambda box: " ".join(box[0].split()), text))


def show_again(body: bytes) -> None:
    """Keep the request in a file and print how to send it by hand."""
    file = HERE / "out" / "request.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(body)
    console.print("\n[bold]Once more, by hand[/], in two terminals:\n")
    for command in (
        f"{nearby(ATHENA)} serve {nearby(HERE)}",
        f"curl -H 'Content-Type: application/json' -d @{nearby(file)} http://127.0.0.1:1888{PATH}",
    ):
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)  # one line, to be copied


def nearby(path: Path) -> Path:
    """The path as seen from the working directory, where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main(arguments: list[str]) -> int:
    """Run the demo; the exit code is 0 only if everything went right, the server's stop included."""
    picture = Path(arguments[0]) if arguments else HERE / "picture.png"
    try:
        body = json.dumps(demo_request(picture)).encode()
        with serving() as address:
            began = time.monotonic()
            answer = call(address + PATH, body)
            took = time.monotonic() - began
            lines = lines_of(answer)
            console.print(table_of(lines, title=f"{picture.name}: {len(lines)} lines in {took * 1000:.0f} ms"))
            console.print("\n[bold]The answer[/]\n")
            console.print(json_of(answer), soft_wrap=True)
        console.print("\nserver stopped")
    except (DemoError, OSError) as error:
        console.print(f"error: {error}", style="bold red", markup=False, soft_wrap=True)
        return 1
    show_again(body)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
