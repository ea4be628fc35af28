"""`python -m aiges`: ASF's commands for authors of wrappers, by their old names (wrapper.md 10)."""

from collections.abc import Sequence
from pathlib import Path

import click

from athena_serving.cli import create as projects
from athena_serving.cli import pack as archives
from athena_serving.cli.program import guard
from athena_serving.errors import UsageError

NAME = "python -m aiges"

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  python -m aiges create -n ocr
  python -m aiges pack -l ocr -o ocr.tar.gz"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(None, "-v", "--version", package_name="athena-serving", message="aiges %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """Old names for authors of wrappers. Serving is `athena serve`."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@program.command()
@click.option("-n", "--name", default="wrapperDemo", show_default=True, help="Name of the project and its service.")
@click.option("-p", "--path", default="./", show_default=True, metavar="FOLDER", help="Folder to make it in.")
def create(name: str, path: str) -> None:
    """Make a project: wrapper.py, its test picture, settings, README, Dockerfile."""
    for file in projects.create(name, Path(path)):
        click.echo(f"  {file}")
    click.echo(f"next: athena serve {Path(path) / name / 'wrapper'}")


@program.command()
@click.option("-l", "--location", default="./", show_default=True, metavar="FOLDER", help="Folder of the project.")
@click.option(
    "-o", "--output", default=f"./{archives.ARCHIVE_NAME}", show_default=True, metavar="FILE", help="Archive."
)
def pack(location: str, output: str) -> None:
    """Pack a project into a tar.gz, folders and all."""
    packed = archives.pack(Path(location), Path(output))
    for warning in packed.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{packed.archive}: {len(packed.files)} files, in their folders (ASF put them all side by side)")


@program.command()
def version() -> None:
    """Print the version."""
    # Not at the top: reading what is installed takes longer than the rest.
    from importlib import metadata  # noqa: PLC0415

    click.echo(f"aiges {metadata.version('athena-serving')}")


@program.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, metavar="[set|get] [KEY] [VALUE]")
def config(words: tuple[str, ...]) -> None:
    """Say where settings are kept now; ASF's stored nothing either."""
    where = " ".join(("config", *words))
    remedy = "settings are in athena.toml beside wrapper.py; `athena settings` shows them"
    raise UsageError("there is nothing to set or get", where=where, help=remedy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (by default the process's own) name; return the exit code."""
    return guard(lambda: program.main(arguments, prog_name=NAME, standalone_mode=False), NAME)
