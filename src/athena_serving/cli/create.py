"""A new project: the files that ASF's `aiges create` makes, and an athena.toml (wrapper.md 10)."""

import re
import struct
import zlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from athena_serving.errors import UsageError

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
    if not _NAME.fullmatch(name):
        remedy = "letters, digits, _, - and ., with a letter or digit first, 64 at most: it is a part of the URL"
        raise UsageError(f'"{name}" cannot be the name of a service', where="flag -n", help=remedy)
    root = folder / name
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise UsageError(f"{root} is there already", where=str(root.absolute()), help="choose another -n or -p")
    made = []
    for path, content in _contents(name):
        file = root / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", where=str(file)) from error
        made.append(file)
    return sorted(made)


def _contents(name: str) -> Iterator[tuple[str, bytes]]:
    templates = resources.files("athena_serving.cli") / "scaffold"
    for path, template in FILES.items():
        yield path, (templates / template).read_text(encoding="utf-8").replace("@NAME@", name).encode()
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
