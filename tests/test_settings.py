"""Settings: which source wins, what is refused, and in which words."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving import settings
from athena_serving.errors import SettingsError, UsageError
from athena_serving.settings import Serve, aiges
from athena_serving.settings.catalogue import CATALOGUE, Setting
from athena_serving.settings.groups import is_loopback
from athena_serving.settings.kinds import parse_size, show_size, stringify
from athena_serving.settings.sources import Found


class Desk:
    """A working directory with a wrapper in `ocr/`, and short words for loading settings in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("ocr/wrapper.py", "")

    def write(self, name: str, text: str) -> Path:
        """Create a file below the working directory."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(
        self,
        *paths: str,
        config: str | None = None,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
    ) -> Serve:
        """Load with `ocr` as the only wrapper unless told otherwise."""
        return settings.load(
            paths or ("ocr",),
            config=Path(config) if config else None,
            environ=environ or {},
            flags=flags or {},
            cwd=self.folder,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty working directory, but for `ocr/wrapper.py`."""
    return Desk(tmp_path)


# ── which one wins ────────────────────────────────────────────────────────────────────────────────


def test_nothing_said_is_defaults(desk: Desk) -> None:
    """Without any source every group is its default, and says so."""
    serve = desk.load()
    (hosted,) = serve.services
    assert (serve.server, serve.limits) == (settings.Server(), settings.Limits())
    assert (hosted.service, hosted.workers, hosted.wrapper) == (settings.Service(), settings.Workers(), {})
    assert set(serve.origins.values()) | set(hosted.origins.values()) == {"default"}
    assert (hosted.path, hosted.directory) == (desk.folder / "ocr" / "wrapper.py", desk.folder / "ocr")


def test_every_setting_has_an_origin(desk: Desk) -> None:
    """Server and service together give the origin of every setting but the open tables."""
    serve = desk.load()
    names = {name for name, setting in CATALOGUE.items() if not setting.is_open}
    assert set(serve.origins) | set(serve.services[0].origins) == names


def test_flag_beats_environment_beats_file(desk: Desk) -> None:
    """The stronger source wins, and the value's origin names it."""
    file = desk.write("athena.toml", "[server]\nport = 1\nhost = 'localhost'\nadmin_port = 3\n")
    serve = desk.load(
        environ={"ATHENA_SERVER_PORT": "2", "ATHENA_SERVER_ADMIN_PORT": "4"}, flags={"server.admin_port": 5}
    )
    assert (serve.server.host, serve.server.port, serve.server.admin_port) == ("localhost", 2, 5)
    assert serve.origins["server.host"] == str(file)
    assert serve.origins["server.port"] == "environment ATHENA_SERVER_PORT"
    assert serve.origins["server.admin_port"] == "flag --admin-port"


def test_file_nearest_to_the_wrapper_wins(desk: Desk) -> None:
    """The file beside a wrapper covers the server's file, key by key, for its service only."""
    desk.write("tts/wrapper.py", "")
    desk.write("athena.toml", "[workers]\ncount = 2\nseats = 3\n[wrapper]\na = 'far'\nb = 'far'\n")
    desk.write("ocr/athena.toml", "[workers]\ncount = 4\n[wrapper]\na = 'near'\n")
    ocr, tts = desk.load("ocr", "tts").services
    assert (ocr.workers.count, ocr.workers.seats, ocr.wrapper) == (4, 3, {"a": "near", "b": "far"})
    assert (tts.workers.count, tts.workers.seats, tts.wrapper) == (2, 3, {"a": "far", "b": "far"})


def test_one_file_may_be_both(desk: Desk) -> None:
    """With the wrapper in the working directory, all sections of the one file count."""
    desk.write("wrapper.py", "")
    desk.write("athena.toml", "[server]\nport = 9\n[service]\nname = 'ocr'\n")
    serve = desk.load("wrapper.py")
    assert (serve.server.port, serve.services[0].service.name) == (9, "ocr")


def test_config_takes_the_place_of_the_working_directory_file(desk: Desk) -> None:
    """With --config the working directory's [server] is not read, but it may lie beside its wrapper."""
    desk.write("wrapper.py", "")
    desk.write("athena.toml", "[server]\nport = 9\n[service]\nname = 'ocr'\n")
    desk.write("prod/any.toml", "[server]\nhost = '::1'\n")
    serve = desk.load("wrapper.py", config="prod/any.toml")
    assert (serve.server.port, serve.server.host, serve.services[0].service.name) == (1888, "::1", "ocr")


