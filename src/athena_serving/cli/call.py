"""`athena call`: one call of a service, from any machine, for a person or a script."""

import difflib
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from athena_serving.cli import waiting
from athena_serving.errors import Problem, UsageError

if TYPE_CHECKING:
    from athena_serving.client import CallError, Client, Output, Result, ServiceSchema

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  athena call echo -i data=hello
  athena call ocr -i image=@page.jpg -p language=zh
  athena call tts -i text=@- -o sounds < speech.txt
  athena call ocr -i image=@page.jpg --output boxes.format=json --json | jq .outputs.boxes.json
  athena call ocr -i image=@page.jpg --url https://example.com --app-id 123456"""

DEFAULT_URL: Final = "http://127.0.0.1:1888"
SECONDS: Final = click.FloatRange(0, min_open=True)
MUCH: Final = 1_000_000
"""Bytes of inputs whose size is said while they are sent."""
MOST_LINES: Final = 24
"""Lines of JSON that the table shows of one output."""

_MAGIC: Final = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
)
"""How files of a kind begin. RIFF and MP4 say it further in."""


class CallFailed(UsageError):
    """There was an answer, but no result, or no answer in time."""

    exit_code = 1


class Unreachable(UsageError):
    """Nobody is at that address, or the connection broke."""

    exit_code = 69  # EX_UNAVAILABLE of sysexits.h


@click.command(epilog=EXAMPLES)
@click.argument("service")
@click.option("-i", "--input", "inputs", multiple=True, metavar="KEY=VALUE", help="Text, @FILE, or - for stdin.")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter of the service.")
@click.option("--output", "outputs", multiple=True, metavar="KEY.NAME=VALUE", help="How an output is wanted.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A member of the request's header.")
@click.option("-o", "--save", "folder", default=".", metavar="FOLDER", help="Where binary outputs go. [.]")
@click.option("--force", is_flag=True, help="Write over files instead of choosing free names.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@click.option("--url", default=DEFAULT_URL, metavar="URL", help=f"The server's address. [{DEFAULT_URL}]")
@click.option("--timeout", type=SECONDS, default=120.0, metavar="SECONDS", help="How long to wait. [120]")
@click.option("--app-id", default="", metavar="ID", help="App id, for servers that look at it.")
@click.option(
    "--key", envvar="ATHENA_CALL_KEY", show_envvar=True, default="", metavar="KEY", help="API key: sign the call."
)
@click.option(
    "--secret", envvar="ATHENA_CALL_SECRET", show_envvar=True, default="", metavar="SECRET", help="The key's."
)
def command(service: str, *, url: str, folder: str, force: bool, as_json: bool, **words: object) -> None:
    """Call SERVICE once and print its outputs; binary ones become files.

    A parameter is taken as its schema has it: text, number, true or false; else as JSON. Exit code 0: answered.
    1: the call failed. 2: it cannot be made so. 69: nobody is there.
    """
    # Not at the top, here and below: --help should not wait for it.
    from athena_serving.client import CallError  # noqa: PLC0415

    url = url if "://" in url else f"http://{url}"
    place = _folder(folder)
    inputs = {key: _data(key, text) for key, text in _pairs("-i", words["inputs"])}
    try:
        with _client(url, words) as client, waiting.sign(_going_on(service, inputs), is_wanted=not as_json):
            result = _called(client, service, inputs, words)
    except CallError as error:
        if as_json:
            click.echo(json.dumps(_failure(service, error), ensure_ascii=False, indent=2))
        raise _told(error, service, url) from None
    saved = {
        key: _save(place, f"{service}-{key}", one.data, _extension(one), is_forced=force)
        for key, one in result.outputs.items()
        if _is_binary(one)
    }
    if as_json:
        click.echo(json.dumps(_document(service, result, saved), ensure_ascii=False, indent=2))
    else:
        _show(result, saved)


def _client(url: str, words: Mapping[str, object]) -> "Client":
    from athena_serving.client import Client  # noqa: PLC0415  # as above
    from athena_serving.client.clients import APP_ID  # noqa: PLC0415

    key, secret, timeout = str(words["key"]), str(words["secret"]), words["timeout"]
    try:
        return Client(
            url,
            app_id=str(words["app_id"]) or APP_ID,
            api_key=key,
            api_secret=secret,
            timeout=timeout if isinstance(timeout, float) else 0.0,
        )
    except ValueError as error:
        remedy = "give both --key and --secret" if bool(key) != bool(secret) else f"--url {DEFAULT_URL}"
        raise UsageError(str(error), help=remedy) from None


def _called(client: "Client", service: str, inputs: Mapping[str, bytes], words: Mapping[str, object]) -> "Result":
    """Look the service up, check the names, type the values, call. Raises UsageError and CallError."""
    schema = client.schema(service)
    params, header = dict(_pairs("-p", words["params"])), dict(_pairs("--header", words["headers"]))
    wishes = _wishes(words["outputs"])
    for kind, given, known in (
        ("input", inputs, schema.inputs),
        ("parameter", params, schema.params),
        ("output", wishes, schema.outputs),
        ("header", header, schema.header),
    ):
        _check(kind, given, known, schema)
    return client.call(
        service,
        inputs,
        {key: typed(text, schema.params[key]) for key, text in params.items()},
        outputs=wishes,
        header={key: typed(text, schema.header[key]) for key, text in header.items()},
    )


def _going_on(service: str, inputs: Mapping[str, bytes]) -> str:
    size = sum(map(len, inputs.values()))
    return printable(f"calling {service}") + (f" with {size / 1e6:,.1f} MB" if size >= MUCH else "")


# ── what was typed ────────────────────────────────────────────────────────────────────────────────


def _pairs(flag: str, words: object) -> Iterable[tuple[str, str]]:
    """KEY=VALUE of a flag that may be repeated, in order. Raises UsageError, for a key given twice as well."""
    found: dict[str, str] = {}
    for word in words if isinstance(words, tuple) else ():
        key, sign, value = word.partition("=")
        if not key or not sign:
            raise UsageError(f"{flag} {word}: a name, = and a value are wanted", help=f"{flag} KEY=VALUE")
        if key in found:
            raise UsageError(f"{flag} {key} is given twice", help="give it once")
        found[key] = value
    return found.items()


def _wishes(words: object) -> dict[str, dict[str, object]]:
    wishes: dict[str, dict[str, object]] = {}
    for name, value in _pairs("--output", words):
        key, dot, attribute = name.rpartition(".")
        if not dot or not key or not attribute:
            raise UsageError(f"--output {name}={value}: no attribute is named", help=f"--output {name}.format=json")
        wishes.setdefault(key, {})[attribute] = value
    return wishes


def _data(key: str, text: str) -> bytes:
    """What `-i` means: `-` and `@-` are standard input, `@FILE` a file, `@@x` the text `@x`, all else text."""
    if text in ("-", "@-"):
        return sys.stdin.buffer.read()
    if not text.startswith("@") or text.startswith("@@"):
        return text.removeprefix("@").encode(errors="surrogateescape")  # the bytes that the shell gave
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        words = (error.strerror or "cannot be read").lower()
        raise UsageError(
            f"input {key}: {words}", where=text[1:], help=f"-i {key}=@FILE sends a file, -i {key}=@@x the text @x"
        ) from None


def _folder(name: str) -> Path:
    folder = Path(name)
    if folder.exists() and not folder.is_dir():
        raise UsageError("outputs need a folder, and this is none", where=name, help="-o FOLDER")
    return folder


def _check(kind: str, given: Iterable[str], known: Iterable[str], schema: "ServiceSchema") -> None:
    """Raise UsageError for a name that the service does not have."""
    names = [*known]
    for key in given:
        if key not in names:
            remedy = _near(key, names) or (f"it has {', '.join(names)}" if names else f"it has no {kind}s")
            raise UsageError(f"service {schema.service} has no {kind} {key}", help=remedy)


def _near(word: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]}?" if near else ""


