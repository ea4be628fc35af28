"""ASF's schema dialect, interpreted in plain Python: slow and obvious, for comparison with what is compiled.

Written from http-api.md 5.4 and docs/schema.md, not from the compiler. Of formats it knows two.
"""

import copy
import ipaddress
import json
import operator
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

Found = tuple[str, str]
"""Pointer and words."""

Node = dict[str, Any]


_BOUNDS: tuple[tuple[str, Callable[[Fraction, Fraction], bool], str], ...] = (
    ("minimum", operator.ge, "larger or equal"),
    ("maximum", operator.le, "less or equal"),
    ("exclusiveMinimum", operator.gt, "larger"),
    ("exclusiveMaximum", operator.lt, "less"),
)


def text(value: object) -> str:
    """The string form of a scalar, for numbers that need no exponent; of all else, JSON."""
    if isinstance(value, list):
        return ";".join(map(text, value))
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def equal(one: object, other: object) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


def alike(one: object, other: object) -> bool:
    """Equal, or of one string form."""
    return equal(one, other) or (isinstance(one, str | int | float) and text(one) == text(other))


def is_number(value: object) -> bool:
    """Booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def step(name: object) -> str:
    """One step of a pointer."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")


class Reference:
    """A schema of requests."""

    def __init__(self, root: Node) -> None:
        self.root = root

    def problems(self, value: object) -> list[Found]:
        """What is wrong with a request."""
        return self.check(self.root, value, "")

    def is_right(self, node: Node, value: object) -> bool:
        """Does a value pass one node?"""
        return not self.check(node, value, "")

    def meant(self, reference: str) -> Node:
        """What a reference means."""
        found = self.root
        for name in reference.split("/")[1:]:
            found = found[name]
        return found

    def check(self, node: Node, value: object, at: str) -> list[Found]:
        """What is wrong with a value at a pointer."""
        found = list(self.anywhere(node, value, at))
        if isinstance(value, str):
            found += self.in_text(node, value, at)
        elif is_number(value):
            found += self.in_number(node, value, at)
        elif isinstance(value, list):
            found += self.in_list(node, value, at)
        elif isinstance(value, dict):
            found += self.in_object(node, value, at)
        return found

    # ── any value ─────────────────────────────────────────────────────────────────────────────────

    def anywhere(self, node: Node, value: object, at: str) -> Iterator[Found]:
        """Keywords that look at every value."""
        yield from self.values(node, value, at)
        for keyword in ("anyOf", "oneOf"):
            branches = [self.check(branch, value, at) for branch in node.get(keyword, [])]
            if branches and all(branches):
                yield from (one for branch in branches for one in branch)
        for branch in node.get("allOf", []):
            yield from self.check(branch, value, at)
        if "not" in node and self.is_right(node["not"], value):
            yield at, "is not valid"
        if "if" in node:
            yield from self.check(node.get("then" if self.is_right(node["if"], value) else "else", {}), value, at)
        if "error" in node:
            yield at, text(node["error"])
        if "$ref" in node:
            yield from self.check(self.meant(node["$ref"]), value, at)

    def values(self, node: Node, value: object, at: str) -> Iterator[Found]:
        """Types and lists of values, which null passes."""
        if value is None:
            return
        if "type" in node and (words := self.type_words(node["type"], value)):
            yield at, words
        for keyword in ("enum", "enums"):
            if keyword in node and not any(alike(value, one) for one in node[keyword]):
                yield at, f"must be one of [{' '.join(map(text, node[keyword]))}]"
        if "const" in node and not alike(value, node["const"]):
            yield at, f"value should always be {text(node['const'])}"

    def type_words(self, given: str | list[str], value: object) -> str:
        """What is said of a wrong type."""
        names = given if isinstance(given, list) else given.split("|")
        is_type = {
            "string": isinstance(value, str),
            "number": is_number(value),
            "integer": is_number(value) and value == int(value),  # type: ignore[call-overload]  # it is a number
            "boolean": isinstance(value, bool),
            "bool": isinstance(value, bool),
            "object": isinstance(value, dict),
            "array": isinstance(value, list),
            "null": False,
        }
        if any(is_type[name] for name in names):
            return ""
        if len(names) > 1:
            return f"type should be one of {'|'.join(names)}"
        if names == ["integer"] and isinstance(value, float):
            return f"type should be integer, but float:{text(value)}"
        return f"type {'must' if names == ['string'] else 'should'} be {names[0]}"

    # ── one type ──────────────────────────────────────────────────────────────────────────────────

    def in_text(self, node: Node, value: str, at: str) -> Iterator[Found]:
        """Keywords about text."""
        size = len(value.encode())
        yield from self.sizes(node, size, at, ("minLength", "maxLength"))
        rough = size // 4 * 3
        if rough > node.get("maxB64DLen", rough):
            yield at, f"length must be less or equal than {node['maxB64DLen']}"
        if rough < node.get("minB64DLen", rough):
            yield at, f"length must be large or equal than {node['minB64DLen']}"
        if "pattern" in node and not re.search(node["pattern"], value, re.ASCII):
            yield at, f"{value[:64]} ,value does not match pattern: {node['pattern']}"
        if node.get("format") == "phone" and not (len(value) == 11 and value[0] == "1"):
            yield at, "invalid phone number"
        if node.get("format") == "ipv4":
            try:
                ipaddress.IPv4Address(value)
            except ValueError:
                yield at, "invalid IPv4 address"

    def sizes(self, node: Node, size: int, at: str, keywords: tuple[str, str]) -> Iterator[Found]:
        """A least and a most."""
        least, most = keywords
        if size < node.get(least, size):
            yield at, f"length must be larger or equal than {node[least]}"
        if size > node.get(most, size):
            yield at, f"length must be less or equal than {node[most]}"

    def in_number(self, node: Node, value: Any, at: str) -> Iterator[Found]:
        """Keywords about numbers."""
        exact = Fraction(str(value))
        for keyword, is_right, words in _BOUNDS:
            if keyword in node and not is_right(exact, Fraction(str(node[keyword]))):
                yield at, f"value must be {words} than {text(node[keyword])}"
        if "multipleOf" in node:
            quotient = exact / Fraction(str(node["multipleOf"]))
            if quotient.denominator != 1:
                said = f"value must be multipleOf {text(node['multipleOf'])},but:{text(value)}"
                yield at, f"{said}, divide:{text(float(quotient))}"

    def in_list(self, node: Node, value: list[object], at: str) -> Iterator[Found]:
        """Keywords about arrays."""
        yield from self.sizes(node, len(value), at, ("minLength", "maxLength"))
        yield from self.sizes(node, len(value), at, ("minItems", "maxItems"))
        yield from self.counts(node, len(value), at)
        if node.get("uniqueItems") and any(equal(one, two) for i, one in enumerate(value) for two in value[:i]):
            yield at, "items must differ from each other"
        if "contains" in node and not any(self.is_right(node["contains"], one) for one in value):
            yield at, "has no item that it must contain"
        for index, one in enumerate(value):
            yield from self.check(node.get("items", {}), one, at + step(index))

    def counts(self, node: Node, size: int, at: str) -> Iterator[Found]:
        """How many members."""
        if size < node.get("minProperties", size):
            yield at, f"sub items number at least has {node['minProperties']}"
        if size > node.get("maxProperties", size):
            yield at, f"sub items number at most has {node['maxProperties']}"

    def in_object(self, node: Node, value: dict[str, object], at: str) -> Iterator[Found]:
        """Keywords about objects."""
        yield from self.counts(node, len(value), at)
        for name in node.get("required", []):
            if name not in value:
                yield at + step(name), "field is required"
        for name, others in node.get("dependencies", {}).items():
            for other in others:
                if name in value and other not in value:
                    yield at + step(other), "is required"
        for name, wanted in node.get("keyMatch", {}).items():
            if name not in value or not equal(value[name], wanted):
                yield at + step(name), f"value must be {text(wanted)}"
        for name, one in value.items():
            for inner in self.inner(node, name):
                yield from self.check(inner, one, at + step(name))
            if self.is_other(node, name) and node.get("additionalProperties", "properties" not in node) is False:
                yield at + step(name), "unknown field"
        if "switch" in node:
            yield from self.check(self.case(node, value), value, at)

    def inner(self, node: Node, name: str) -> Iterator[Node]:
        """The nodes that a member must pass."""
        for keyword in ("properties", "children"):
            if name in node.get(keyword, {}):
                yield node[keyword][name]
        for pattern, inner in node.get("patternProperties", {}).items():
            if re.search(pattern, name):
                yield inner
        if self.is_other(node, name) and isinstance(node.get("additionalProperties"), dict):
            yield node["additionalProperties"]

    def is_other(self, node: Node, name: str) -> bool:
        """Is it a member that no keyword names?"""
        return name not in node.get("properties", {}) and not any(
            re.search(pattern, name) for pattern in node.get("patternProperties", {})
        )

    def case(self, node: Node, value: dict[str, object]) -> Node:
        """The branch of a switch."""
        member = value.get(node["switch"])
        if isinstance(member, str | int | float) and text(member) in node.get("case", {}):
            found: Node = node["case"][text(member)]
            return found
        other: Node = node.get("default", {})
        return other

    # ── changes ───────────────────────────────────────────────────────────────────────────────────

    def fill(self, value: object) -> object:
        """A request as it is forwarded."""
        changed = copy.deepcopy(value)
        self.change(self.root, changed)
        return changed

    def change(self, node: Node, value: object) -> None:
        """One node's changes, in place."""
        chosen = list(self.chosen(node, value))
        if isinstance(value, dict):
            self.own_changes(node, value)
        if isinstance(value, dict):
            for name, inner in node.get("children", {}).items():
                if name in value:
                    self.change(inner, value[name])
        for branch in [*([self.meant(node["$ref"])] if "$ref" in node else []), *node.get("allOf", []), *chosen]:
            self.change(branch, value)
        if isinstance(value, dict):
            for name, one in value.items():
                for inner in self.inner({**node, "children": {}}, name):
                    self.change(inner, one)
        elif isinstance(value, list):
            for one in value:
                self.change(node.get("items", {}), one)

    def chosen(self, node: Node, value: object) -> Iterator[Node]:
        """The branches that are taken."""
        for keyword in ("anyOf", "oneOf"):
            yield from [branch for branch in node.get(keyword, []) if self.is_right(branch, value)][:1]
        if "if" in node:
            yield node.get("then" if self.is_right(node["if"], value) else "else", {})
        if "switch" in node and isinstance(value, dict):
            yield self.case(node, value)

    def flat(self, node: Node) -> Node:
        """A member's node, with what its references say of it."""
        seen, said = [node], node
        while "$ref" in node and (node := self.meant(node["$ref"])) not in seen:
            seen.append(node)
            said = {**node, **said}
        return said

    def own_changes(self, node: Node, value: dict[str, object]) -> None:
        """The keywords themselves, for constants only."""
        for name in node.get("delete", []):
            value.pop(name, None)
        members = {
            name: self.flat(one) for name, one in {**node.get("children", {}), **node.get("properties", {})}.items()
        }
        for name, one in members.items():
            if "replaceKey" in one and name in value:
                value.setdefault(one["replaceKey"], copy.deepcopy(value[name]))
        for name, one in members.items():
            if "defaultVal" in one:
                value.setdefault(name, copy.deepcopy(one["defaultVal"]))
        for name, one in members.items():
            if "constVal" in one:
                value[name] = copy.deepcopy(one["constVal"])
        value.update(copy.deepcopy(node.get("setVal", {})))
        for name, one in members.items():
            if one.get("formatVal") == "string" and value.get(name) is not None:
                value[name] = text(value[name])
