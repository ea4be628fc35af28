"""Keywords that change the members of an object, as steps in their order (http-api.md 5.4; docs/schema.md).

`delete` and `setVal` stand in the schema of the object; `replaceKey`, `defaultVal`, `constVal` and `formatVal` in that
of the member.
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from athena_serving.wire import dialect, functions, places
from athena_serving.wire.functions import Members, Path, Value
from athena_serving.wire.meta import Node
from athena_serving.wire.places import Place

KEYWORDS: Final = frozenset({"delete", "replaceKey", "default", "defaultVal", "constVal", "setVal", "formatVal"})
"""Keywords that may change something."""

Step = Callable[[Members], object]
"""Changes an object in place."""

_MUTABLE: Final = (dict, list)


class Member(NamedTuple):
    """What a schema says of an object's member."""

    node: Node
    place: Place


def steps(root: Node, node: Node, place: Place) -> Iterator[Step]:
    """The changes that a node makes in an object, in their order."""
    members = {**_declared(root, node, place, "children"), **_declared(root, node, place, "properties")}
    if "delete" in node:
        here = (*place, "delete")
        yield partial(_delete, tuple(places.name(one, here) for one in places.array(node["delete"], here)))
    if names := _said(members, "replaceKey"):
        yield partial(_copy, {key: places.name(*one) for key, one in names.items()})
    if values := _defaults(members):
        yield partial(_fill, values)
    if constants := _said(members, "constVal"):
        yield partial(_overwrite, {key: value for key, (value, _) in constants.items()})
    if "setVal" in node:
        yield partial(_set, _assignments(node["setVal"], (*place, "setVal")))
    if kinds := _said(members, "formatVal"):
        yield partial(_convert, {key: _conversion(*one) for key, one in kinds.items()})


def defaults(root: Node, node: Node) -> dict[str, object]:
    """What the members of an object are where they are left out."""
    return _defaults(_declared(root, node, dialect.ROOT, "properties"))


def _declared(root: Node, node: Node, place: Place, keyword: str) -> dict[str, Member]:
    """Members, each with what its reference says of it."""
    here = (*place, keyword)
    return {
        key: Member(_flat(root, one, (*here, key)), (*here, key)) for key, one in places.members(node, keyword).items()
    }


def _flat(root: Node, value: object, place: Place) -> Node:
    said = node = places.node(value, place)
    seen: set[str] = set()
    while "$ref" in node and str(node["$ref"]) not in seen:
        seen.add(str(node["$ref"]))
        node = places.node(dialect.target(root, node["$ref"], place), place)
        said = {**node, **said}
    return said


def _said(members: dict[str, Member], keyword: str) -> dict[str, tuple[object, Place]]:
    """Members to what this keyword says of them, and where."""
    return {key: (node[keyword], (*place, keyword)) for key, (node, place) in members.items() if keyword in node}


def _defaults(members: dict[str, Member]) -> dict[str, object]:
    """`defaultVal`, and the `default` of other dialects, which as an object is a branch of `switch` in ASF's."""
    plain = {key: value for key, (value, _) in _said(members, "default").items() if not isinstance(value, dict)}
    said = plain | {key: value for key, (value, _) in _said(members, "defaultVal").items()}
    return {key: said[key] for key in members if key in said}


def _assignments(value: object, place: Place) -> list[tuple[Path, Value]]:
    return [
        (functions.path(key, (*place, key)), functions.value(one, (*place, key)))
        for key, one in places.node(value, place).items()
    ]


def _conversion(value: object, place: Place) -> Callable[[object], object]:
    kind = places.name(value, place)
    if kind not in functions.CONVERSIONS:
        raise places.stranger("formatVal", kind, functions.CONVERSIONS, place)
    return functions.CONVERSIONS[kind]


def _delete(names: tuple[str, ...], members: Members) -> None:
    for name in names:
        members.pop(name, None)


def _copy(names: dict[str, str], members: Members) -> None:
    """The old name stays, as in ASF."""
    for old, new in names.items():
        if old in members and new not in members:
            members[new] = _own(members[old])


def _fill(values: dict[str, object], members: Members) -> None:
    """Only what is left out: null counts as said."""
    for key, value in values.items():
        if key not in members:
            members[key] = _own(value)


def _overwrite(values: dict[str, object], members: Members) -> None:
    members.update({key: _own(value) for key, value in values.items()})


def _set(assignments: list[tuple[Path, Value]], members: Members) -> None:
    for (*parents, last), value in assignments:
        found = value(members)
        holder = functions.at(members, tuple(parents))
        if found is not None and isinstance(holder, dict):
            holder[str(last)] = found


def _convert(kinds: dict[str, Callable[[object], object]], members: Members) -> None:
    """What cannot be converted stays as it is; ASF makes a number that is none 0."""
    for key, convert in kinds.items():
        if members.get(key) is not None:
            found = convert(members[key])
            members[key] = members[key] if found is None else found


def _own(value: object) -> object:
    """What one request gets must not be another's."""
    return copy.deepcopy(value) if type(value) in _MUTABLE else value
