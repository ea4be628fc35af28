"""`athena sessions`: the sessions of a running server, from its admin port."""

import json
import urllib.error
import urllib.request
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from athena_serving.cli.call import printable
from athena_serving.cli.status import URL, NobodyAnswers
from athena_serving.errors import UsageError

_SHORT: Final = 1000
_PATIENCE: Final = 5.0
"""Seconds that an answer may take: as many as the admin port gives a request."""


# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena sessions
  athena sessions --url http://10.0.0.7:1890 --json"""


@click.command(epilog=EXAMPLES)
@click.option("--url", default=URL, show_default=True, metavar="URL", help="The server's admin port.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def command(*, url: str, as_json: bool) -> int:
    """List the sessions that go on at a running server: WebSockets, event streams, collected streams.

    State `open`: the caller may send; `heard`: it has sent its last step. Quiet is the time since a step or a result
    last came. The exit code is 0, also when there is none; 69 if nobody answers.
    """
    found = ask(f"{url.rstrip('/')}/sessions", "GET")
    if as_json:
        click.echo(json.dumps(found))
        return 0
    sessions = found["sessions"]
    if not sessions:
        click.echo("no session goes on")
        return 0
    table = Table("sid", "service", "app", "state", *("seconds", "quiet", "steps in", "steps out"))
    for one in sessions:
        numbers = (f"{one['seconds']:.1f}", f"{one['quiet_seconds']:.1f}", str(one["steps_in"]), str(one["steps_out"]))
        names = (one["sid"], one["service"], one["app"], one["state"])
        table.add_row(*(Text(printable(cell)) for cell in (*names, *numbers)))
    Console(markup=False, highlight=False, soft_wrap=True).print(table)
    return 0


def ask(url: str, method: str) -> dict[str, Any]:
    """The admin port's answer. Raises NobodyAnswers."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"not an http address: {url}", where="flag --url", help="--url http://127.0.0.1:1890")
    request = urllib.request.Request(url, method=method)  # noqa: S310  # looked at above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_PATIENCE) as answer:
            body: dict[str, Any] = json.load(answer)
            return body
    except urllib.error.HTTPError as error:
        if error.code == 404 and b'"cancelled"' in error.read(_SHORT):
            return {"cancelled": False}
        raise NobodyAnswers(f"the server answered {error.code}", where=url, help="is it the admin port?") from None
    except (OSError, ValueError) as error:
        raise NobodyAnswers(
            f"nobody answers: {error}", where=url, help="`athena serve` says its admin port at the start"
        ) from None
