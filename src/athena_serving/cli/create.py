"""A new project: the files that ASF's `aiges create` makes, and an athena.toml (wrapper.md 10).

`athena new` makes others, by the same steps: see `place`, `template` and `write`.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from athena_serving.errors import UsageError
from athena_serving.wire import meta

FILES: Final = {
    "Dockerfile": "Dockerfile",
    "README.md": "README.md",
    "requirements.txt": "requirements.txt",
    "wrapper/wrapper.py": "wrapper.py.in",
    "wrapper/athena.toml": "athena.toml",
}
"""Template of each file of a project."""
PICTURE: Final = "wrapper/test_data/test.png"
SIDE: Final = 32  # pixels of the picture
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def create(name: str, folder: Path) -> list[Path]:
    """Make the project `name` in a folder of that name below `folder`; the files, in the order of their names.

    Raises UsageError for a name that cannot be a service's, and for a place that is taken or cannot be written.
    """
    return write(place(name, folder, said_by="flag -n", remedy="choose another -n or -p"), _contents(name))


def place(name: str, folder: Path, *, said_by: str, remedy: str) -> Path:
    """The folder for a new project, which is not there yet, or empty.

    `said_by`: what the name was given with; `remedy`: what helps where the folder is taken. Raises UsageError for a
    name that cannot be a service's, and for a folder with anything in it.
    """
    if not _NAME.fullmatch(name):
        rules = "letters, digits, _, - and ., with a letter or digit first, 64 at most: it is a part of the URL"
        raise UsageError(f'"{name}" cannot be the name of a service', where=said_by, help=rules)
    if name in meta.RESERVED:
        raise UsageError(
            f'"{name}" cannot be the name of a service', where=said_by, help="that path is the server's own"
        )
    root = folder / name
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise UsageError(f"{root} is there already", where=str(root.absolute()), help=remedy)
    return root


def write(root: Path, contents: Iterable[tuple[str, bytes]]) -> list[Path]:
    """Write files, by their names below `root`; their paths, in the order of their names. Raises UsageError."""
    made = []
    for name, content in contents:
        file = root / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise UsageError(f"cannot write {name}: {error.strerror}", where=str(file)) from error
        made.append(file)
    return sorted(made)


def template(path: str, name: str) -> bytes:
    """A file of the scaffold for the project `name`; `path` is below cli/scaffold."""
    content = resources.files("athena_serving.cli").joinpath("scaffold", *path.split("/")).read_bytes()
    return content.replace(b"@NAME@", name.encode())  # no picture has this in it


def _contents(name: str) -> Iterator[tuple[str, bytes]]:
    for path, source in FILES.items():
        yield path, template(source, name)
    yield PICTURE, picture()


def picture() -> bytes:
    """A small PNG: colours from corner to corner."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(SIDE) for value in (x * 255 // SIDE, y * 255 // SIDE, 128))
        for y in range(SIDE)
    )
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)  # 8 bits, red-green-blue
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, data = chunk
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