def test_set_reaches_every_setting(desk: Desk) -> None:
    """`--set` takes any setting, with the words of its kind."""
    words = [
        "server.limits.body=1MiB",
        "workers.devices=0,1;2,3",
        "workers.warmup=off",
        "wrapper.url=a=b",
        "server.port=0",
    ]
    serve = desk.load(flags={"set": words})
    (hosted,) = serve.services
    assert (serve.limits.body, serve.server.port) == (1024**2, 0)
    assert (hosted.workers.devices, hosted.workers.warmup) == (("0,1", "2,3"), False)
    assert (hosted.wrapper, hosted.origins["wrapper.url"]) == ({"url": "a=b"}, "flag --set")


def test_flags_not_given_say_nothing(desk: Desk) -> None:
    """None stands for a flag that was not given."""
    assert desk.load(flags={"server.port": None, "set": ()}).origins["server.port"] == "default"


@pytest.mark.parametrize(
    "setting", [setting for setting in CATALOGUE.values() if not setting.is_open], ids=lambda setting: setting.name
)
def test_every_setting_is_read_back_from_its_variable(desk: Desk, setting: Setting) -> None:
    """The default of every setting, put into its variable, is read as the same value."""
    word = ",".join(setting.default) if isinstance(setting.default, tuple) else str(setting.default)
    serve = desk.load(environ={setting.environ: word})
    (hosted,) = serve.services
    assert (serve.server, serve.limits) == (settings.Server(), settings.Limits())
    assert (hosted.service, hosted.workers) == (settings.Service(), settings.Workers())
    assert {**serve.origins, **hosted.origins}[setting.name] == f"environment {setting.environ}"


def test_tables_of_strings_come_from_the_environment_too(desk: Desk) -> None:
    """An entry of [wrapper] is lower case there, one of [workers.env] is as it stands."""
    (hosted,) = desk.load(environ={"ATHENA_WRAPPER_LOG_LEVEL": "debug", "ATHENA_WORKERS_ENV_Omp": "1"}).services
    assert hosted.wrapper == {"log_level": "debug"}
    assert hosted.workers.env == {"Omp": "1"}


# ── [wrapper] ─────────────────────────────────────────────────────────────────────────────────────


def test_wrapper_values_become_strings(desk: Desk) -> None:
    """Every scalar becomes the text that ASF gave; sub-tables are joined by dots (wrapper.md 4.4)."""
    desk.write(
        "ocr/athena.toml",
        "[wrapper]\nword = 'x y'\nint = -10\nyes = true\nwhole = 2.0\nsmall = 1e-5\nbig = 1e22\nthird = 0.1\n"
        "none = nan\nmore = inf\n\"log.level\" = 'debug'\n[wrapper.deep.er]\nkey = false\n",
    )
    assert desk.load().services[0].wrapper == {
        "word": "x y",
        "int": "-10",
        "yes": "true",
        "whole": "2",
        "small": "0.00001",
        "big": "10000000000000000000000",
        "third": "0.1",
        "none": "NaN",
        "more": "+Inf",
        "log.level": "debug",
        "deep.er.key": "false",
    }


@pytest.mark.parametrize("value", ["[1]", "2024-01-01", "12:00:00", "[]"])
def test_wrapper_values_without_a_text_are_refused(desk: Desk, value: str) -> None:
    """Arrays and dates have no text."""
    desk.write("ocr/athena.toml", f"[wrapper]\nkey = {value}\n")
    with pytest.raises(SettingsError, match=r"wrapper\.key must be a string"):
        desk.load()


def test_an_entry_set_twice_is_refused(desk: Desk) -> None:
    """A dotted key and a sub-table that say the same contradict each other."""
    desk.write("ocr/athena.toml", "[wrapper]\n\"a.b\" = '1'\n[wrapper.a]\nb = '2'\n")
    with pytest.raises(SettingsError, match=r"wrapper\.a\.b is set twice"):
        desk.load()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_exact_and_without_exponent(value: float) -> None:
    """A wrapper that parses the text has the very number of the file."""
    text = stringify(value)
    assert float(text) == value
    assert "e" not in text
    assert not text.endswith(".0")


# ── aiges.toml ────────────────────────────────────────────────────────────────────────────────────


