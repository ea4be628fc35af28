"""`athena doctor`: each check's outcomes from facts that are given, and the command on this machine."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from athena_serving.cli import checks, facts
from athena_serving.cli.checks import Finding, Outcome
from athena_serving.cli.facts import Facts, Folder, Package
from athena_serving.errors import PortBusy
from athena_serving.settings import Hosted, Limits, Remark, Serve, Server, Service, Workers
from athena_serving.settings.aiges import UNREAD
from tests.serving import ATHENA, ECHO

OK, WARN, FAIL = Outcome.OK, Outcome.WARN, Outcome.FAIL
WITHIN: Final = 60.0  # seconds; a busy machine included
PATH: Final = Path("/services/ocr/wrapper.py")
GIB: Final = 1 << 30


def serving(
    *, workers: Workers | None = None, server: Server | None = None, limits: Limits | None = None,
    origins: Mapping[str, str] | None = None, remarks: tuple[Remark, ...] = (),
) -> Serve:  # fmt: skip
    """One service in the folder `ocr`."""
    hosted = Hosted(PATH, Service(), workers or Workers(), {}, PATH.parent, remarks=remarks)
    return Serve(server or Server(), limits or Limits(), (hosted,), origins=origins or {})


def only(check: checks.Check, found: Facts, serve: Serve | None = None) -> Finding:
    """The one finding of a check."""
    (finding,) = check(found, serve or serving())
    return finding


def judged(check: checks.Check, found: Facts, serve: Serve | None = None) -> dict[Outcome, str]:
    """Findings of a check by outcome, each with its advice."""
    return {one.outcome: f"{one.found} → {one.advice}" for one in check(found, serve or serving())}


def test_plain_machine_has_nothing_to_complain_of() -> None:
    """Every check has its say, and all are content."""
    plain = Facts(packages={name: Package("1.0") for name in facts.PACKAGES}, folders={PATH: Folder()})
    findings = checks.examine(plain, serving())
    assert {finding.outcome for finding in findings} == {OK}
    assert all(finding.found and not finding.advice for finding in findings)
    assert len({finding.check for finding in findings}) >= len(checks.CHECKS)


# ── Python ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("version", "outcome"), [((3, 10, 9), FAIL), ((3, 11, 0), OK), ((4, 0, 0), OK)])
def test_python_must_be_new_enough(version: tuple[int, int, int], outcome: Outcome) -> None:
    """3.11 is the oldest."""
    assert only(checks.python, Facts(python=version)).outcome is outcome


def test_missing_and_broken_packages_are_named() -> None:
    """Each with the command that mends it; the others are listed."""
    found = Facts(packages={"uvloop": Package(), "msgspec": Package("1.0", "ImportError: x"), "h11": Package("2")})
    assert list(checks.packages(found, serving())) == [
        ("packages", FAIL, "uvloop is not installed", "pip install 'uvloop'"),
        ("packages", FAIL, "msgspec 1.0: ImportError: x", "pip install --force-reinstall 'msgspec'"),
        ("packages", OK, "h11 2", ""),
    ]


def test_package_of_an_extra_counts_where_it_is_wanted() -> None:
    """HTTP/2 is off by default, and its package is not missed then."""
    found = Facts(packages={"zttp": Package()})
    assert judged(checks.packages, found) == {}
    assert "athena-serving[http2]" in judged(checks.packages, found, serving(server=Server(http2=True)))[FAIL]


@pytest.mark.parametrize(("name", "outcome"), [("utf-8", OK), ("UTF8".lower(), OK), ("ascii", WARN), ("gbk", WARN)])
def test_locale_should_be_utf8(name: str, outcome: Outcome) -> None:
    """A wrapper that opens a file without saying how gets the locale's way."""
    assert only(checks.encoding, Facts(encoding=name)).outcome is outcome


# ── the machine ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("soft", "hard", "outcome", "advice"),
    [
        (65_536, 65_536, OK, ""),
        (1024, 65_536, WARN, "ulimit -n 10080, or --set server.limits.connections=944"),
        (1024, 4096, WARN, "LimitNOFILE=10080 in its unit, or --set server.limits.connections=944"),
        (16, 16, WARN, "LimitNOFILE=10080 in its unit, or --set server.limits.connections=1"),
    ],
)
def test_open_files_must_do_for_the_connections(soft: int, hard: int, outcome: Outcome, advice: str) -> None:
    """The advice is a number that fits."""
    found = only(checks.open_files, Facts(descriptors=soft, descriptors_hard=hard))
    assert (found.outcome, found.advice) == (outcome, advice)


@pytest.mark.parametrize(
    ("quota", "said", "outcome"), [(None, "", OK), (8.0, "", OK), (1.5, "", WARN), (1.5, "1", OK), (0.5, "", WARN)]
)
def test_fewer_processors_than_are_seen(quota: float | None, said: str, outcome: Outcome) -> None:
    """A container's share is seen by nobody but the kernel; whoever set the threads knows."""
    found = only(checks.processors, Facts(processors=8, processor_quota=quota, omp_threads=said))
    assert found.outcome is outcome
    assert ("OMP_NUM_THREADS=1," in found.advice) is (outcome is WARN)