def typed(text: str, node: Mapping[str, object]) -> object:
    """What was typed as the JSON Schema `node` has it; as JSON where it does not say, else as the text that it is."""
    said = node.get("type")
    types = {said} if isinstance(said, str) else {*said} if isinstance(said, list) else set()
    try:
        parsed = json.loads(text, parse_constant=_refuse)
    except ValueError:
        parsed = text
    if not types or any(_FITS[name](parsed) for name in types & _FITS.keys()):
        return parsed
    if "boolean" in types and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if types & {"integer", "number"} and re.fullmatch(r"[-+]?0*[0-9]+", text):  # 007, +3: no JSON
        return int(text)
    return text  # if that is wrong the server says so, and where


_WORDS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_FITS: Final[Mapping[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _refuse(word: str) -> object:
    raise ValueError(word)  # NaN and Infinity, which Python reads and JSON has not


# ── what came of it ───────────────────────────────────────────────────────────────────────────────


def _is_binary(output: "Output") -> bool:
    if output.is_json or output.type != "text":
        return not output.is_json
    try:
        output.text.isprintable()
    except ValueError:  # called text, but not in its encoding
        return True
    return False


def _extension(output: "Output") -> str:
    """By the first bytes, else by the output's encoding."""
    data, encoding = output.data, str(output.attributes.get("encoding", ""))
    if data[:4] == b"RIFF":
        return {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "avi"}.get(data[8:12], "bin")
    if data[4:8] == b"ftyp":
        return "mp4"
    known = next((name for magic, name in _MAGIC if data.startswith(magic)), "")
    aliases = {"lame": "mp3", "raw": "pcm" if output.type == "audio" else "bin", "jpeg": "jpg"}
    return known or aliases.get(encoding) or (encoding if re.fullmatch(r"[a-z0-9]{1,5}", encoding) else "bin")


def _save(folder: Path, stem: str, data: bytes, extension: str, *, is_forced: bool) -> Path:
    """Write a new file; where there is one already, `stem-2`, and so on. Raises UsageError."""
    # The server chose the output's name: it must not choose the folder.
    safe = re.sub(r"[^\w.-]", "_", stem).lstrip(".")
    number = 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = folder / (f"{safe}.{extension}" if number == 1 else f"{safe}-{number}.{extension}")
            try:
                with path.open("wb" if is_forced else "xb") as file:
                    file.write(data)
            except FileExistsError:
                number += 1
            else:
                return path
    except OSError as error:
        raise UsageError(f"cannot save an output: {error.strerror}", where=str(folder), help="-o FOLDER") from None


def _document(service: str, result: "Result", saved: Mapping[str, Path]) -> dict[str, object]:
    """A result for programs: of each output `json`, `text` or `file`."""
    outputs: dict[str, object] = {}
    for key, one in result.outputs.items():
        value: dict[str, object] = {"text": one.text} if key not in saved and not one.is_json else {}
        value |= {"json": one.json} if one.is_json else {"file": str(saved[key])} if key in saved else {}
        outputs[key] = {"type": one.type, "size": len(one.data), "attributes": dict(one.attributes), **value}
    return {
        "service": service,
        "sid": result.sid,
        "request_id": result.request_id,
        "seconds": round(result.seconds, 6),
        "outputs": outputs,
    }


def _failure(service: str, error: "CallError") -> dict[str, object]:
    """An error for programs."""
    problems = [problem._asdict() for problem in error.problems]
    said = {"kind": type(error).__name__, "message": error.message, "code": error.code, "status": error.status}
    return {"service": service, "sid": error.sid, "error": {**said, "problems": problems}}


def _show(result: "Result", saved: Mapping[str, Path]) -> None:
    from rich.console import Console  # noqa: PLC0415  # as above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(markup=False, highlight=False)
    table = Table()
    for name in ("output", "type", "value"):
        table.add_column(name, overflow="fold")
    for key, one in result.outputs.items():
        value = f"{len(one.data):,} bytes in {saved[key]}" if key in saved else _shown(one)
        table.add_row(*(Text(printable(cell)) for cell in (key, one.type, value)))
    console.print(table if result.outputs else "no outputs")
    console.print(printable(f"sid {result.sid} · {result.seconds * 1000:,.1f} ms"), soft_wrap=True)


def _shown(output: "Output") -> str:
    if not output.is_json:
        return output.text
    lines = json.dumps(output.json, ensure_ascii=False, indent=2).splitlines()
    more = len(lines) - MOST_LINES
    return "\n".join(lines if more <= 0 else [*lines[:MOST_LINES], f"... {more:,} more lines; --json has them all"])


def printable(text: str) -> str:
    """Text of a stranger's that cannot steer the terminal."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def _told(error: "CallError", service: str, url: str) -> UsageError:
    """A failure in words: what, where, and what helps."""
    from athena_serving import client  # noqa: PLC0415  # as above

    log = f"the server's log has more, by sid {error.sid}" if error.sid else "the server's log has more"
    marks = [f"code {error.code}"] * bool(error.code) + [f"HTTP {error.status}"] * bool(error.status)
    where = ", ".join([url, *marks, *([f"sid {error.sid}"] * bool(error.sid))])
    match error:
        case client.ServiceNotFound():
            names = ", ".join(error.services)
            remedy = _near(service, error.services) or (f"services there: {names}" if names else "look at --url")
            return UsageError(printable(f"no service {service}"), where=url, help=printable(remedy))
        case client.NotReachable():
            remedy = "is `athena serve` running there? --url has the address"
            return Unreachable(printable(error.message), help=remedy)
        case client.BadRequest():
            places = "; ".join(map(_place, error.problems))
            said, remedy = (
                f"service {service} refuses the request: {places or error.message}",
                f"{url}/docs: what it takes",
            )
        case client.Busy():
            said, remedy = f"service {service} has no room for the call: {error.message}", "try again in a while"
        case client.TimedOut():
            said, remedy = error.message, "--timeout SECONDS waits longer, if the server does (limits.call_timeout)"
        case client.WrapperFailed():
            said, remedy = f"the code of service {service} failed: {error.message}", log
        case _:
            said, remedy = error.message, log
    return CallFailed(printable(said), where=printable(where), help=printable(remedy))


def _place(problem: Problem) -> str:
    """A wrong place as a person typed it: `/parameter/ocr/size` is `parameter size`."""
    match problem.pointer.split("/")[1:]:
        case ["parameter", _, key, *rest]:
            name = ".".join([f"parameter {key}", *rest])
        case ["payload", key, *_]:
            name = f"input {key}"
        case ["header", key, *_]:
            name = f"header {key}"
        case _:
            name = problem.pointer or "it"
    return f"{name}: {problem.message}"