def test_asf_file_counts_where_there_is_no_athena_toml(desk: Desk) -> None:
    """The file beside a wrapper gives [wrapper], seats and headers, and is their origin; athena.toml replaces it."""
    file = desk.write("ocr/aiges.toml", "[aiges]\nheaderPass = 'uid;did'\n[wrapper]\na = 1\n[fc]\nmax = 4\n")
    (hosted,) = desk.load().services
    assert (hosted.wrapper, hosted.workers.seats, hosted.service.pass_headers) == ({"a": "1"}, 4, ("uid", "did"))
    names = ("wrapper.a", "workers.seats", "service.pass_headers")
    assert {hosted.origins[name] for name in names} == {str(file)}
    desk.write("ocr/athena.toml", "")
    assert desk.load().services[0].wrapper == {}


def test_asf_file_does_not_open_the_server(desk: Desk) -> None:
    """Where the server listens is not a wrapper's to say: `http_listen` only reaches the wrapper, with a remark."""
    desk.write("ocr/aiges.toml", "[svcName]\nport = 5090\n[wrapper]\nhttp_listen = '0.0.0.0:80'\n")
    serve = desk.load()
    assert (serve.server.host, serve.server.port) == ("127.0.0.1", 1888)
    assert serve.services[0].wrapper == {"http_listen": "0.0.0.0:80"}
    assert [remark.key for remark in serve.services[0].remarks] == ["[svcName]", "[wrapper].http_listen"]


def test_asf_file_on_the_command_line_is_the_only_one(desk: Desk) -> None:
    """With one named, which gives way to every source of ours, none beside a wrapper is read."""
    desk.write("ocr/aiges.toml", "[fc]\nmax = 4\n")
    beneath = {"workers.queue": Found(0, "AIservice"), "server.port": Found(7, "AIservice")}
    flags = {"server.port": 8}
    serve = settings.load(["ocr"], config=None, environ={}, flags=flags, cwd=desk.folder, beneath=beneath)
    assert (serve.server.port, serve.services[0].workers.queue, serve.services[0].workers.seats) == (8, 0, 1)
    assert serve.services[0].origins["workers.queue"] == "AIservice"


def test_asf_keys_without_effect_are_remarks(desk: Desk) -> None:
    """A key that means nothing here is listed with what became of it, also one that nobody knows."""
    desk.write("ocr/aiges.toml", "[aiges]\nasyncMode = true\nnew = 1\nusrCfg = ''\n[lbv2]\nable = 0\n[what]\nx = 1\n")
    remarks = dict(desk.load().services[0].remarks)
    assert set(remarks) == {"[aiges].asyncMode", "[aiges].new", "[lbv2]", "[what]"}
    assert (remarks["[aiges].new"], remarks["[what]"]) == ("unknown", "unknown")
    assert all(remarks.values())


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[fc]\nmax = 0", "[fc].max must be a whole number, 1 or more, not 0"),
        ("[fc]\nmax = '4'", '[fc].max must be a whole number, 1 or more, not "4"'),
        ("fc = 1", "fc must be a table"),
        ("[aiges]\nheaderPass = ['a']", "[aiges].headerPass must be a string, not ['a']"),
        ("[aiges]\nusrCfg = 1", "[aiges].usrCfg must be a string, not 1"),
        ("[aiges]\nusrCfg = 'gone.toml'", "no such file: [aiges].usrCfg = gone.toml"),
        ("[wrapper]\na = [1]", "wrapper.a must be a string, a number, true or false"),
    ],
)
def test_wrong_values_of_an_asf_file_are_refused(desk: Desk, toml: str, message: str) -> None:
    """What ASF's loader could not have taken either is an error with the file and the key as it stands there."""
    file = desk.write("ocr/aiges.toml", toml)
    with pytest.raises(SettingsError) as caught:
        desk.load()
    assert caught.value.message.startswith(message)
    assert caught.value.where == str(file)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0:1888", "0.0.0.0", 1888),
        ("127.0.0.1:80", "127.0.0.1", 80),
        (":1888", "0.0.0.0", 1888),
        (":", "0.0.0.0", 0),
        ("[::1]:9", "::1", 9),
        ("localhost:", "localhost", 0),
    ],
)
def test_address_of_an_asf_file_is_read_as_go_does(desk: Desk, text: str, host: str, port: int) -> None:
    """No address is every address, no port any free one."""
    document = aiges.read(desk.write("aiges.toml", f"[wrapper]\nhttp_listen = '{text}'\n"), folder=desk.folder)
    values = aiges.for_server(document, "svcName")
    assert {name: found.value for name, found in values.items()} == {"server.host": host, "server.port": port}


