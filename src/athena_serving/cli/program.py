"""The program: its commands by name, and the one place where errors become words for a person."""

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from athena_serving.errors import UsageError

COMMANDS = {
    "new": "athena_serving.cli.new",
    "run": "athena_serving.cli.run",
    "serve": "athena_serving.cli.serve",
    "call": "athena_serving.cli.call",
    "status": "athena_serving.cli.status",
    "sessions": "athena_serving.cli.sessions",
    "cancel": "athena_serving.cli.cancel",
    "schema": "athena_serving.cli.schema",
    "settings": "athena_serving.cli.settings",
    "doctor": "athena_serving.cli.doctor",
    "completion": "athena_serving.cli.completion",
}
"""Module of each command; it holds a click command called `command`."""

BUG_EXIT = 70
"""EX_SOFTWARE of sysexits.h."""
INTERRUPT_EXIT = 130
"""128 + SIGINT, as shells say it."""


class Commands(click.Group):
    """The commands of `COMMANDS`, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Every command's name."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name. Raises UsageError, with the near name, if there is none."""
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing:  # a shell that completes: our words would stand in its prompt
                return None
            raise UsageError(f"no command {cmd_name}", help=_near_command(cmd_name, str(ctx.info_name)))
        command = importlib.import_module(COMMANDS[cmd_name]).command
        return command if isinstance(command, click.Command) else None


def _near_command(word: str, name: str) -> str:
    if word.endswith(".py") or os.sep in word:  # a path where the command should be
        return f"did you mean `{name} serve {word}`?"
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"did you mean `{name} {near[0]}`?" if near else f"commands: {', '.join(COMMANDS)}"


# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena new ocr
  athena run ./ocr
  athena serve ./ocr --reload
  athena call ocr -i image=@ocr/picture.png"""


@click.group(
    cls=Commands,
    epilog=EXAMPLES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="athena-serving", message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """Athena Serving: one file, wrapper.py, becomes a service."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (by default the process's own) name; return the exit code."""
    name = _program_name()
    return guard(lambda: program.main(arguments, prog_name=name, standalone_mode=False), name)


def guard(work: Callable[[], object], name: str) -> int:
    """Do a program's work at the process's edge, where errors become words; return the exit code.

    `name` is what the person typed. A result of `work` that is a whole number is the exit code.
    """
    try:
        result = work()
    except UsageError as error:
        return _tell(str(error), error.exit_code)
    except click.ClickException as error:
        return _tell(_click_text(error, name), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPT_EXIT
    except Exception as error:  # the process's edge: people get words, and a way to the traceback
        return _tell(_bug_text(error), BUG_EXIT)
    return result if isinstance(result, int) else 0


def _program_name() -> str:
    """`athena` or `asectl`, whichever was typed; under `python -m` there is no such word."""
    name = Path(sys.argv[0]).name
    return name if name == "asectl" else "athena"


def _tell(text: str, code: int) -> int:
    click.echo(f"error: {text}", err=True)
    return code


def _click_text(error: click.ClickException, name: str) -> str:
    message = error.format_message().strip().rstrip(".")
    message = message[:1].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message}\n  help: {context.command_path if context else name} --help"


def _bug_text(error: Exception) -> str:
    if os.environ.get("ATHENA_DEBUG") == "1":
        return f"this is our bug:\n{''.join(traceback.format_exception(error)).rstrip()}"
    remedy = "ATHENA_DEBUG=1 shows where; please report it with that"
    return f"this is our bug: {type(error).__name__}: {error}\n  help: {remedy}"
