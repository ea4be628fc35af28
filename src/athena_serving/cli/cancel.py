"""`athena cancel`: ends one session of a running server, by its admin port."""

from urllib.parse import quote

import click

from athena_serving.cli.sessions import ask
from athena_serving.cli.status import URL
from athena_serving.errors import UsageError


class NoSession(UsageError):
    """No session of this sid goes on."""

    exit_code = 1


# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena cancel ase00650001@dx1a21399257a0001182"""


@click.command(epilog=EXAMPLES)
@click.argument("sid")
@click.option("--url", default=URL, show_default=True, metavar="URL", help="The server's admin port.")
def command(*, sid: str, url: str) -> int:
    """End one session of a running server: its caller is told, its wrapper interrupted, its seat is free.

    `athena sessions` lists the sids. The exit code is 0, 1 if no session of this sid goes on, 69 if nobody answers.
    """
    if not ask(f"{url.rstrip('/')}/sessions/{quote(sid, safe='')}", "DELETE")["cancelled"]:
        raise NoSession(f"no session {sid}", where=url, help="`athena sessions` lists those that go on")
    click.echo(f"cancelled {sid}")
    return 0
