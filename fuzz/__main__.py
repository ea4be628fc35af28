"""`python -m fuzz [TARGET...] [--seconds N] [--seed S]`, or `--input HEX` to repeat a finding."""

import argparse
import secrets
import sys
from collections.abc import Sequence

from fuzz import loop
from fuzz.loop import TARGETS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets one after the other; 1 if one of them has a finding."""
    asked = _parse(arguments)
    if asked.input is not None:
        for name in asked.targets:
            TARGETS[name].one(bytes.fromhex(asked.input))
        return 0
    for name in asked.targets:
        report = loop.run(TARGETS[name], seed=asked.seed, seconds=asked.seconds)
        print(f"{name}: {report.rounds} inputs, seed {asked.seed}", flush=True)
        if report.finding is not None:
            print(f"  {report.error!r}\n  repeat with: python -m fuzz {name} --input {report.finding.hex()}")
            return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Throw bytes at every decoder.")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"any of {', '.join(TARGETS)}; all of them if none"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target (10)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="the same inputs again")
    parser.add_argument("--input", metavar="HEX", help="run this one input, to see a finding's traceback")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    asked.targets = asked.targets or list(TARGETS)
    return asked


if __name__ == "__main__":
    sys.exit(main())
