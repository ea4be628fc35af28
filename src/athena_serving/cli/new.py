"""`athena new`: a project that works before its author has written a line."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import click

from athena_serving.cli import create
from athena_serving.errors import UsageError


class Template(NamedTuple):
    """One kind of project."""

    words: str
    """What its service does, for --help."""
    files: Mapping[str, str]
    """Its own files: name to what it is for."""
    next: tuple[tuple[str, str], ...]
    """Three commands to type after it was made, and what each does. @PATH@ is the project."""


_SHARED: Final = {
    "athena.toml": "settings, with comments; each has a default",
    "README.md": "how to try, serve and call it",
    "requirements.txt": "packages that it needs",
    "Dockerfile": "an image of it",
    ".gitignore": "what git should not keep",
}
"""Files of every project: name to what it is for."""

TEMPLATES: Final = {
    "once": Template(
        "one picture in, JSON with boxes out",
        {
            "wrapper.py": "the service: put your model here",
            "pixels.py": "reads PNG pictures; your image library takes its place",
            "picture.png": "input of the self-test and of the warm-up",
            "test_wrapper.py": "tests without a server: python -m pytest",
        },
        (
            ("athena run @PATH@", "tries it in one process"),
            ("athena serve @PATH@", "serves it; try-it page: http://127.0.0.1:1888/"),
            ("athena call @NAME@ -i image=@@PATH@/picture.png", "calls it, from another terminal"),
        ),
    ),
    "stream": Template(
        "sound in while it is recorded, lines out while it goes on",
        {
            "wrapper.py": "the service: put your model here",
            "sound.py": "finds what is loud; your model takes its place",
            "sound.wav": "input of the self-test and of the warm-up",
            "client.py": "streams a sound to it by WebSocket",
            "test_wrapper.py": "tests without a server: python -m pytest",
        },
        (
            ("athena run @PATH@", "tries it in one process"),
            ("athena serve @PATH@", "serves it; try-it page: http://127.0.0.1:1888/"),
            ("python @PATH@/client.py", "streams to it, from another terminal"),
        ),
    ),
    "batch": Template(
        "text in, JSON out; calls that come together are answered together",
        {
            "wrapper.py": "the service: put your model here",
            "nearest.py": "finds the most similar text; your model takes its place",
            "answers.csv": "what it knows",
            "test_wrapper.py": "tests without a server: python -m pytest",
        },
        (
            ("athena run @PATH@", "tries it in one process"),
            ("athena serve @PATH@", "serves it; try-it page: http://127.0.0.1:1888/"),
            ("athena call @NAME@ -i text=dogs", "calls it, from another terminal"),
        ),
    ),
    "proxy": Template(
        "hands calls on to an HTTP API, and translates its errors",
        {
            "wrapper.py": "the service: put your API here",
            "upstream.py": "stands for the API until then",
            "test_wrapper.py": "tests without a server: python -m pytest",
        },
        (
            ("python @PATH@/upstream.py", "runs what stands for the API; leave it running"),
            ("athena serve @PATH@", "serves it, from another terminal"),
            ("athena call @NAME@ -i text=hello", "calls it, from a third"),
        ),
    ),
}

DEFAULT: Final = "once"

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena new ocr
  athena new ears --template stream
  athena new ocr -p services"""

HELP = "\n\n".join(
    (
        "Make a project NAME that works at once: a wrapper, its test, settings, README, Dockerfile.",
        "NAME becomes the service's: the last part of its URL. Nothing is ever overwritten.",
        "\n".join(("\b", "Templates:", *(f"  {name:6}  {template.words}" for name, template in TEMPLATES.items()))),
    )
)


def _complete(_context: click.Context, _option: click.Parameter, typed: str) -> list[str]:
    return [name for name in TEMPLATES if name.startswith(typed)]


@click.command(epilog=EXAMPLES, help=HELP)
@click.argument("name")
@click.option(
    "--template",
    "kind",
    default=DEFAULT,
    show_default=True,
    metavar="|".join(TEMPLATES),
    shell_complete=_complete,
    help="What the service does.",
)
@click.option(
    "-p",
    "--path",
    default=".",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Folder to make it in. [this one]",
)
def command(name: str, kind: str, path: str) -> None:
    """Make the project, print what is in it and what to type next."""
    chosen = _chosen(kind)
    remedy = "choose another NAME, or another folder with -p"
    root = create.place(name, Path(path), said_by="argument NAME", remedy=remedy)
    create.write(root, _contents(name, kind))
    for line in _told(name, root, chosen):
        click.echo(line)


def _chosen(kind: str) -> Template:
    """The template of this name. Raises UsageError if there is none."""
    if kind in TEMPLATES:
        return TEMPLATES[kind]
    names = " or ".join(f"--template {name}" for name in TEMPLATES)
    raise UsageError(f"no template {kind}", where="flag --template", help=names)


def _contents(name: str, kind: str) -> Iterator[tuple[str, bytes]]:
    """Files of the project and what is in them."""
    for file in TEMPLATES[kind].files:
        # Ending in .in, so that no tool takes what has a name to be filled in for code.
        yield file, create.template(f"new/{kind}/{file}{'.in' if file.endswith('.py') else ''}", name)
    yield "athena.toml", create.template(f"new/{kind}/athena.toml", name)
    yield "README.md", create.template(f"new/{kind}/README.md", name)
    for file in ("requirements.txt", "Dockerfile"):
        yield file, create.template(f"new/{file}", name)
    yield ".gitignore", create.template("new/gitignore", name)  # with its dot it would rule here


def _told(name: str, root: Path, chosen: Template) -> Iterator[str]:
    """What was made, and what to type next."""
    files = {**chosen.files, **_SHARED}
    wide = max(map(len, files))
    yield f"{root}/"
    for number, (file, words) in enumerate(files.items(), start=1):
        yield f"{'└──' if number == len(files) else '├──'} {file:{wide}}  {words}"
    yield ""
    yield "next:"
    typed = [(_filled(line, name, root), words) for line, words in chosen.next]
    wide = max(len(line) for line, _ in typed)
    yield from (f"  {line:{wide}}  # {words}" for line, words in typed)


def _filled(line: str, name: str, root: Path) -> str:
    """A command line with the project's name and path in it, as a shell reads it."""
    words = (word.replace("@PATH@", str(root)).replace("@NAME@", name) for word in line.split())
    return shlex.join(words)
