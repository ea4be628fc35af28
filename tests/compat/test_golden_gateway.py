"""The recorded traffic of ASF's gateway, sent again byte for byte: what it said is what we say, but for `DEVIATIONS`.

Folders of recordings: `http_v2` (a business layer behind the gateway that echoes), `http` (a strict schema refuses
nearly everything), `http_nobackend` (nobody behind the gateway: what it answered by itself counts).
"""

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from athena_serving import __version__
from tests.compat import golden
from tests.compat.conftest import Serve
from tests.compat.golden import SID, Answer, Json, Recording
from tests.serving import Server

pytestmark = golden.needs_golden

NOBODY: Final = 10225
"""Code of ASF's answer where it found no business layer: not the gateway's own."""

WORDS: Final = {
    r"Invalid type, expected: string , given: \w+": "type must be string",
    r"value is invalid , shoule be one of \[(.*?)\]": r"must be one of [\1]",
}
"""The recorded gateway was built with a later schema library than the released one, whose words we have (5.5)."""


class Deviation(NamedTuple):
    """Where we answer otherwise than was recorded: what differs, and why. None of a member means as recorded."""

    why: str
    status: int | None = None
    header: Mapping[str, object] = {}
    """Members of `header` that differ."""
    result: Mapping[str, object] = {}
    """Members of the output `result` that differ."""
    body: Json | None = None
    """The whole body, where nothing of it stays."""


FINISHED: Final = {"seq": "0", "status": 3}
ECHOED: Final = Deviation(
    "the recording's business layer said seq 1 and status 2 of a finished call; ASF's loader says 0 and 3, and so do "
    "we",
    result=FINISHED,
)
GONE: Final = "a private route: it shows the inside of the process to everybody who can call"

DEVIATIONS: Final[dict[str, Deviation]] = {
    "http_v2/ok": ECHOED,
    "http_v2/ok_no_data_type": ECHOED,
    "http_v2/appid_header_ok": ECHOED,
    "http_v2/no_header": ECHOED,
    "http_v2/param_ok": ECHOED,
    "http_v2/put": ECHOED,
    "http_v2/big_1MB": ECHOED,
    "http_v2/no_parameter": Deviation(
        "two inputs came, one by the schema's default; the business layer echoed the one that Go's map gave it first",
        result={**ECHOED.result, "text": golden.base64_of("echo:hello world")},
    ),
    "http_v2/big_5MB": Deviation(
        "a body of 7 MB is nothing special: there is no limit of 4 MiB behind the door, `server.limits.body` is 64 MiB",
        status=200,
        body={
            "header": {"code": 0, "message": "success", "sid": "SID"},
            "payload": {
                "result": {
                    "compress": "raw",
                    "encoding": "utf8",
                    "format": "plain",
                    **ECHOED.result,
                    "text": golden.base64_of("echo:" + "x" * 200),
                }
            },
        },
    ),
    "http_v2/atmos_err_10110": Deviation(
        "the business layer's code is the wrapper's own here: it stands in the message, after the wrapper's words",
        header={"code": 10909, "message": "the wrapper gave up;code=10110"},
    ),
    "http_v2/xsf_err_10110": Deviation(
        "a failed transport is a worker that died under the call: 503 with Retry-After, and a code that says so",
        status=503,
        header={"code": 10109, "message": "the worker died while it had the call"},
    ),
    "http/wg_not_found": Deviation(
        "beside the message stand the services there are",
        body={"message": "not found", "services": ["svcName", "svcV2"]},
    ),
    "http/wg_monitor_monitor_version": Deviation("our own version", body={"version": __version__}),
    "http/wg_monitor_debug_pprof_": Deviation(
        GONE, status=404, body={"message": "not found", "services": ["svcName", "svcV2"]}
    ),
}
"""By folder and recording. docs/compatibility.md has a row for each."""


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of the recordings' two services: the echo wrapper under the schema documents that ASF had."""
    folder = tmp_path_factory.mktemp("golden")
    names = ("svcName", "svcV2")
    documents = {name: json.loads((golden.GOLDEN / f"webgate/schema_{name}.json").read_text()) for name in names}
    places = [golden.write_service(folder / name, one) for name, one in documents.items()]
    return serve(places, wrapper__prefix="echo:", wrapper__most=200)  # what the recordings' business layer did


def parameters() -> list[object]:
    """Every recording of the three folders that is the gateway's own answer."""
    return [
        pytest.param(f"{folder}/{name}", one, id=f"{folder}/{name}")
        for folder in ("http_v2", "http", "http_nobackend")
        for name, one in golden.recordings(f"webgate/{folder}").items()
        if one.code != NOBODY
    ]


@pytest.mark.parametrize(("name", "one"), parameters())
def test_recorded_request_is_answered_as_recorded(server: Server, name: str, one: Recording) -> None:
    """Status, content type and body are ASF's, sid, order of members and `header.errors` aside, or as `DEVIATIONS`."""
    answer = golden.replay(server.port, one)
    if answer.code == golden.WORKER_DIED:
        server.wait_ready()
    status, body = expected(one, DEVIATIONS.get(name))
    assert (answer.status, said(answer)) == (status, body)
    assert answer.kind.partition(";")[0] == "application/json"
    if "header" in body:
        assert answer.kind == one.kind


def test_deviations_are_of_recordings_there_are() -> None:
    """No row of the table has outlived its recording."""
    names = {f"{folder}/{name}" for folder in ("http_v2", "http") for name in golden.recordings(f"webgate/{folder}")}
    assert DEVIATIONS.keys() <= names


def expected(one: Recording, deviation: Deviation | None) -> tuple[int, Json]:
    """Status and body that we owe."""
    status = (deviation and deviation.status) or one.status
    if deviation is not None and deviation.body is not None:
        return status, deviation.body
    body = normal(one.json)
    if deviation is not None:
        body.get("header", {}).update(deviation.header)
        body.get("payload", {}).get("result", {}).update(deviation.result)
    return status, body


def said(answer: Answer) -> Json:
    """What we said, normalised; our sid is of the right form, and our places for programs fit the words."""
    body = answer.json
    header = body.get("header")
    if header is not None:
        assert SID.match(header["sid"])
        assert answer.headers["x-request-id"] == header["sid"]
        for problem in header.pop("errors", []):
            assert problem.keys() == {"pointer", "message"}
    return normal(body)


def normal(body: Json) -> Json:
    """A body without what varies: the sid; of a schema's refusals the library's words and their order."""
    header = body.get("header")
    if header is None:
        return body
    header["sid"] = "SID"
    message = str(header["message"])
    for old, new in WORDS.items():
        message = re.sub(old, new, message)
    start, found, problems = message.partition("error: '")
    if found and message.endswith("; "):
        each = sorted(f"'{problem}" for problem in problems.removesuffix("; ").split("; '"))
        message = f"{start}error: {'; '.join(each)}; "
    header["message"] = message
    return body