@pytest.mark.parametrize("text", ["1888", "1.2.3.4", "host:http", "host:70000", "a b:1", "host:-1"])
def test_address_that_is_none_is_refused(desk: Desk, text: str) -> None:
    """The error names the key and what it must be."""
    document = aiges.read(desk.write("aiges.toml", f"[wrapper]\nhttp_listen = '{text}'\n"), folder=desk.folder)
    with pytest.raises(SettingsError, match=r"\[wrapper\]\.http_listen must be"):
        aiges.for_server(document, "svcName")


def test_address_in_the_service_s_section_counts_if_there_is_no_other(desk: Desk) -> None:
    """ASF's own sample file has `http_listen` there, where its loader did not look; [wrapper] comes first."""
    text = "[ocr]\nhttp_listen = ':2'\n"
    document = aiges.read(desk.write("aiges.toml", text), folder=desk.folder)
    assert aiges.for_server(document, "ocr")["server.port"].value == 2
    assert aiges.for_server(document, "other") == {}
    document = aiges.read(desk.write("aiges.toml", f"{text}[wrapper]\nhttp_listen = ':3'\n"), folder=desk.folder)
    assert aiges.for_server(document, "ocr")["server.port"].value == 3


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_size_reads_what_it_shows(count: int) -> None:
    """Any number of bytes survives being shown and read."""
    assert parse_size(show_size(count)) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [("64MiB", 64 * 1024**2), ("1GiB", 1024**3), ("512kB", 512_000), ("7", 7), ("7B", 7), ("2 gb", 2 * 1000**3)],
)
def test_sizes_have_units(text: str, count: int) -> None:
    """Units of 1024 have an i, units of 1000 have none."""
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "64M", "64Mi", "-1", "1.5GiB", "1 0", "64MiBs", "٣"])
def test_size_without_a_clear_meaning_is_refused(text: str) -> None:
    """What could be read in two ways, or in none, is no size."""
    with pytest.raises(ValueError, match=r"^$"):
        parse_size(text)


# ── refused, in words ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("toml", "message", "remedy"),
    [
        ("[server]\nprt = 1", "unknown setting server.prt", "did you mean server.port?"),
        ("[server]\nbody = 1", "unknown setting server.body", "did you mean server.limits.body?"),
        ("port = 1", "unknown setting port", "did you mean server.port?"),
        ("[sever]\nport = 1", "unknown section [sever]", "did you mean [server]?"),
        ("[server.limit]\nbody = 1", "unknown section [server.limit]", "did you mean [server.limits]?"),
        ("[workers]\nsets = 1", "unknown setting workers.sets", "did you mean workers.seats?"),
        ("[service]\nbodi = 1", "unknown setting service.bodi", "did you mean server.limits.body?"),
        ("[service]\nxyzzy = 1", "unknown setting service.xyzzy", "`athena settings` lists"),
        ("[zzz]", "unknown section [zzz]", "the sections are [server], [server.limits]"),
        ("[gateway]\nmax = 8", "this version does not have [gateway] yet", "remove it"),
        ("[service]\nidle_timeout = 8", "unknown setting", "server.limits.idle_timeout or stream.idle_timeout?"),
        ("[stream]\nidle_timeuot = 8", "unknown setting", "did you mean stream.idle_timeout?"),
        ("[[apps]]\nid = 'x'", "this version does not have [apps] yet", "remove it"),
        ("[service.inputs]", "this version does not have service.inputs yet", "remove it"),
        ("server = 1", "server must be a table", "write [server]"),
        ("[[server]]", "server must be a table", "once"),
        ("[workers]\nenv = 1", "workers.env must be a table", ""),
        ("[workers.env]\n'a=b' = 'c'", "workers.env.a=b cannot be the name of an environment variable", ""),
        ("[workers.env.a]\nb = 'c'", "workers.env.a.b cannot be the name", ""),
    ],
)
def test_what_is_no_setting_is_refused(desk: Desk, toml: str, message: str, remedy: str) -> None:
    """The error names the file and the thing, and what was probably meant."""
    file = desk.write("athena.toml", toml)
    with pytest.raises(SettingsError) as caught:
        desk.load()
    assert caught.value.message.startswith(message)
    assert remedy in caught.value.help
    assert caught.value.where == str(file)


