"""Keywords that change a request, after it was checked (http-api.md 5.4; docs/schema.md).

In ASF they run while it checks, in random order. Here, for each object, from the outside in:

1. conditions (`if`, `switch`, `anyOf`) are asked about the object as it stands;
2. `delete`, `replaceKey`, `defaultVal`, `constVal`, `setVal`, `formatVal`, in this order;
3. the same for `children`, `$ref`, `allOf`, and the branches that the conditions chose;
4. its members, and the items of arrays.

What is changed is not checked again. `if`, `not` and `contains` only ask: what stands in them changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from athena_serving.errors import UsageError
from athena_serving.wire import dialect, places, rules, steps
from athena_serving.wire.dialect import ROOT, Validator
from athena_serving.wire.functions import Members
from athena_serving.wire.meta import Node
from athena_serving.wire.places import Place
from athena_serving.wire.rules import Compiled
from athena_serving.wire.steps import Step


@dataclass(slots=True, eq=False)
class Change:
    """What a node of the schema changes in a value. Built once, then only read; recursive schemas make it a circle."""

    choices: list["Choice"] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    also: list["Change"] = field(default_factory=list)
    members: dict[str, "Change"] = field(default_factory=dict)
    others: list["Others"] = field(default_factory=list)
    items: "Change | None" = None

    def apply(self, value: object) -> None:
        """Change `value` in place."""
        chosen = [choice.change for choice in self.choices if choice.holds(value)] if self.choices else []
        if type(value) is dict:
            for step in self.steps:
                step(value)
        for change in (*self.also, *chosen) if chosen else self.also:
            change.apply(value)
        if type(value) is dict:
            for name, change in self.members.items():
                if name in value:
                    change.apply(value[name])
            for others in self.others:
                others.apply(value)
        elif self.items is not None and type(value) is list:
            for one in value:
                self.items.apply(one)


@dataclass(frozen=True, slots=True)
class Choice:
    """A change that depends on a condition."""

    condition: Validator
    change: Change
    wanted: bool = True
    """What the condition's answer must be."""
    earlier: tuple[Validator, ...] = ()
    """Conditions that must not hold: the first branch of an `anyOf` that is right is the one."""

    def holds(self, value: object) -> bool:
        """Is it to be applied?"""
        if any(condition.is_valid(value) for condition in self.earlier):
            return False
        return self.condition.is_valid(value) is self.wanted


@dataclass(frozen=True, slots=True)
class Others:
    """A change of members by what their names are like, or are not."""

    change: Change
    names: Validator | None
    """What they are like (`patternProperties`); None for `additionalProperties`."""
    declared: frozenset[str] = frozenset()
    patterns: tuple[Validator, ...] = ()

    def apply(self, members: Members) -> None:
        """Change them in place."""
        for name, value in members.items():
            if self.names.is_valid(name) if self.names is not None else self._is_other(name):
                self.change.apply(value)

    def _is_other(self, name: str) -> bool:
        return name not in self.declared and not any(pattern.is_valid(name) for pattern in self.patterns)


class Action(NamedTuple):
    """A change of what stands at a path of a request."""

    path: tuple[str, ...]
    apply: Callable[[Any], object]
    takes_arrays: bool


Plan = tuple[Action, ...]
"""All the changes of a request, in their order; most are steps, at a few places."""


def compile(root: Node, exact: Compiled) -> Plan:  # noqa: A001  # read as changes.compile
    """What `root`, a schema of requests, changes in them. `exact` is what it was compiled to.

    Raises UsageError with the place of what is wrong.
    """
    if not _may_change(root):
        return ()
    change = _Walk(root, exact).start()
    return tuple(_plan(change, ())) if _prune(change, {}) else ()


def apply(plan: Plan, request: Members) -> None:
    """Change a request in place."""
    for path, change, takes_arrays in plan:
        holder: object = request
        for step in path:
            holder = holder.get(step) if type(holder) is dict else None
        if type(holder) is dict or (takes_arrays and type(holder) is list):
            change(holder)


def _plan(change: Change, path: tuple[str, ...]) -> Iterator[Action]:
    if change.choices or change.also or change.others or change.items is not None:
        yield Action(path, change.apply, takes_arrays=True)
        return
    for step in change.steps:
        yield Action(path, step, takes_arrays=False)
    for name, inner in change.members.items():
        yield from _plan(inner, (*path, name))


def _may_change(value: object) -> bool:
    """Is there, anywhere in it, a keyword that changes something, or a reference?"""
    if isinstance(value, dict):
        return not value.keys().isdisjoint(_ACTIVE) or any(map(_may_change, value.values()))
    return isinstance(value, list) and any(map(_may_change, value))


_ACTIVE = steps.KEYWORDS | {"$ref"}


# ── the walk ──────────────────────────────────────────────────────────────────────────────────────


