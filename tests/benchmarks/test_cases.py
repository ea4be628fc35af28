"""The cases: what servers are asked, and that ours answers it."""

import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from benchmarks import cases, streams, trial
from benchmarks.cases import Case, Drive
from benchmarks.exchanges import Dialect, Stream
from benchmarks.servers import SERVERS
from benchmarks.trial import Length

BENCHMARKS = Path(streams.__file__).parent
FEW = 16
"""Callers: what is tested is that the answers are right, on whatever machine this is."""
NEW = [case for case in cases.every_case() if case.drive is not Drive.WRK or case.group == "batch"]


def of(folder: str, file: str) -> dict[str, object]:
    """What a module of a server defines."""
    return runpy.run_path(str(BENCHMARKS / folder / file))


def test_all_servers_send_the_same_chunks() -> None:
    """The judge's, the peers' and our service's hundred pieces are the same, sixteen bytes each, each with the mark."""
    assert of("peers", "pieces.py")["PIECES"] == of("services/chunks", "wrapper.py")["PIECES"] == streams.PIECES
    assert {len(piece) for piece in streams.PIECES} == {16}
    assert {piece.encode().count(streams.MARK) for piece in streams.PIECES} == {1}


def test_all_servers_do_the_same_job() -> None:
    """One costs 5 ms, any batch up to sixteen 6 ms, for peers and for us."""
    ours, theirs = of("services/batch", "wrapper.py")["job_seconds"], of("peers", "job.py")["job_seconds"]
    assert callable(ours)
    assert callable(theirs)
    assert [ours(size) for size in (1, 2, 16)] == [theirs(size) for size in (1, 2, 16)] == [0.005, 0.006, 0.006]


@pytest.mark.parametrize("case", cases.every_case(), ids=lambda case: case.name)
def test_every_server_that_takes_part_has_a_request(case: Case) -> None:
    """Each server either has an exchange in its dialect or a reason why it has none."""
    for server in SERVERS:
        assert (server.name in case.absent) or server.exchange(case)


def test_a_stream_is_judged_by_each_of_its_pieces() -> None:
    """A piece that is missing, twice or out of order makes the answer wrong, in both dialects."""
    plain, ase = streams.events()[Dialect.PLAIN], streams.events()[Dialect.ASE]
    for pieces in (streams.PIECES[:-1], streams.PIECES[::-1], [*streams.PIECES, streams.PIECES[-1]]):
        assert not plain.is_right(events(pieces))
        assert not ase.is_right(events([*map(step, pieces), step("", status=2)]))
    assert plain.is_right(events(streams.PIECES))
    assert ase.is_right(events([*map(step, streams.PIECES), step("", status=2)]))
    assert not ase.is_right(events([*map(step, streams.PIECES)]))


def test_an_error_amid_a_stream_is_no_right_answer() -> None:
    """A step with a code makes the whole answer wrong."""
    failed = [*map(step, streams.PIECES), step("", status=2, code=10700)]
    assert not streams.events()[Dialect.ASE].is_right(events(failed))


def test_the_end_of_a_session_is_said_in_its_header() -> None:
    """A payload's status 2 is the end of an input or output, not of the session."""
    stream = Stream(b"", 0, end=streams.END)
    assert stream.is_end(b'{"header":{"status":2},"payload":{}}')
    assert not stream.is_end(b'{"header":{"status":1},"payload":{"result":{"status":2}}}')
    assert not Stream(b"", 0).is_end(b'{"header":{"status":2}}')


@pytest.mark.parametrize("case", NEW, ids=lambda case: case.name)
def test_our_service_answers_without_an_error(case: Case) -> None:
    """A turn of a second with a few callers: started, asked once and judged, driven, weighed; every row counts."""
    wrk = shutil.which("wrk")
    if wrk is None and case.drive is Drive.WRK:
        pytest.skip("no wrk on this machine")
    few = replace(case, concurrency=min(case.concurrency, FEW))
    samples = trial.measure(wrk or "", few, SERVERS[0], Length(warm_up=1, seconds=1), number=0)
    assert [sample.case for sample in samples] == [case.name, *([case.beside_name] if case.beside else [])]
    assert [sample.errors for sample in samples] == [0] * len(samples)
    assert all(sample.rate > 0 for sample in samples)


def events(data: list[str]) -> bytes:
    """A body of server-sent events, with a comment as a server sends it while nothing happens."""
    return b": keep-alive\n\n" + b"".join(f"id: {n}\ndata: {one}\n\n".encode() for n, one in enumerate(data))


def step(text: str, *, status: int = 1, code: int = 0) -> str:
    """An answer of a session."""
    header = {"code": code, "message": "", "sid": "s", "status": status}
    return msgspec.json.encode({"header": header, "payload": {"result": {"text": text, "seq": 1}}}).decode()
