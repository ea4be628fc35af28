"""`athena completion`: what a shell runs so that Tab completes commands, flags and paths."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete


class Fish(FishComplete):
    """Click's, but for the words of help, which it cut at their first comma."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


SHELLS: dict[str, tuple[type[ShellComplete], str]] = {
    "bash": (BashComplete, "echo 'eval \"$({name} completion bash)\"' >> ~/.bashrc"),
    "zsh": (ZshComplete, "echo 'eval \"$({name} completion zsh)\"' >> ~/.zshrc"),
    "fish": (
        Fish,
        "mkdir -p ~/.config/fish/completions; {name} completion fish > ~/.config/fish/completions/{name}.fish",
    ),
}
"""Shell to the maker of its script, and the line that installs it."""

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena completion bash
  athena completion bash > athena.bash
  athena completion fish"""


@click.command(epilog=EXAMPLES)
@click.argument("shell", type=click.Choice([*SHELLS]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes Tab complete commands, flags and paths in SHELL, and how to install it.

    To have it in this shell only: eval "$(athena completion bash)".
    """
    root = context.find_root()
    name = root.info_name or "athena"
    maker, install = SHELLS[shell]
    script = maker(root.command, {}, name, f"_{name}_COMPLETE".upper()).source()
    click.echo(script.strip())
    # Last: zsh wants its own first line, and last is where a person looks.
    click.echo(f"# To install it: {install.format(name=name)}")