class _Walk:
    """One walk through a schema, which has been compiled already: only what changes is looked at here."""

    def __init__(self, root: Node, exact: Compiled) -> None:
        self._root = root
        self._exact = exact
        self._compiler = dialect.Compiler(root, is_exact=True, base=dialect.BASE)
        self._known = {"#": Change()}
        self._leads: dict[str, set[str]] = {}
        """References that stand in what a reference means, with no step into the value between."""

    def start(self) -> Change:
        """The change of the whole."""
        change = self._visit(self._root, ROOT, "#", self._known["#"])
        self._refuse_circles()
        return change

    def _visit(self, value: object, place: Place, inside: str = "", change: Change | None = None) -> Change:
        """`inside` is the reference that led here without a step into the value; empty if none did."""
        node = places.node(value, place)
        change = Change() if change is None else change
        change.steps += steps.steps(self._root, node, place)
        self._inner(change, node, place)
        self._beside(change, node, place, inside)
        self._choices(change, node, place, inside)
        for keyword in ("if", "not", "contains"):  # for what may be wrong with it
            if keyword in node:
                self._visit(node[keyword], (*place, keyword), "" if keyword == "contains" else inside)
        return change

    def _inner(self, change: Change, node: Node, place: Place) -> None:
        declared, patterns = places.members(node, "properties"), places.members(node, "patternProperties")
        change.members = self._each(declared, (*place, "properties"))
        if isinstance(node.get("items"), dict):
            change.items = self._visit(node["items"], (*place, "items"))
        here = (*place, "patternProperties")
        names = {key: dialect.validator(Compiled({"pattern": rules.regex(key, here)})) for key in patterns}
        change.others += [Others(inner, names[key]) for key, inner in self._each(patterns, here).items()]
        if isinstance(node.get("additionalProperties"), dict):
            inner = self._visit(node["additionalProperties"], (*place, "additionalProperties"))
            change.others.append(Others(inner, None, frozenset(declared), tuple(names.values())))

    def _each(self, members: Node, place: Place) -> dict[str, Change]:
        return {key: self._visit(one, (*place, key)) for key, one in members.items()}

    def _beside(self, change: Change, node: Node, place: Place, inside: str) -> None:
        if "children" in node:
            change.also.append(Change(members=self._each(places.members(node, "children"), (*place, "children"))))
        if "$ref" in node:
            change.also.append(self._referred(str(node["$ref"]), place, inside))
        for index, one in enumerate(_list(node, "allOf")):
            change.also.append(self._visit(one, (*place, "allOf", index), inside))

    def _choices(self, change: Change, node: Node, place: Place, inside: str) -> None:
        for keyword in ("anyOf", "oneOf"):
            earlier: tuple[Validator, ...] = ()
            branches = _list(node, keyword)
            for index, one in enumerate(branches if _may_change(branches) else ()):
                here = (*place, keyword, index)
                condition = self._condition(one, here)
                change.choices.append(Choice(condition, self._visit(one, here, inside), earlier=earlier))
                earlier += (condition,)
        for keyword, wanted in (("then", True), ("else", False)):
            if "if" in node and keyword in node:
                inner = self._visit(node[keyword], (*place, keyword), inside)
                change.choices.append(Choice(self._condition(node["if"], (*place, "if")), inner, wanted))
        if "switch" in node:
            self._cases(change, node, place, inside)

    def _cases(self, change: Change, node: Node, place: Place, inside: str) -> None:
        for key, one in places.members(node, "case").items():
            condition = dialect.validator(dialect.is_case(str(node["switch"]), (key,)))
            change.choices.append(Choice(condition, self._visit(one, (*place, "case", key), inside)))
        if isinstance(node.get("default"), dict):
            inner = self._visit(node["default"], (*place, "default"), inside)
            change.choices.append(Choice(dialect.validator(dialect.is_default(node)), inner))

    def _condition(self, value: object, place: Place) -> Validator:
        compiled = self._compiler.compile(value, place)
        return dialect.validator(compiled, self._exact if self._compiler.has_references else None)

    def _referred(self, reference: str, place: Place, inside: str) -> Change:
        self._leads.setdefault(inside, set()).add(reference)
        if reference not in self._known:
            self._known[reference] = Change()
            meant = dialect.target(self._root, reference, place)
            self._visit(meant, _place(reference), reference, self._known[reference])
        return self._known[reference]

    def _refuse_circles(self) -> None:
        """A reference that means itself says nothing, and a value would be changed by it for ever."""
        for start in filter(None, self._leads):
            reached: set[str] = set()
            ahead = [start]
            while ahead:
                new = self._leads.get(ahead.pop(), set()) - reached
                reached |= new
                ahead += new
            if start in reached:
                raise UsageError(
                    f"{start!r} leads back to itself",
                    where=places.where(_place(start)),
                    help="let what it means say something of its own",
                )


def _place(reference: str) -> Place:
    return (*ROOT, *reference.split("/")[1:])


def _list(node: Node, keyword: str) -> list[object]:
    found = node.get(keyword)
    return found if isinstance(found, list) else []


def _prune(change: Change, done: dict[int, bool]) -> bool:
    """Take out what changes nothing, and say whether anything is left; what leads back to itself is kept."""
    if id(change) in done:
        return done[id(change)]
    done[id(change)] = True
    change.choices = [choice for choice in change.choices if _prune(choice.change, done)]
    change.also = [one for one in change.also if _prune(one, done)]
    change.members = {key: one for key, one in change.members.items() if _prune(one, done)}
    change.others = [one for one in change.others if _prune(one.change, done)]
    if change.items is not None and not _prune(change.items, done):
        change.items = None
    parts = (change.choices, change.steps, change.also, change.members, change.others, change.items)
    done[id(change)] = any(parts)
    return done[id(change)]
