"""The last step before a server: what the command line found worth saying goes to the log, then it runs."""

import logging
import sys
from collections.abc import Iterator, Sequence

from athena_serving.cli import loading
from athena_serving.kit import logs
from athena_serving.settings import Hosted, Serve
from athena_serving.settings.aiges import FILE_NAME, UNREAD

log = logging.getLogger("settings")


def run(chosen: Serve, *, warnings: Sequence[str] = (), notes: Sequence[str] = ()) -> int:
    """Serve until stopped; the exit code. Warnings and notes are lines for the log.

    Raises UsageError, as the supervisor does.
    """
    notes = [*notes, *(line for hosted in chosen.services for line in _remarks(hosted))]
    if warnings or notes:
        logs.setup(chosen.server.log_form(is_terminal=sys.stderr.isatty()), stream=logs.Unwaiting(2))
    for line in warnings:
        log.warning("%s", line)
    for line in notes:
        log.info("%s", line)
    # Not at the top: the notes are out before the server is imported, and tests put another in its place.
    from athena_serving.supervisor import service  # noqa: PLC0415

    with loading.shown(chosen):
        return service.run(chosen)


def _remarks(hosted: Hosted) -> Iterator[str]:
    """A line for each thing that became of keys; none for what had no effect in ASF either."""
    keys: dict[str, list[str]] = {}
    for remark in hosted.remarks:
        keys.setdefault(remark.outcome, []).append(remark.key)
    for outcome, names in keys.items():
        if outcome != UNREAD:
            yield f"{FILE_NAME}: {', '.join(names)}: {outcome}"
