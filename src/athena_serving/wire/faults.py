"""What is wrong with a request, in ASF's words: the validator's errors as `Problem`s (http-api.md 5.5).

ASF's order is random. Here it is that of the schema document: its keywords and members, top down, and items as they
stand in the request.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from jsonschema_rs import ValidationError, ValidationErrorKind

from athena_serving.errors import Problem
from athena_serving.wire import dialect
from athena_serving.wire.rules import Compiled, Words

MOST_PROBLEMS: Final = 64
"""Problems named in one answer: a request of a million unknown fields must not be answered with a million lines."""

_LONGEST: Final = 64
"""Characters of a caller's own name that are said back."""

_MEMBERS: Final = frozenset({"properties", "patternProperties", "additionalProperties", "items"})


def explain(problems: Iterable[Problem]) -> str:
    """Problems in ASF's form: `'$.header.app_id' field is required; `, one after the other."""
    return "".join(f"'{_dotted(problem.pointer)}' {problem.message}; " for problem in problems)


def translate(errors: Iterable[ValidationError], root: Compiled) -> tuple[Problem, ...]:
    """Errors against `root` as problems, each one once, in the order of the document."""
    found = dict.fromkeys(_problems(islice(errors, MOST_PROBLEMS), root))
    return tuple(islice(found, MOST_PROBLEMS))


def _problems(errors: Iterable[ValidationError], root: Compiled) -> Iterator[Problem]:
    traced = [(*_trace(error, root), error) for error in errors]
    for _, words, error in sorted(traced, key=lambda one: one[0]):
        kind, path = error.kind, error.instance_path
        match kind:
            case ValidationErrorKind.Required():
                yield Problem(_pointer([*path, kind.property]), _said(words, error))
            case ValidationErrorKind.AdditionalProperties():
                for name in kind.unexpected[:MOST_PROBLEMS]:
                    yield Problem(_pointer([*path, name]), _said(words, error))
            case ValidationErrorKind.AnyOf():
                for branch in kind.context:
                    yield from _problems(branch, root)
            case _:
                yield Problem(_pointer(path), _said(words, error))


def _trace(error: ValidationError, root: Compiled) -> tuple[list[int], Words | None]:
    """Where the keyword that failed stands in the document, for comparison with others, and its words."""
    rank: list[int] = []
    words: Words | None = None
    found: object = root
    depth = 0  # in the request
    for step in error.evaluation_path:
        rank.append([*found].index(step) if isinstance(found, dict) else int(step))
        if isinstance(found, Compiled):  # else `step` is a member's name, or the number of a branch
            words = found.words.get(str(step))
            if step in _MEMBERS and depth < len(error.instance_path):
                place = error.instance_path[depth]
                rank += [place] if isinstance(place, int) else []
                depth += 1
        found = found[step] if isinstance(found, dict) else found[int(step)] if isinstance(found, list) else None
        if step == "$ref":
            found = dialect.target(root, found, ())
    return rank, words


def _said(words: Words | None, error: ValidationError) -> str:
    if words is None:
        return f"is against {error.kind.name!r} of the schema"
    return words(error.instance) if callable(words) else words


def _pointer(path: Iterable[str | int]) -> str:
    """RFC 6901."""
    steps = (str(step)[:_LONGEST].replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps)


def _dotted(pointer: str) -> str:
    """`/header/ids/0` as ASF writes it: `$.header.ids[*]`."""
    steps = pointer.split("/")[1:]
    return "$" + "".join(
        "[*]" if step.isdecimal() else "." + step.replace("~1", "/").replace("~0", "~") for step in steps
    )
