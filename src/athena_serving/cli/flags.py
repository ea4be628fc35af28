"""Flags that commands share: those of settings, and what to serve.

They are words here; `settings` parses and checks them, so that a wrong flag reads like a wrong line of a file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from athena_serving import settings
from athena_serving.errors import UsageError
from athena_serving.settings.catalogue import FLAGS
from athena_serving.settings.loading import WRAPPER_NAME

Command = TypeVar("Command", bound=Callable[..., object])

_HELP = {
    "server.host": ("ADDRESS", "Address to listen on. [127.0.0.1: this machine only]"),
    "server.port": ("PORT", "Port for calls; 0 takes a free one. [1888]"),
    "server.admin_port": ("PORT", "Port for probes, metrics and control. [1890]"),
    "workers.count": ("N", "Processes that run the wrapper. [1]"),
    "workers.seats": ("N", "Calls that user code runs at once in one worker. [1]"),
    "workers.queue": ("N", "Calls that may wait; 0 refuses when every seat is taken. [256]"),
    "server.log": ("human|json", "Form of the log. [human on a terminal, else json]"),
    "server.reload": ("", "After an edit, start new workers and then end the old."),
}
"""What stands for the value of each flag, which is empty for a switch, and its line of help."""


def setting_flags(command: Command) -> Command:
    """Add the flags of settings to a command; it gets them as `**words`, to hand to `load`."""
    # A switch that is not given must not say "off": that would win over the environment and the files.
    options = [
        click.option(FLAGS[name], metavar=metavar or None, is_flag=not metavar, default=None, help=text)
        for name, (metavar, text) in _HELP.items()
    ]
    options.append(
        click.option(
            "--config", metavar="FILE", type=click.Path(), help="Settings file. [./athena.toml, if there is one]"
        )
    )
    options.append(
        click.option("--set", multiple=True, metavar="SECTION.KEY=VALUE", help="Any other setting; repeat as needed.")
    )
    for option in reversed(options):
        command = option(command)
    return command


def load(paths: tuple[str, ...], words: dict[str, object]) -> settings.Serve:
    """The settings of this process's flags, environment and working directory."""
    flags = {name: words[_parameter(flag)] for name, flag in FLAGS.items()}
    config = words["config"]
    return settings.load(
        paths,
        config=Path(config) if isinstance(config, str) else None,
        environ=os.environ,
        flags={**flags, "set": words["set"]},
        cwd=Path.cwd(),
    )


def _parameter(flag: str) -> str:
    """Click's name for the value of a flag."""
    return flag.removeprefix("--").replace("-", "_")


def default_paths(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The given paths, else `wrapper.py` of the working directory, else nothing."""
    return paths or ((WRAPPER_NAME,) if Path(WRAPPER_NAME).is_file() else ())


def no_wrapper(command: str) -> UsageError:
    """The error for a command that needs a wrapper and was told of none."""
    remedy = f"name a wrapper.py or its folder: athena {command} ./wrapper.py"
    return UsageError(f"nothing to serve: no {WRAPPER_NAME} in this folder", where=str(Path.cwd()), help=remedy)