@pytest.mark.parametrize(
    ("toml", "message", "place", "remedy"),
    [
        ("[server", "Expected ']' at the end of a table declaration", ":1:8", "a line is [section]"),
        ("[server]\nport\n", "Expected '=' after a key", ":2:5", 'key = "text"'),
        ("[server]\r\nreload = True\r\n", "Invalid value", ":2:10", "true and false: reload = true"),
        ("[server]\nreload = off", "Invalid value", ":2:10", "true and false: reload = false"),
        ("[service]\nname = ocr  # mine", "Invalid value", ":2:8", 'double quotes: name = "ocr"'),
        ("[server.limits]\nbody = 64MiB\n", "Expected newline", ":2:10", 'double quotes: body = "64MiB"'),
        ("[wrapper]\nmodel = 'a\n\n", "Expected", ":2:11", "a line is [section]"),
        ('[wrapper]\nmodel = "C:\\models"', "Unescaped '\\' in a string", ":2:", "written twice, or the text stands"),
        ("[server]\nport = 1\nport = 2\n\n", "Cannot overwrite a value", ":3:", "keep one of them"),
        ("[server]\n[server]\n", "Cannot declare ('server',) twice", ":2:", "keep one of them"),
    ],
)
@pytest.mark.parametrize("name", ["athena.toml", "ocr/aiges.toml"])
def test_file_that_is_no_toml_is_refused(
    desk: Desk, name: str, toml: str, message: str, place: str, remedy: str
) -> None:
    """The error has line and column, and guesses how the line was meant; ours and ASF's alike."""
    file = desk.write(name, toml)
    with pytest.raises(SettingsError) as caught:
        desk.load()
    assert caught.value.message.startswith(f"{file.name} is not TOML: {message}")
    assert caught.value.where.startswith(f"{file}{place}")
    assert remedy in caught.value.help


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("server.port", "-1"),
        ("server.port", "65536"),
        ("server.port", "'1888'"),
        ("server.port", "true"),
        ("server.port", "1888.0"),
        ("server.port", "{}"),
        ("server.host", "''"),
        ("server.host", "'http://x'"),
        ("server.http2", "1"),
        ("server.log", "'loud'"),
        ("server.log", "[]"),
        ("server.lame_duck", "-0.1"),
        ("server.drain_timeout", "0"),
        ("server.drain_timeout", "nan"),
        ("server.drain_timeout", "inf"),
        ("server.drain_timeout", "true"),
        ("server.drain_timeout", "'30s'"),
        ("server.limits.body", "'64M'"),
        ("server.limits.body", "0"),
        ("server.limits.body", "true"),
        ("server.limits.body", "1.5"),
        ("workers.queue", "-1"),
        ("workers.devices", "'0'"),
        ("workers.devices", "[[0]]"),
        ("service.name", "'a/b'"),
        ("service.name", "1"),
    ],
)
def test_value_of_the_wrong_kind_is_refused(desk: Desk, setting: str, value: str) -> None:
    """The error says the setting, what is wanted, what was got and where."""
    section, _, key = setting.rpartition(".")
    file = desk.write("athena.toml", f"[{section}]\n{key} = {value}\n")
    with pytest.raises(SettingsError) as caught:
        desk.load()
    assert caught.value.message.startswith(f"{setting} must be {CATALOGUE[setting].kind.wanted}, not ")
    assert caught.value.where == str(file)


def test_word_that_does_not_parse_names_its_source(desk: Desk) -> None:
    """A bad variable and a bad flag are each called by their name."""
    with pytest.raises(
        SettingsError, match=r'server\.port must be .*, not "many"\n  where: environment ATHENA_SERVER_PORT'
    ):
        desk.load(environ={"ATHENA_SERVER_PORT": "many"})
    with pytest.raises(SettingsError, match=r'workers\.count must be .*, not "x"\n  where: flag --workers'):
        desk.load(flags={"workers.count": "x"})
    with pytest.raises(SettingsError, match=r'workers\.warmup must be true or false, not "x"\n  where: flag --set'):
        desk.load(flags={"set": ["workers.warmup=x"]})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["workers.count"], "workers.count is no setting"),
        (["workers=3"], "workers is a section, not a setting"),
        (["wrapper=3"], "unknown setting wrapper"),
        (["gateway.max=3"], "this version does not have [gateway] yet"),
        (["server.port=1", "server.port=2"], "server.port is set twice"),
    ],
)
def test_bad_set_is_refused(desk: Desk, words: list[str], message: str) -> None:
    """`--set` without a value, of no setting, or twice, is an error."""
    with pytest.raises(SettingsError) as caught:
        desk.load(flags={"set": words})
    assert caught.value.message == message
    assert "flag --set" in caught.value.where


