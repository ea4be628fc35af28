"""One source of settings at a time, read into the same shape: name, checked value, origin.

Values are checked where they are read, so an error names the very file, variable or flag that must be mended, also
when a stronger source would have covered the mistake.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from athena_serving.errors import SettingsError, UsageError
from athena_serving.settings import catalogue
from athena_serving.settings.catalogue import CATALOGUE, SECTIONS, Setting


class Found(NamedTuple):
    """A value that a source gave."""

    value: object
    """Checked: what the field of the group holds."""
    origin: str
    """For people: `flag --port`, `environment ATHENA_SERVER_PORT`, a file's path."""


Values = Mapping[str, Found]
"""By setting; an open table is spread out, an entry each: `wrapper.log.level`."""


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def from_file(path: Path) -> Values:
    """What an athena.toml says. Raises SettingsError for what is no TOML, no setting or no value of it."""
    return checked(_walk(read_toml(path), "", where=str(path)), origin=str(path))


def read_toml(path: Path) -> dict[str, object]:
    """A file's tables. Raises UsageError for one that cannot be read, SettingsError for one that is no TOML."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(path, text, str(error)) from error


def read_text(path: Path) -> str:
    """A file's text. Raises UsageError for one that cannot be read, SettingsError for one that is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "it must be a file, and one that you may read"
        raise UsageError(f"cannot read {path.name}: {error.strerror}", where=str(path), help=remedy) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        remedy = f"save the file as UTF-8; byte {error.object[error.start]:#04x} is of another encoding"
        raise SettingsError(f"{path.name} is not UTF-8 text", where=_place(path, before), help=remedy) from error


_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
"""How tomllib ends its messages; errors have the place as numbers only since Python 3.14."""

_TOML_HELP = {
    "Cannot": "a key, and a [section], stands once: keep one of them",
    "Unescaped": "a backslash is written twice, or the text stands in single quotes: 'C:\\models'",
}
"""Help by the first word of tomllib's message."""


def _no_toml(path: Path, text: str, said: str) -> SettingsError:
    """The error for a file that is no TOML, with the place and what is most likely wrong there."""
    found = _TOML_PLACE.search(said)
    if found and found[1]:
        number, where = int(found[1]), f"{path}:{found[1]}:{found[2]}"
    else:
        number, where = text.rstrip().count("\n") + 1, _place(path, text.rstrip())
    message = said[: found.start()] if found else said
    remedy = _TOML_HELP.get(message.partition(" ")[0]) or _as_toml(text.split("\n")[number - 1])
    return SettingsError(f"{path.name} is not TOML: {message}", where=where, help=remedy)


def _as_toml(line: str) -> str:
    """How the line was probably meant."""
    key, _, value = (part.strip() for part in line.partition("#")[0].partition("="))
    if value in ("True", "False", "yes", "no", "on", "off"):
        return f"switches are true and false: {key} = {str(value in ('True', 'yes', 'on')).lower()}"
    if value and value[0] not in "\"'[{":
        return f"texts stand in double quotes: {key} = {json.dumps(value, ensure_ascii=False)}"
    return 'a line is [section], key = "text", key = 1 or key = true'


def _place(path: Path, before: str) -> str:
    """FILE:LINE:COLUMN of what comes after the text `before`; both count from 1."""
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def checked(pairs: Iterable[tuple[str, object]], *, origin: str) -> Values:
    """TOML values by setting. Raises SettingsError for one of the wrong kind, and for a setting named twice."""
    found: dict[str, Found] = {}
    for name, value in pairs:
        if name in found:
            raise SettingsError(f"{name} is set twice", where=origin, help="keep one of them")
        found[name] = check(name, value, origin)
    return found


def _walk(tables: Mapping[str, object], prefix: str, *, where: str) -> Iterator[tuple[str, object]]:
    for key, value in tables.items():
        name = prefix + key
        if name in catalogue.OPEN_TABLES:
            yield from flat(as_table(name, value, where=where), f"{name}.")
        elif name in SECTIONS:
            yield from _walk(as_table(name, value, where=where), f"{name}.", where=where)
        elif name in CATALOGUE:
            yield name, value
        elif isinstance(value, dict) or (isinstance(value, list) and not prefix):  # `[[apps]]` is a list
            raise catalogue.unknown_section(name, where=where)
        else:
            raise catalogue.unknown(name, where=where)


