"""Every fuzz target runs, a planted fault is found, and what is found can be repeated."""

from types import SimpleNamespace

import pytest
from fuzz import __main__ as command
from fuzz import loop
from fuzz.loop import TARGETS, Target

ROUNDS = 400
SEED = 20250131


class Faulty:
    """Falls over a byte 0xFF behind the first one."""

    SEEDS = (b"good input", b"another one")

    def __init__(self) -> None:
        self.fed: list[bytes] = []

    def one(self, data: bytes) -> None:
        """Feed one input."""
        self.fed.append(data)
        if b"\xff" in data[1:]:
            raise KeyError("planted")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Faulty:
    """A target with a fault."""
    one = Faulty()
    monkeypatch.setattr(loop, "TARGETS", {"faulty": one})
    monkeypatch.setattr(command, "TARGETS", {"faulty": one})
    return one


@pytest.mark.parametrize("name", TARGETS)
def test_target_has_no_finding(name: str) -> None:
    """A fixed number of inputs, the same ones each time."""
    report = loop.run(TARGETS[name], seed=SEED, rounds=ROUNDS)
    assert (report.error, report.finding, report.rounds) == (None, None, ROUNDS)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_good(name: str) -> None:
    """Damage starts from what a decoder takes; there is more than one, and none is huge."""
    seeds = TARGETS[name].SEEDS
    assert len(set(seeds)) == len(seeds) > 1
    assert max(map(len, seeds)) <= loop.LONGEST


def test_same_seed_gives_the_same_inputs() -> None:
    """And another seed others."""

    def inputs(seed: int) -> list[bytes]:
        fed: list[bytes] = []
        target: Target = SimpleNamespace(SEEDS=Faulty.SEEDS, one=fed.append)
        loop.run(target, seed=seed, rounds=100)
        return fed

    assert inputs(1) == inputs(1) != inputs(2)
    assert inputs(1)[:2] == list(Faulty.SEEDS)


def test_fault_is_found_and_made_small(faulty: Faulty) -> None:
    """What the finding does not need is left out."""
    report = loop.run(faulty, seed=SEED, seconds=10.0)
    assert isinstance(report.error, KeyError)
    assert report.finding is not None
    assert (len(report.finding), report.finding[1]) == (2, 0xFF)


@pytest.mark.usefixtures("faulty")
def test_finding_is_printed_with_how_to_repeat_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The command that is printed raises the same error."""
    assert command.main(["--seed", "1", "--seconds", "10"]) == 1
    _, error, repeat = capsys.readouterr().out.splitlines()
    assert error.strip() == "KeyError('planted')"
    words = repeat.partition("python -m fuzz ")[2].split()
    with pytest.raises(KeyError, match="planted"):
        command.main(words)


def test_run_ends_when_its_time_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a finding it says how much it has done, and the seed to do it again."""
    assert command.main(["page", "frames", "--seconds", "0.05", "--seed", "7"]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["page", "frames"]


def test_unknown_target_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "no target nothing; there are frames, control, channel, page, envelope, schema" in capsys.readouterr().err
