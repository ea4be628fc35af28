"""The command line: `athena`, and `asectl` for those who know it by that name.

`main` is the process's edge: it runs a command, turns errors into words and an exit code. Commands are modules of
this room, imported only when named, since what one needs (tables, colour) must not weigh on the server of another.
"""

from athena_serving.cli.program import main

__all__ = ["main"]
