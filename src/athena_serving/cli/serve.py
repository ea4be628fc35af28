"""`athena serve`: wrappers become services."""

import click

from athena_serving.cli import flags

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena serve
  athena serve ./wrapper.py --port 8000
  athena serve ./wrapper.py --reload
  athena serve ./ocr ./tts --workers 2 --config prod.toml
  athena serve ./ocr --set server.limits.body=128MiB --set wrapper.lang=zh"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@flags.setting_flags
def command(paths: tuple[str, ...], **words: object) -> int:
    """Serve each PATH: a wrapper.py, or a folder with one. Without a PATH: ./wrapper.py.

    The same settings come from flags, from the environment (ATHENA_SERVER_PORT=8000), from athena.toml beside the
    wrapper or in this folder; the first of these that has one wins. `athena settings` shows the outcome.
    """
    wrappers = flags.default_paths(paths)
    if not wrappers:
        raise flags.no_wrapper("serve")
    chosen = flags.load(wrappers, words)
    # Not at the top: a mistake in the settings, and --help, should not wait for the server to be imported.
    from athena_serving.cli import launch  # noqa: PLC0415

    return launch.run(chosen)