def test_flag_and_set_of_one_setting_contradict(desk: Desk) -> None:
    """A setting has one value on one command line."""
    with pytest.raises(SettingsError, match=r"server\.port is set twice\n  where: flag --port and flag --set"):
        desk.load(flags={"server.port": "1", "set": ["server.port=1"]})


@pytest.mark.parametrize(
    ("variable", "message", "remedy"),
    [
        ("ATHENA_SERVER_PROT", "unknown variable ATHENA_SERVER_PROT", "did you mean ATHENA_SERVER_PORT?"),
        ("ATHENA_PORT", "unknown variable ATHENA_PORT", "did you mean ATHENA_SERVER_PORT?"),
        ("ATHENA_XYZZY", "unknown variable ATHENA_XYZZY", "unset it"),
        ("ATHENA_GATEWAY_MAX", "this version does not have [gateway] yet", "remove it"),
        ("ATHENA_WRAPPER_", "unknown variable ATHENA_WRAPPER_", ""),
    ],
)
def test_unknown_variable_is_refused(desk: Desk, variable: str, message: str, remedy: str) -> None:
    """A variable with our prefix that is no setting is a slip, and is named with the near one."""
    with pytest.raises(SettingsError) as caught:
        desk.load(environ={variable: "1"})
    assert (caught.value.message, caught.value.where) == (message, f"environment {variable}")
    assert remedy in caught.value.help


def test_other_variables_are_left_alone(desk: Desk) -> None:
    """Variables of others, and ours that are no settings, do not matter."""
    assert desk.load(environ={"PATH": "/bin", "ATHENA_WORKER": "0", "ATHENA_DEBUG": "1"}) == desk.load()


def test_kubernetes_service_links_are_left_alone(desk: Desk) -> None:
    """What Kubernetes says of a Service called athena-server is no setting; a port given by hand beside it is."""
    links = {
        "ATHENA_SERVER_SERVICE_HOST": "10.0.0.11",
        "ATHENA_SERVER_SERVICE_PORT": "1888",
        "ATHENA_SERVER_SERVICE_PORT_HTTP": "1888",
        "ATHENA_SERVER_PORT": "tcp://10.0.0.11:1888",
        "ATHENA_SERVER_PORT_1888_TCP": "tcp://10.0.0.11:1888",
        "ATHENA_SERVER_PORT_1888_TCP_ADDR": "10.0.0.11",
    }
    assert desk.load(environ=links).origins["server.port"] == "default"
    assert desk.load(environ={**links, "ATHENA_SERVER_PORT": "7"}).server.port == 7


def test_server_section_beside_a_wrapper_is_misplaced(desk: Desk) -> None:
    """[server] in a service's own file is an error that says where it belongs."""
    file = desk.write("ocr/athena.toml", "[server.limits]\nbody = 1\n")
    with pytest.raises(SettingsError) as caught:
        desk.load()
    assert caught.value.message == "[server] has no place beside a wrapper: server.limits.body"
    assert caught.value.where == str(file)
    assert str(desk.folder / "athena.toml") in caught.value.help


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["server.port=1890"], "server.port and server.admin_port are both 1890"),
        (["server.limits.body=2GiB"], "server.limits.inflight_bytes is less than one body may have"),
        (["workers.count=3", "workers.devices=0,1"], "3 workers, but 2 devices: each worker needs one"),
        (["workers.restart_delay=11"], "workers.restart_delay is more than workers.restart_delay_max"),
    ],
)
def test_values_that_contradict_each_other_are_refused(desk: Desk, words: list[str], message: str) -> None:
    """The error names both settings and the origin of each."""
    with pytest.raises(SettingsError) as caught:
        desk.load(flags={"set": words})
    assert caught.value.message == message
    assert "flag --set" in caught.value.where


# ── wrappers ──────────────────────────────────────────────────────────────────────────────────────