@pytest.mark.parametrize(
    ("said", "workers", "outcome"), [("", 4, OK), ("8", 1, OK), ("2", 4, OK), ("8", 4, WARN), ("4,2", 1, WARN)]
)
def test_threads_of_all_workers_share_the_processors(said: str, workers: int, outcome: Outcome) -> None:
    """More threads than processors hinder each other."""
    serve = serving(workers=Workers(count=workers))
    assert only(checks.threads, Facts(processors=8, omp_threads=said), serve).outcome is outcome


def test_memory_is_guessed_and_called_a_guess() -> None:
    """By the size of the wrapper's folder, for every worker; the group's limit is shown."""
    found = Facts(memory_available=4 * GIB, memory_limit=4 * GIB, folders={PATH: Folder(size=GIB)})
    assert only(checks.memory, found).found == "4GiB available, limit 4GiB"
    scarce = only(checks.memory, found, serving(workers=Workers(count=4)))
    assert (scarce.outcome, scarce.advice) == (WARN, "fewer --workers, or more memory")
    assert "may need 4.4 GiB (a guess: " in scarce.found


@pytest.mark.parametrize(
    ("found", "outcome"),
    [(Facts(), OK), (Facts(shared_memory_error="EPERM"), FAIL), (Facts(passing_error="EPERM"), FAIL)],
)
def test_processes_must_be_able_to_share(found: Facts, outcome: Outcome) -> None:
    """Without memfd or passed descriptors no worker can be reached."""
    assert only(checks.shared_memory, found).outcome is outcome


@pytest.mark.parametrize(
    ("devices", "visible", "has_card", "outcome"),
    [
        ((), "", False, OK),
        ((), "", True, OK),
        (("0",), "", True, OK),
        (("0", "1"), "", False, FAIL),
        ((), "0", False, WARN),
        ((), "-1", False, OK),
    ],
)
def test_cards_that_are_named_must_be_there(
    devices: tuple[str, ...], visible: str, *, has_card: bool, outcome: Outcome
) -> None:
    """A container that was started without them has none."""
    serve = serving(workers=Workers(devices=devices))
    found = only(checks.cards, Facts(cuda_visible=visible, has_card=has_card), serve)
    assert found.outcome is outcome
    assert ("--gpus all" in found.advice) is (outcome is not OK)


@pytest.mark.parametrize(("now", "outcome"), [(2e9, OK), (1e9 - 3600, OK), (0.0, WARN)])
def test_clock_is_later_than_the_package(now: float, outcome: Outcome) -> None:
    """A machine without a battery begins in 1970."""
    assert only(checks.clock, Facts(now=now, installed=1e9)).outcome is outcome


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ("/sbin/init", OK),
        ("", OK),
        ("/opt/venv/bin/python /opt/venv/bin/athena serve", OK),
        ("sh -c athena serve", WARN),
        ("/bin/bash /start.sh", WARN),
    ],
)
def test_shell_as_first_process_keeps_signals_to_itself(command: str, outcome: Outcome) -> None:
    """A container with one is killed after its grace instead of stopped."""
    assert only(checks.first_process, Facts(first_process=command)).outcome is outcome


@pytest.mark.parametrize(("is_writable", "outcome"), [(True, OK), (False, WARN)])
def test_temporary_files_have_a_place(*, is_writable: bool, outcome: Outcome) -> None:
    """A read-only container needs one mounted."""
    assert only(checks.folders, Facts(is_temporary_writable=is_writable)).outcome is outcome


# ── the server ────────────────────────────────────────────────────────────────────────────────────


def test_busy_ports_name_their_holder() -> None:
    """One that was chosen is a failure; the default admin port gives way."""
    busy = PortBusy("port 1 is in use by pid 2", help="choose another")
    found = Facts(busy={"server.port": busy, "server.admin_port": busy})
    chosen = serving(origins={"server.admin_port": "flag --admin-port"})
    assert [one.outcome for one in checks.ports(found, serving())] == [FAIL, WARN]
    assert list(checks.ports(found, chosen)) == [
        ("server.port", FAIL, "port 1 is in use by pid 2", "choose another"),
        ("server.admin_port", FAIL, "port 1 is in use by pid 2", "choose another"),
    ]
    assert [one.found for one in checks.ports(Facts(), serving(server=Server(port=0)))] == [
        "any free one",
        "1890 is free",
    ]


@pytest.mark.parametrize(("host", "outcome"), [("127.0.0.1", OK), ("0.0.0.0", WARN), ("::", WARN)])
def test_public_address_is_a_warning(host: str, outcome: Outcome) -> None:
    """There are no keys yet."""
    assert only(checks.public, Facts(), serving(server=Server(host=host))).outcome is outcome


