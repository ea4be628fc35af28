"""How a call is found again: ids in headers, one line in the log."""

import re
from pathlib import Path

import httpx
import pytest

from tests.integration.actor import ACTOR, Answer, ask
from tests.serving import Json, Server, eventually, request_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEAD = "POST /actor HTTP/1.1\nHost: x\nContent-Type: application/json"


def post(server: Server, told: str = "hi", **headers: str) -> httpx.Response:
    """One call with headers of its own; `_` in their names is `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{server.url}/actor", json=request_of("actor", told), headers=named, trust_env=False)


def lines(server: Server, sid: str) -> list[Json]:
    """The access log's lines about a call, at least one."""
    return eventually(lambda: [line for line in server.log("call") if line.get("sid") == sid], what="the access line")


# ── X-Request-ID ──────────────────────────────────────────────────────────────────────────────────


def test_request_id_of_the_caller_comes_back(actor: Server) -> None:
    """A decent X-Request-ID is answered with as it came, and stands in the access log beside the sid."""
    answer = post(actor, X_Request_ID="shop/7 of (2026)")
    assert answer.headers["x-request-id"] == "shop/7 of (2026)"
    assert lines(actor, answer.json()["header"]["sid"])[0]["request_id"] == "shop/7 of (2026)"


def test_request_id_is_the_sid_where_the_caller_has_none(actor: Server) -> None:
    """Without X-Request-ID the sid is the id; two calls never share one."""
    first, second = post(actor), post(actor)
    assert first.headers["x-request-id"] == first.json()["header"]["sid"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize("hostile", ["x" * 129, "caf\xe9", "two\tparts", ""])
def test_hostile_request_id_is_not_echoed(actor: Server, hostile: str) -> None:
    """What is long, empty, no ASCII or not printable is replaced by the sid."""
    answer = ask(actor.port, f"{HEAD}\nX-Request-ID: {hostile}\nContent-Length: 2", b"{}")
    assert answer.headers["x-request-id"].startswith("ase")


def test_request_id_cannot_end_its_header(actor: Server) -> None:
    """A carriage return in the value does not smuggle a header into the answer."""
    answer = ask(actor.port, f"{HEAD}\nX-Request-ID: a\rSet-Cookie: b=c\nContent-Length: 2", b"{}")
    assert answer.status == 400
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("told", ["raise words", "key other"])
def test_errors_carry_the_ids_too(actor: Server, told: str) -> None:
    """A failed call has its X-Request-ID, its traceparent and its sid."""
    answer = post(actor, told, X_Request_ID="mine", traceparent=TRACE)
    assert answer.status_code == 502
    assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == ("mine", TRACE)
    assert answer.json()["header"]["sid"].startswith("ase")


def test_refusal_carries_the_ids_too(actor: Server) -> None:
    """So has a request that was never read whole."""
    answer: Answer = ask(actor.port, f"{HEAD}\nX-Request-ID: mine\nContent-Length: 9000000000")
    assert (answer.status, answer.headers["x-request-id"]) == (413, "mine")


# ── traceparent ───────────────────────────────────────────────────────────────────────────────────


def test_trace_of_the_caller_is_passed_on(actor: Server) -> None:
    """A W3C traceparent is answered with, and its trace id stands in the access log."""
    answer = post(actor, traceparent=TRACE)
    assert answer.headers["traceparent"] == TRACE
    assert lines(actor, answer.json()["header"]["sid"])[0]["trace_id"] == TRACE[3:35]


@pytest.mark.parametrize(
    "invalid",
    [
        "nonsense",
        TRACE[:-1],
        TRACE + "0",
        TRACE.upper(),
        TRACE.replace("-", "_"),
        f"ff{TRACE[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "",
    ],
)
def test_invalid_trace_is_ignored(actor: Server, invalid: str) -> None:
    """What is no traceparent (W3C Trace Context 3.2.2) neither fails the call nor comes back."""
    answer = post(actor, traceparent=invalid)
    assert answer.status_code == 200
    assert "traceparent" not in answer.headers
    assert "trace_id" not in lines(actor, answer.json()["header"]["sid"])[0]


# ── the access log ────────────────────────────────────────────────────────────────────────────────


def test_access_line_tells_all_of_a_call(actor: Server) -> None:
    """One JSON line a call: who, what, how it ended, how many bytes, how long and how much of it in user code."""
    answer = post(actor, "hi")
    (line,) = lines(actor, answer.json()["header"]["sid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    seconds, stages = line.pop("seconds"), line.pop("stages")
    assert list(stages) == ["read", "decode", "wait", "user", "encode"]
    assert all(took >= 0 for took in stages.values())
    assert seconds > stages["user"] > 0
    assert abs(seconds - sum(stages.values())) < 0.001
    assert line == {
        "level": "INFO",
        "logger": "access",
        "message": "call",
        "sid": answer.json()["header"]["sid"],
        "service": "actor",
        "app": "123456",
        "method": "POST",
        "path": "/actor",
        "status": 200,
        "code": 0,
        "bytes_in": len(answer.request.content),
        "bytes_out": len(answer.content),
    }


def test_access_line_tells_of_a_failure(actor: Server) -> None:
    """A failed call's line has its code and status, and the time that user code took all the same."""
    answer = post(actor, "code 7")
    (line,) = lines(actor, answer.json()["header"]["sid"])
    assert (line["status"], line["code"]) == (502, 10909)
    assert line["stages"]["user"] > 0


def test_people_get_a_line_too(tmp_path: Path) -> None:
    """`--log human` writes the same in words, one line a call, whatever the path holds."""
    with Server(tmp_path, ACTOR, "--log", "human") as server:
        answer = ask(
            server.port,
            "POST /%0aFAKE%20LINE/actor HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 2",
            b"{}",
        )
        sid = answer.headers["x-request-id"]
        line = eventually(lambda: [one for one in server.log_text().splitlines() if sid in one])
    assert len(line) == 1
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} CALL    actor  400 code=10313  [\d.]+ ms  in=2 out=\d+ "
        rf"sid={sid} app='' POST '/\\nFAKE LINE/actor'",
        line[0],
    )


def test_access_log_can_be_turned_off(tmp_path: Path) -> None:
    """`access_log = false` leaves the calls out of the log; everything else stays."""
    with Server(tmp_path, ACTOR, settings={"server.access_log": "false"}) as server:
        assert post(server).status_code == 200
        server.stop()
        assert server.log("stopped")
        assert not [line for line in server.log() if line.get("logger") == "access"]


# ── Server-Timing ─────────────────────────────────────────────────────────────────────────────────


def test_stages_are_told_to_who_asks(actor: Server) -> None:
    """By `X-Athena-Timing`, and only then; milliseconds of each stage, and their total."""
    assert "server-timing" not in post(actor).headers
    told = post(actor, X_Athena_Timing="1").headers["server-timing"]
    found = dict(re.findall(r"(\w+);dur=([\d.]+)", told))
    assert list(found) == ["read", "decode", "wait", "user", "encode", "total"]
    *stages, total = map(float, found.values())
    assert sum(stages) == pytest.approx(total, abs=0.1)
    assert (
        "server-timing" in post(actor, "raise no", X_Athena_Timing="1").headers
    )  # user code took its time all the same
