"""What every setting is called in each source, and which name was meant by one that does not exist.

A setting has one name, `server.limits.body`; the others follow from it: the table and key of athena.toml, and
`ATHENA_SERVER_LIMITS_BODY`. A few have a flag of their own; the rest go by `--set server.limits.body=1MiB`.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import get_type_hints

from athena_serving.errors import SettingsError
from athena_serving.settings.groups import Batch, Limits, Server, Service, Stream, Workers
from athena_serving.settings.kinds import ENTRY, Kind

SECTIONS: Mapping[str, type[Server | Limits | Service | Workers | Batch | Stream]] = {
    "server": Server,
    "server.limits": Limits,
    "service": Service,
    "workers": Workers,
    "batch": Batch,
    "stream": Stream,
}
"""Tables of athena.toml with a fixed set of keys."""

OPEN_TABLES = ("wrapper", "workers.env")
"""Tables of strings with whatever keys the user likes."""

FLAGS = {
    "server.host": "--host",
    "server.port": "--port",
    "server.admin_port": "--admin-port",
    "workers.count": "--workers",
    "workers.seats": "--seats",
    "workers.queue": "--queue",
    "server.log": "--log",
    "server.reload": "--reload",
}
"""Settings that have a flag of their own."""

LATER = ("loader", "gateway", "center", "apps", "pipeline", "forward")
"""Sections that the design has and this version does not: refused, so that nobody believes they work."""
LATER_KEYS = ("service.inputs", "service.parameters", "service.outputs", "server.tls")
"""The same, for keys."""

SEE = "`athena settings` lists what there is"
"""The help where no name is near."""

FOREIGN_VARIABLES = ("ATHENA_WORKER", "ATHENA_SPAWN", "ATHENA_DEBUG", "ATHENA_CALL_KEY", "ATHENA_CALL_SECRET")
"""ATHENA_ variables that are no settings: a worker's number, set for user code; the mark by which what it starts is
found; tracebacks of the command line; what `athena call` signs with."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting's names, kind and default. An open table is one setting, with the kind of its values."""

    name: str
    kind: Kind
    default: object

    @property
    def section(self) -> str:
        """The table of athena.toml: `server.limits`."""
        return self.name.rpartition(".")[0]

    @property
    def key(self) -> str:
        """The key in that table, and the field's name: `body`."""
        return self.name.rpartition(".")[2]

    @property
    def environ(self) -> str:
        """Its environment variable; for an open table, the start of it."""
        variable = "ATHENA_" + self.name.upper().replace(".", "_")
        return f"{variable}_" if self.is_open else variable

    @property
    def is_open(self) -> bool:
        """Whether it is a table of strings with whatever keys."""
        return self.name in OPEN_TABLES


def _settings() -> Iterator[Setting]:
    for section, group in SECTIONS.items():
        hints, defaults = get_type_hints(group, include_extras=True), group()
        for field in fields(group):
            (kind,) = (item for item in hints[field.name].__metadata__ if isinstance(item, Kind))
            yield Setting(f"{section}.{field.name}", kind, getattr(defaults, field.name))
    yield Setting("wrapper", ENTRY, {})


CATALOGUE: Mapping[str, Setting] = {setting.name: setting for setting in _settings()}
"""Every setting by its name, in the order of the groups."""

CLOSED_VARIABLES = {setting.environ: setting.name for setting in CATALOGUE.values() if not setting.is_open}
OPEN_VARIABLES = {setting.environ: setting.name for setting in CATALOGUE.values() if setting.is_open}


def find(name: str, *, where: str) -> Setting:
    """The setting of this name; `wrapper.log.level` is an entry of `wrapper`.

    Raises SettingsError, with the near name, if there is none.
    """
    if name in CATALOGUE and not CATALOGUE[name].is_open:
        return CATALOGUE[name]
    for table in OPEN_TABLES:
        if name.startswith(f"{table}.") and name != f"{table}.":
            return CATALOGUE[table]
    raise unknown(name, where=where)


def unknown(name: str, *, where: str) -> SettingsError:
    """The error for a key that is no setting."""
    if _is_later(name):
        return _later(name, where=where)
    if name in SECTIONS:
        keys = ", ".join(setting.key for setting in CATALOGUE.values() if setting.section == name)
        return SettingsError(f"{name} is a section, not a setting", where=where, help=f"its settings: {keys}")
    near = _near_setting(name)
    return SettingsError(f"unknown setting {name}", where=where, help=f"did you mean {near}?" if near else SEE)


def unknown_section(section: str, *, where: str) -> SettingsError:
    """The error for a table that is no section."""
    if _is_later(section):
        return _later(section, where=where)
    near = difflib.get_close_matches(section, [*SECTIONS, *OPEN_TABLES], n=1)
    tables = ", ".join(f"[{table}]" for table in (*SECTIONS, *OPEN_TABLES))
    remedy = f"did you mean [{near[0]}]?" if near else f"the sections are {tables}"
    return SettingsError(f"unknown section [{section}]", where=where, help=remedy)


def unknown_variable(variable: str) -> SettingsError:
    """The error for an ATHENA_ variable that is no setting."""
    section = variable.removeprefix("ATHENA_").partition("_")[0].lower()
    where = f"environment {variable}"
    if _is_later(section):
        return _later(section, where=where)
    names = [*CLOSED_VARIABLES, *(f"{prefix}..." for prefix in OPEN_VARIABLES)]
    end = "_" + variable.rpartition("_")[2]
    near = difflib.get_close_matches(variable, names, n=1) or [name for name in names if name.endswith(end)]
    remedy = f"did you mean {near[0]}?" if near else f"unset it: names that start with ATHENA_ are settings; {SEE}"
    return SettingsError(f"unknown variable {variable}", where=where, help=remedy)


def _is_later(name: str) -> bool:
    return name in LATER_KEYS or name.partition(".")[0] in LATER


def _later(name: str, *, where: str) -> SettingsError:
    thing = name if name in LATER_KEYS else f"[{name.partition('.')[0]}]"
    return SettingsError(f"this version does not have {thing} yet", where=where, help="remove it")


def _near_setting(name: str) -> str:
    """What was probably meant: another section's key of that name, else one spelt alike, else none.

    A key that several sections have is named with all of them, unless the section is one of these.
    """
    section, _, key = name.rpartition(".")
    everywhere: dict[str, list[Setting]] = {}
    for setting in CATALOGUE.values():
        everywhere.setdefault(setting.key, []).append(setting)
    here = {setting.key: setting for setting in CATALOGUE.values() if setting.section == section}
    # Only keys are compared: a common section would make any two names look alike.
    near = [key] if key in everywhere else []
    near = near or difflib.get_close_matches(key, here, n=1) or difflib.get_close_matches(key, everywhere, n=1)
    if not near:
        return ""
    meant = everywhere[near[0]]
    meant = [setting for setting in meant if setting.section == section] or meant
    return " or ".join(f"{setting.name}.KEY" if setting.is_open else setting.name for setting in meant)