# ── the wrappers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("folder", "remarks", "outcome", "words"),
    [
        (Folder(), (), OK, "not loaded (--load)"),
        (Folder(load_error=""), (), OK, "wrapper.py loads"),
        (Folder(load_error="no class\n  where: w.py:3\n  help: write one"), (), FAIL, "no class, w.py:3 → write one"),
        (Folder(load_error="exit code 9"), (), FAIL, "exit code 9 → athena run /services/ocr/wrapper.py"),
        (Folder(is_writable=False), (), WARN, "PYTHONPYCACHEPREFIX"),
        (Folder(has_both_files=True), (), WARN, "aiges.toml is not read: athena.toml is beside it"),
        (Folder(), (Remark("[fc].best", "later"), Remark("[aiges].sub", UNREAD)), WARN, "without effect here: "),
    ],
)  # fmt: skip
def test_wrapper_and_what_lies_beside_it(
    folder: Folder, remarks: tuple[Remark, ...], outcome: Outcome, words: str
) -> None:
    """Whether it loads, whether its folder takes what Python writes, and which files beside it are not read."""
    found = judged(checks.wrappers, Facts(folders={PATH: folder}), serving(remarks=remarks))
    assert words in found[outcome]


def test_no_wrapper_is_no_failure() -> None:
    """The machine can be looked at before there is one."""
    assert only(checks.wrappers, Facts(), replace(serving(), services=())).outcome is OK


# ── what is found out ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("files", "memory", "quota"),
    [
        ({}, None, None),
        ({"memory.max": "max", "cpu.max": "max 100000"}, None, None),
        ({"memory.max": "4096", "cpu.max": "150000 100000"}, 4096, 1.5),
        ({"pod/app/memory.max": "max", "pod/memory.max": "2048", "pod/app/cpu.max": "50000 100000"}, 2048, 0.5),
        ({"memory/pod/app/memory.limit_in_bytes": "9223372036854771712"}, None, None),
        ({"memory/pod/app/memory.limit_in_bytes": "1024", "cpu/cpu.cfs_quota_us": "-1"}, 1024, None),
        ({"cpu/pod/cpu.cfs_quota_us": "200000", "cpu/pod/cpu.cfs_period_us": "100000"}, None, 2.0),
    ],
)
def test_limits_of_either_kind_of_control_group(
    tmp_path: Path, files: Mapping[str, str], memory: int | None, quota: float | None
) -> None:
    """The narrowest of our group's and those above it; a container sees its own as the root."""
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    groups = tmp_path / "groups"
    groups.write_text("4:memory:/pod/app\n3:cpu,cpuacct:/pod/app\n0::/pod/app\n")
    assert facts.memory_limit(tmp_path, groups) == memory
    assert facts.processor_quota(tmp_path, groups) == quota


# ── the command ───────────────────────────────────────────────────────────────────────────────────


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [ATHENA, "doctor", "--port", "0", "--admin-port", "0", *arguments],
        capture_output=True, text=True, timeout=WITHIN, check=False, cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1"},
    )  # fmt: skip


def test_command_shows_chosen_settings_and_all_checks(tmp_path: Path) -> None:
    """What is no default with its origin; a check a line; exit code 0 where nothing fails."""
    (tmp_path / "wrapper.py").write_text(ECHO)
    (tmp_path / "athena.toml").write_text("[workers]\nqueue = 7\n")
    done = doctor(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "flag --port" in done.stdout
    assert "workers.queue" in done.stdout
    assert "workers.seats" not in done.stdout
    for check in ("python", "packages", "open files", "memory", "server.port", f"wrapper {tmp_path.name}"):
        assert f" {check[:20]}" in done.stdout


def test_command_loads_a_wrapper_only_when_asked(tmp_path: Path) -> None:
    """A broken one is a failure then, with place and remedy, and its own output is not ours."""
    (tmp_path / "wrapper.py").write_text('print("error: of its own")\nimport not_a_package_at_all\n')
    assert doctor(tmp_path).returncode == 0
    done = doctor(tmp_path, "--load", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    (failed,) = [check for check in document["checks"] if check["outcome"] == "fail"]
    assert "No module named 'not_a_package_at_all'" in failed["found"]
    assert "wrapper.py:2" in failed["found"]
    assert failed["advice"]
    assert document["ok"] is False
    assert document["settings"]["server"]["server.port"] == {"value": 0, "origin": "flag --port"}


def test_command_fails_for_a_busy_port(tmp_path: Path) -> None:
    """And names who has it."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = str(one.getsockname()[1])
        document = json.loads(doctor(tmp_path, "--json", "--port", port).stdout)
    (failed,) = [check for check in document["checks"] if check["outcome"] == "fail"]
    assert failed["found"].startswith(f"port {port} is in use by pid {os.getpid()}")