def as_table(name: str, value: object, *, where: str) -> dict[str, object]:
    """The value, if it is a table. Raises SettingsError."""
    if not isinstance(value, dict):
        raise SettingsError(f"{name} must be a table", where=where, help=f"write [{name}], once, on a line of its own")
    return value


def flat(entries: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    """Sub-tables joined by dots (wrapper.md 4.4); a quoted dotted key is the same thing already."""
    for key, value in entries.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


# ── environment ───────────────────────────────────────────────────────────────────────────────────


def from_environment(environ: Mapping[str, str]) -> Values:
    """What the variables that start with ATHENA_ say. Raises SettingsError for one that is no setting."""
    found: dict[str, Found] = {}
    for variable, word in environ.items():
        if not variable.startswith("ATHENA_") or variable in catalogue.FOREIGN_VARIABLES:
            continue
        if _is_service_link(variable, environ):
            continue
        name = _setting_of(variable)
        found[name] = _parse(name, word, origin=f"environment {variable}")
    return found


def _setting_of(variable: str) -> str:
    if variable in catalogue.CLOSED_VARIABLES:
        return catalogue.CLOSED_VARIABLES[variable]
    for prefix, table in catalogue.OPEN_VARIABLES.items():
        key = variable.removeprefix(prefix)
        if key and key != variable:
            # Variables are upper case by custom, keys of [wrapper] lower; those of [workers.env] are variables again.
            return f"{table}.{key.lower() if table == 'wrapper' else key}"
    raise catalogue.unknown_variable(variable)


_SERVICE_LINK = re.compile(r"(ATHENA\w*?)_(?:SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_\w+)")


def _is_service_link(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether it is Kubernetes speaking of a Service called `athena-...`.

    Every pod of the namespace is told of every Service in Docker's words: for one called `athena-server`, among
    others ATHENA_SERVER_SERVICE_HOST=10.0.0.11 and ATHENA_SERVER_PORT=tcp://10.0.0.11:1888.
    """
    match = _SERVICE_LINK.fullmatch(variable)
    if match is None or f"{match[1]}_SERVICE_HOST" not in environ:
        return False
    return variable not in catalogue.CLOSED_VARIABLES or "://" in environ[variable]


# ── flags ─────────────────────────────────────────────────────────────────────────────────────────


def from_flags(flags: Mapping[str, object]) -> Values:
    """What the command line says: values by setting (`server.port`), words under `set` (`server.port=0`).

    None is a flag that was not given. A string is a word, to be parsed; anything else is taken as TOML would.
    Raises SettingsError.
    """
    found: dict[str, Found] = {}
    for name, value in flags.items():
        if name == "set" or value is None:
            continue
        origin = f"flag {catalogue.FLAGS.get(name, name)}"
        found[name] = _parse(name, value, origin=origin) if isinstance(value, str) else check(name, value, origin)
    words = flags.get("set")
    for name, word in _pairs(words if isinstance(words, list | tuple) else ()):
        if name in found:
            raise SettingsError(f"{name} is set twice", where=f"{found[name].origin} and flag --set")
        found[name] = _parse(name, word, origin="flag --set")
    return found


def _pairs(words: Iterable[object]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, equals, value = str(word).partition("=")
        if not equals:
            raise SettingsError(f"{word} is no setting", where="flag --set", help="--set section.key=value")
        yield name.strip(), value


# ── one value ─────────────────────────────────────────────────────────────────────────────────────


def _parse(name: str, word: str, origin: str) -> Found:
    setting = catalogue.find(name, where=origin)
    try:
        value = setting.kind.parse(word)
    except ValueError:
        raise _misfit(name, setting, word, origin) from None
    return check(name, value, origin)


def check(name: str, value: object, origin: str, *, called: str = "") -> Found:
    """A TOML value as its setting holds it; `called` is the key's name in that source, where it is another.

    Raises SettingsError for no such setting, or no value of it.
    """
    setting = catalogue.find(name, where=origin)
    if setting.name == "workers.env" and not _VARIABLE.fullmatch(name.removeprefix("workers.env.")):
        raise SettingsError(f"{name} cannot be the name of an environment variable", where=origin)
    try:
        return Found(setting.kind.check(value), origin)
    except ValueError:
        raise _misfit(called or name, setting, value, origin) from None


_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _misfit(name: str, setting: Setting, value: object, origin: str) -> SettingsError:
    got = json.dumps(value, ensure_ascii=False, default=str)
    got = got if len(got) <= 60 else f"{got[:60]}..."
    return SettingsError(f"{name} must be {setting.kind.wanted}, not {got}", where=origin)
