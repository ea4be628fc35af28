"""`AIservice`: ASF's loader by its old name and flags, so that start commands of existing images work (wrapper.md 4.1).

    AIservice -m=0 -c=aiges.toml -s=svcName -u=http://companion:6868 -p=AIaaS -g=dx

It reads the file, says in the log what is done differently, and becomes `athena serve`.
"""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import click

from athena_serving import settings
from athena_serving.cli import asf, goflags, launch
from athena_serving.cli.goflags import Flag
from athena_serving.cli.program import guard
from athena_serving.errors import UsageError
from athena_serving.settings import Serve, aiges
from athena_serving.settings.sources import Found

FLAGS = {
    "m": Flag("0: start from a file; 1: ASF's configuration centre, not in this version", "MODE"),
    "c": Flag("settings file [aiges.toml]", "FILE"),
    "s": Flag("section of the file with the service's host and port [svcName]", "SECTION"),
    "init": Flag("write a default aiges.toml, if there is none, and end"),
    "u": Flag("address of ASF's configuration centre; accepted, not used", "URL"),
    "p": Flag("project there; accepted, not used", "PROJECT"),
    "g": Flag("group there; accepted, not used", "GROUP"),
    "dc": Flag("default configuration there; accepted, not used", "FILE"),
    "plugin": Flag("accepted, not used", "WORD"),
    "mnist": Flag("ASF's demo, which it downloads; not in this version"),
    "v": Flag("print the version and end"),
    "h": Flag("print this and end"),
}
UNUSED = ("u", "p", "g", "dc", "plugin")
"""Flags that have no effect: of ASF's configuration centre, and one that had none there."""

USAGE = f"""\
Usage: AIservice -m=0 [FLAG]...

Serves ./wrapper.py, or the one on PYTHONPATH, as ASF's loader did. `athena serve` is the same without the old names.

{goflags.usage(FLAGS)}

Environment: AIGES_PLUGIN_MODE (python or c), AIGES_ENV_NUMA (a node's number), AIGES_WRAPPER_VERSION.

Examples:
  AIservice -init
  AIservice -m=0
  AIservice -m=0 -c=aiges.toml -s=svcName"""


_NO_CENTRE = "this version has no configuration centre"


class Source(NamedTuple):
    """The file to start from."""

    path: Path
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `AIservice` with these arguments, by default the process's own; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    return guard(lambda: _run(given), "AIservice")


def _run(arguments: Sequence[str]) -> int:
    if not arguments:
        click.echo(USAGE)
        return 0
    try:
        flags, rest = goflags.parse(arguments, FLAGS)
    except UsageError as error:
        click.echo(f"error: {error}\n\n{USAGE}", err=True)
        return error.exit_code
    if flags.get("h"):
        click.echo(USAGE)
    elif flags.get("v"):
        click.echo(f"AIservice {version('athena-serving')}")
    elif flags.get("init"):
        click.echo(_written(asf.write_default(Path.cwd())))
    elif flags.get("mnist"):
        raise UsageError("there is no -mnist: nothing is downloaded", help="python -m aiges create makes an example")
    else:
        return _serve(flags, rest)
    return 0


def _serve(flags: Mapping[str, str], rest: Sequence[str]) -> int:
    mode = asf.plugin_mode(os.environ)
    source = _source(flags, Path.cwd())
    notes = [*source.notes, *_notes(flags, asf.pin(os.environ))]
    warnings = [*source.warnings]
    if rest:
        warnings.append(f"ignored, since flags end at the first word without a dash: {' '.join(rest)}")
    chosen = load(source.path, flags.get("s") or asf.SERVICE, environ=os.environ, cwd=Path.cwd(), mode=mode)
    if chosen.origins["server.host"] == "default":
        warnings.append(
            'no http_listen in [wrapper]: only this machine can call; http_listen = "0.0.0.0:1888" opens it'
        )
    return launch.run(chosen, warnings=warnings, notes=notes)


def load(path: Path, service: str, *, environ: Mapping[str, str], cwd: Path, mode: str) -> Serve:
    """What to serve, as an aiges.toml says it; an athena.toml and ATHENA_ variables are stronger.

    Raises UsageError if there is no wrapper, SettingsError for anything wrong in the file.
    """
    document = aiges.read(path, folder=cwd)
    # ASF has no queue: who finds no instance free is told at once (wrapper.md 5.1); over HTTP it waits 120 s (5.2).
    own = {"workers.queue": 0, "server.limits.call_timeout": 120.0}
    beneath = {name: Found(value, "AIservice") for name, value in own.items()}
    beneath.update(asf.version(environ))
    beneath.update({**aiges.for_service(document), **aiges.for_server(document, service)})
    wrapper = asf.find_wrapper(environ, cwd, mode=mode)
    chosen = settings.load((wrapper,), config=None, environ=environ, flags={}, cwd=cwd, beneath=beneath)
    # Paths in old wrappers start where AIservice did, not beside a wrapper.py that PYTHONPATH leads to.
    hosted = replace(chosen.services[0], directory=cwd, remarks=aiges.remarks(document, listens=True))
    return replace(chosen, services=(hosted,))


def _source(flags: Mapping[str, str], cwd: Path) -> Source:
    mode, name = flags.get("m", ""), flags.get("c", "")
    path = cwd / (name or aiges.FILE_NAME)
    match mode:
        case "" | "0":
            notes = [] if mode else ["no -m: started from a file, as -m=0 does"]
            if path == cwd / aiges.FILE_NAME and asf.write_default(cwd):
                notes.append(_written(is_new=True))
            if not path.is_file():
                remedy = f"AIservice -init writes {aiges.FILE_NAME}"
                raise UsageError(f"no such file: {path.name}", where="flag -c", help=remedy)
            return Source(path, tuple(notes))
        case "1" if name and path.is_file():
            return Source(path, warnings=(f"-m=1: {_NO_CENTRE}; started from {path} instead",))
        case "1":
            remedy = (
                "start from a file: AIservice -m=0 -c=aiges.toml; -u, -p, -g, -s say where in the centre -c is,"
                " and a centre (`athena center`) comes with a later version"
            )
            raise UsageError(_NO_CENTRE, where="flag -m=1", help=remedy)
        case _:
            raise UsageError(f"there is no mode {mode}", where="flag -m", help="AIservice -m=0 starts from a file")


def _written(is_new: bool) -> str:
    return f"{aiges.FILE_NAME} is written" if is_new else f"{aiges.FILE_NAME} is there already, and stays as it is"


def _notes(flags: Mapping[str, str], processors: Collection[int]) -> Iterator[str]:
    unused = [f"-{name}" for name in UNUSED if flags.get(name)]
    if unused:
        yield f"without effect: {', '.join(unused)}; they are for ASF's configuration centre, which is not asked"
    if processors:
        yield f"on processors {', '.join(map(str, sorted(processors)))}, as AIGES_ENV_NUMA says"


if __name__ == "__main__":
    sys.exit(main())