def test_wrapper_is_a_file_or_its_folder(desk: Desk) -> None:
    """A folder stands for its wrapper.py, and any Python file may be named."""
    other = desk.write("ocr/other.py", "")
    paths = [hosted.path for hosted in desk.load("ocr", str(other)).services]
    assert paths == [desk.folder / "ocr" / "wrapper.py", other]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "no such file or folder: nowhere"),
        ("empty", "no wrapper.py in "),
        ("half", "no wrapper.py in "),
        ("notes.txt", "notes.txt is not a Python file"),
    ],
)
def test_path_without_a_wrapper_is_refused(desk: Desk, path: str, message: str) -> None:
    """A path that leads to no wrapper is an error with help."""
    (desk.folder / "empty").mkdir()
    desk.write("half/model.py", "")
    desk.write("notes.txt", "")
    with pytest.raises(UsageError) as caught:
        desk.load(path)
    assert caught.value.message.startswith(message)
    assert caught.value.help


def test_schema_without_a_wrapper_is_a_category(desk: Desk) -> None:
    """A folder with only a schema.json, or a JSON file; a schema.json beside a wrapper is the wrapper's."""
    desk.write("ocr/wrapper.py", "")
    desk.write("ocr/schema.json", "{}")
    folder, file = desk.write("iat/schema.json", "{}"), desk.write("more.json", "{}")
    serve = desk.load("ocr", "iat", "more.json")
    assert serve.categories == (folder, file)
    assert [hosted.path.parent.name for hosted in serve.services] == ["ocr"]


def test_category_alone_is_refused(desk: Desk) -> None:
    """It leads to other services, and there are none."""
    desk.write("iat/schema.json", "{}")
    with pytest.raises(UsageError, match="leads to other services") as caught:
        desk.load("iat")
    assert caught.value.help.startswith("name them beside it")


def test_file_that_is_no_text_is_refused(desk: Desk) -> None:
    """A file in another encoding is an error with the place of the first such letter, and what to do."""
    file = desk.folder / "athena.toml"
    file.write_bytes("[service]\n# Größe\nname = 'Gr".encode() + "öße'\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"athena\.toml is not UTF-8 text") as caught:
        desk.load()
    assert caught.value.where == f"{file}:3:11"
    assert caught.value.help == "save the file as UTF-8; byte 0xf6 is of another encoding"


def test_file_that_may_not_be_read_is_refused(desk: Desk) -> None:
    """A folder in its place is one of the ways."""
    (desk.folder / "ocr" / "aiges.toml").symlink_to("/proc/self/mem")
    with pytest.raises(UsageError, match=r"cannot read aiges\.toml") as caught:
        desk.load()
    assert caught.value.help == "it must be a file, and one that you may read"


def test_missing_config_is_refused(desk: Desk) -> None:
    """--config must name a file."""
    with pytest.raises(UsageError, match=r"no such file: prod\.toml\n  where: flag --config"):
        desk.load(config="prod.toml")


def test_one_wrapper_twice_is_refused(desk: Desk) -> None:
    """Two paths to one file are one service."""
    with pytest.raises(SettingsError, match="is named twice"):
        desk.load("ocr", "ocr/wrapper.py")


def test_two_services_of_one_name_are_refused(desk: Desk) -> None:
    """A name given to all services by the server's file or a flag is given once too often."""
    desk.write("tts/wrapper.py", "")
    with pytest.raises(SettingsError, match="two services are called x"):
        desk.load("ocr", "tts", flags={"set": ["service.name=x"]})


def test_links_are_kept(desk: Desk) -> None:
    """A wrapper behind a link keeps the name of the link, as a mounted ConfigMap needs it."""
    (desk.folder / "live").symlink_to(desk.folder / "ocr")
    assert desk.load("live").services[0].directory == desk.folder / "live"


# ── questions ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.example.org"])
def test_public_host_is_warned_of(desk: Desk, host: str) -> None:
    """An address that others can reach gives one line that names it."""
    warning = desk.load(flags={"server.host": host}).public_warning()
    assert warning is not None
    assert f"server.host = {host}" in warning
    assert "\n" not in warning


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_not_warned_of(desk: Desk, host: str) -> None:
    """An address that only this machine reaches gives no warning."""
    assert is_loopback(host)
    assert desk.load(flags={"server.host": host}).public_warning() is None


def test_log_form_follows_the_terminal_unless_said() -> None:
    """`auto` asks whether a person looks; a form that was named stays."""
    server = settings.Server()
    assert [server.log_form(is_terminal=yes) for yes in (True, False)] == ["human", "json"]
    assert settings.Server(log="json").log_form(is_terminal=True) == "json"
