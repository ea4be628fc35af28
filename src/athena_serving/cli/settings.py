"""`athena settings`: what would hold, and where each value is from."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table

from athena_serving.cli import flags
from athena_serving.settings import Batch, Hosted, Limits, Serve, Server, Service, Stream, Workers
from athena_serving.settings.aiges import FILE_NAME
from athena_serving.settings.catalogue import CATALOGUE
from athena_serving.settings.kinds import ENTRY

Group = Server | Limits | Service | Workers | Batch | Stream


class Row(NamedTuple):
    """One setting in force."""

    name: str
    value: object
    shown: str
    """The value as athena.toml would have it."""
    origin: str


# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena settings
  athena settings ./wrapper.py --workers 2
  athena settings --json ./ocr ./tts"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@flags.setting_flags
def command(paths: tuple[str, ...], *, as_json: bool, **words: object) -> None:
    """Show every setting, its value, and where it is from, as `athena serve` with the same arguments would see them."""
    chosen = flags.load(flags.default_paths(paths), words)
    if as_json:
        click.echo(json.dumps(as_document(chosen), ensure_ascii=False, indent=2))
        return
    console = Console(markup=False, highlight=False)
    console.print(_table("server", server_rows(chosen)))
    for hosted in chosen.services:
        console.print(_table(str(hosted.path), service_rows(hosted)))
        if hosted.remarks:
            console.print(_remarks(hosted))
    if not chosen.services:
        console.print("No wrapper.py here; name one to see [service], [workers], [batch], [stream] and [wrapper].")


def server_rows(chosen: Serve) -> Iterator[Row]:
    """What holds for the server."""
    return _rows({"server": chosen.server, "server.limits": chosen.limits}, {}, chosen.origins)


def service_rows(hosted: Hosted) -> Iterator[Row]:
    """What holds for one service."""
    tables = {"workers.env": hosted.workers.env, "wrapper": hosted.wrapper}
    groups: Mapping[str, Group] = {
        "service": hosted.service,
        "workers": hosted.workers,
        "batch": hosted.batch,
        "stream": hosted.stream,
    }
    return _rows(groups, tables, hosted.origins)


def _rows(
    groups: Mapping[str, Group], tables: Mapping[str, Mapping[str, str]], origins: Mapping[str, str]
) -> Iterator[Row]:
    for setting in CATALOGUE.values():
        if setting.section in groups and not setting.is_open:
            value: object = getattr(groups[setting.section], setting.key)
            yield Row(setting.name, value, setting.kind.show(value), origins[setting.name])
    for table, entries in tables.items():
        for key, text in entries.items():
            yield Row(f"{table}.{key}", text, ENTRY.show(text), origins[f"{table}.{key}"])


def as_document(chosen: Serve) -> dict[str, object]:
    """All rows as one value for JSON: `{"server": ROWS, "services": [{"path", "settings": ROWS, "remarks"}]}`.

    ROWS are `{NAME: {"value", "origin"}}`; remarks say what became of the keys of an aiges.toml without effect.
    """
    services = [
        {"path": str(one.path), "settings": _entries(service_rows(one)), "remarks": dict(one.remarks)}
        for one in chosen.services
    ]
    return {"server": _entries(server_rows(chosen)), "services": services}


def _entries(rows: Iterator[Row]) -> dict[str, dict[str, object]]:
    return {row.name: {"value": row.value, "origin": row.origin} for row in rows}


def _table(title: str, rows: Iterator[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for row in rows:
        table.add_row(row.name, row.shown, row.origin, style=None if row.origin == "default" else "bold")
    return table


def _remarks(hosted: Hosted) -> Table:
    table = Table(title=f"without effect in {hosted.directory / FILE_NAME}", title_justify="left")
    table.add_column("key", overflow="fold")
    table.add_column("what became of it", overflow="fold")
    for key, outcome in hosted.remarks:
        table.add_row(key, outcome)
    return table
