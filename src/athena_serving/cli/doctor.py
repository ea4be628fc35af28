"""`athena doctor`: the settings in force that are no defaults, and what of this machine a server would stumble over."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from athena_serving.cli import flags, waiting
from athena_serving.cli import settings as shown
from athena_serving.cli.checks import Finding, Outcome, examine
from athena_serving.cli.facts import gather
from athena_serving.cli.settings import Row
from athena_serving.settings import Serve

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena doctor
  athena doctor ./ocr --load
  athena doctor ./ocr ./tts --workers 4 --json"""

_STYLES: Final = {Outcome.OK: "green", Outcome.WARN: "yellow", Outcome.FAIL: "bold red"}


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option("--load", "loads", is_flag=True, help="Import each wrapper too, in a process of its own.")
@flags.setting_flags
def command(paths: tuple[str, ...], *, as_json: bool, loads: bool, **words: object) -> int:
    """Check this machine and these settings, as `athena serve` with the same arguments would meet them.

    Nothing is changed, and without --load no code of yours is run. The exit code is 1 if a check fails; warnings leave
    it 0.
    """
    chosen = flags.load(flags.default_paths(paths), words)
    with waiting.sign("loading the wrappers" if loads else "looking around", is_wanted=not as_json):
        facts = gather(chosen, loads=loads)
    findings = examine(facts, chosen)
    if as_json:
        click.echo(json.dumps(as_document(chosen, findings), ensure_ascii=False, indent=2))
    else:
        console = Console(markup=False, highlight=False)
        for title, rows in chosen_rows(chosen):
            console.print(_settings(title, rows))
        console.print(_checks(findings))
    return 1 if any(finding.outcome is Outcome.FAIL for finding in findings) else 0


def chosen_rows(chosen: Serve) -> Iterator[tuple[str, list[Row]]]:
    """The settings that somebody chose: the server's, then each service's."""
    places = [("server", shown.server_rows(chosen))]
    places += [(str(hosted.path), shown.service_rows(hosted)) for hosted in chosen.services]
    for title, rows in places:
        yield title, [row for row in rows if row.origin != "default"]


def as_document(chosen: Serve, findings: Sequence[Finding]) -> dict[str, object]:
    """All of it as one value for JSON.

    `{"ok", "settings": {"server" or PATH: {NAME: {"value", "origin"}}}, "checks": [{"check", "outcome", "found",
    "advice"}]}`; of the settings those that are no defaults.
    """
    return {
        "ok": all(finding.outcome is not Outcome.FAIL for finding in findings),
        "settings": {
            title: {row.name: {"value": row.value, "origin": row.origin} for row in rows}
            for title, rows in chosen_rows(chosen)
        },
        "checks": [{**finding._asdict(), "outcome": finding.outcome.value} for finding in findings],
    }


def _settings(title: str, rows: Sequence[Row]) -> Table | Text:
    if not rows:
        return Text(f"{title}: every setting has its default\n")
    table = Table(title=f"{title}: not the default", title_justify="left")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for row in rows:
        table.add_row(row.name, row.shown, row.origin)
    return table


def _checks(findings: Sequence[Finding]) -> Table:
    table = Table(title="checks", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for check, outcome, found, advice in findings:
        words = f"{found}\n→ {advice}" if advice else found
        table.add_row(check, Text(outcome.value, style=_STYLES[outcome]), words)
    return table
