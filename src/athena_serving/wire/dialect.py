"""ASF's schema dialect, keyword by keyword, as standard JSON Schema (http-api.md 5.4; docs/schema.md).

Here are the walk through a document, the keywords that have schemas inside, and the table of all; keywords about one
value are in `rules`, those that change a request in `changes`.

Two schemas are made of one document. The exact one says it in full: lengths in bytes, enums by string form, null among
them. The fast one counts characters and takes an enum as it is written: for a request of ASCII what it accepts is
right, what it refuses is asked again. That holds only where accepting more inside never refuses more outside, so what
stands in a condition or under `not` is exact in both.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, Protocol

import jsonschema_rs

from athena_serving.errors import UsageError
from athena_serving.wire import places, rules
from athena_serving.wire.meta import Node, text
from athena_serving.wire.places import Place
from athena_serving.wire.rules import Compiled, Rule, rule

ROOT: Final[Place] = ("schemainput",)

IGNORED: Final = frozenset(
    {"title", "comment", "description", "$schema", "$comment", "examples", "nullable"}  # null passes in any case
)


class Validator(Protocol):
    """What we use of a `jsonschema_rs` validator."""

    def is_valid(self, instance: object) -> bool:
        """Is it right? Stops at the first error."""

    def iter_errors(self, instance: object) -> Iterator[jsonschema_rs.ValidationError]:
        """All errors. Raises ValueError for what is nested too deeply."""


class Compiler:
    """One walk through the schema of a request."""

    def __init__(self, root: Node, *, is_exact: bool, base: str = "") -> None:
        self.root = root
        self.is_exact = is_exact
        self.base = base
        """What references start with; empty in the schema that they refer to."""
        self.has_references = False
        """Has the walk met a `$ref`?"""

    def compile(self, value: object, place: Place = ROOT) -> Compiled:
        """A node and what is inside it. Raises UsageError with the place of what is wrong."""
        node = places.node(value, place)
        compiled = Compiled()
        for keyword in node:
            if keyword not in IGNORED:
                translate = KEYWORDS.get(keyword)
                if translate is None:
                    raise places.stranger("keyword", keyword, KEYWORDS, (*place, keyword))
                compiled.add(translate(self, node, (*place, keyword)))
        if "properties" in compiled:  # closed, unless the document says otherwise
            compiled.setdefault("additionalProperties", False)
        if compiled.get("additionalProperties") is False:
            compiled.setdefault("properties", {})  # without it the validator does not say which member is unknown
            compiled.words["additionalProperties"] = "unknown field"
            _refuse_undeclared(compiled, place)
        return compiled

    def condition(self, value: object, place: Place) -> Compiled:
        """A node that must not refuse more than the document does."""
        compiler = self if self.is_exact else Compiler(self.root, is_exact=True, base=self.base)
        return compiler.compile(value, place)

    def each(self, value: object, place: Place) -> dict[str, object]:
        """Nodes by name."""
        return {key: self.compile(node, (*place, key)) for key, node in places.node(value, place).items()}


Translate = Callable[[Compiler, Node, Place], Compiled]
"""From a node of the document, and the place of the keyword in it."""


def _refuse_undeclared(node: Compiled, place: Place) -> None:
    """A member that is required and unknown could never be right; ASF refuses such a document."""
    declared, required = node.get("properties"), node.get("required")
    if isinstance(declared, dict) and isinstance(required, list) and "patternProperties" not in node:
        for name in required:
            if name not in declared:
                raise UsageError(
                    f"{name!r} is required, but not among the properties",
                    where=places.where((*place, "required")),
                    help="declare it in properties",
                )


# ── members and items ─────────────────────────────────────────────────────────────────────────────


def _properties(compiler: Compiler, node: Node, place: Place) -> Compiled:
    return Compiled({"properties": compiler.each(node["properties"], place)})


def _children(compiler: Compiler, node: Node, place: Place) -> Compiled:
    """As `properties`, but the object stays open."""
    return Compiled({"allOf": [Compiled({"properties": compiler.each(node["children"], place)})]})


def _additional(compiler: Compiler, node: Node, place: Place) -> Compiled:
    value = node["additionalProperties"]
    return Compiled({"additionalProperties": value if isinstance(value, bool) else compiler.compile(value, place)})


def _patterns(compiler: Compiler, node: Node, place: Place) -> Compiled:
    members = places.node(node["patternProperties"], place).items()
    found = {rules.regex(key, (*place, key)): compiler.compile(value, (*place, key)) for key, value in members}
    return Compiled({"patternProperties": found})


def _items(compiler: Compiler, node: Node, place: Place) -> Compiled:
    return Compiled({"items": compiler.compile(node["items"], place)})


def _contains(compiler: Compiler, node: Node, place: Place) -> Compiled:
    return rule("contains", compiler.compile(node["contains"], place), "has no item that it must contain")


def _key_match(_: Compiler, node: Node, place: Place) -> Compiled:
    """Members that must be there and be equal, not only by string form."""
    found = Compiled({"allOf": []})
    for key, value in places.node(node["keyMatch"], place).items():
        words = f"value must be {text(value)}"
        match = rule("required", [key], words)
        match["properties"] = {key: rule("enum", [value], words)}
        found.add(Compiled({"allOf": [match]}))
    return found


# ── branches ──────────────────────────────────────────────────────────────────────────────────────


def _branches(keyword: str) -> Translate:
    def translate(compiler: Compiler, node: Node, place: Place) -> Compiled:
        nodes = places.array(node[str(place[-1])], place)
        if not nodes:
            raise places.refusal(place, "a list of schemas, not empty", nodes)
        return Compiled({keyword: [compiler.compile(one, (*place, index)) for index, one in enumerate(nodes)]})

    return translate


def _not(compiler: Compiler, node: Node, place: Place) -> Compiled:
    return rule("not", compiler.condition(node["not"], place), "is not valid")


def _if(compiler: Compiler, node: Node, place: Place) -> Compiled:
    return Compiled({"if": compiler.condition(node["if"], place)})


def _branch(compiler: Compiler, node: Node, place: Place) -> Compiled:
    """`then` and `else`, which say nothing without `if`."""
    keyword = str(place[-1])
    return Compiled({keyword: compiler.compile(node[keyword], place)})


def _switch(compiler: Compiler, node: Node, place: Place) -> Compiled:
    """The case that a member's value names, by string form, and `default` if it names none."""
    member = places.name(node["switch"], place)
    home = place[:-1]
    branches: list[object] = []
    for key, inner in places.node(node.get("case", {}), (*home, "case")).items():
        then = compiler.compile(inner, (*home, "case", key))
        branches.append(Compiled({"if": is_case(member, (key,)), "then": then}))
    if isinstance(node.get("default"), dict):
        other = compiler.compile(node["default"], (*home, "default"))
        branches.append(Compiled({"if": is_default(node), "then": other}))
    return Compiled({"allOf": branches})


def is_case(member: str, keys: tuple[str, ...]) -> Compiled:
    """The condition that an object's `member` has one of these string forms; null has none."""
    values = [form for key in keys for form in rules.forms(key)]
    return Compiled({"type": "object", "properties": {member: Compiled({"enum": values})}, "required": [member]})


def is_default(node: Node) -> Compiled:
    """The condition that an object is in no case of a `switch`."""
    member, cases = str(node["switch"]), node.get("case")
    return Compiled({"type": "object", "not": is_case(member, tuple(cases) if isinstance(cases, Mapping) else ())})


# ── references ────────────────────────────────────────────────────────────────────────────────────


def _definitions(compiler: Compiler, node: Node, place: Place) -> Compiled:
    keyword = str(place[-1])
    return Compiled({keyword: compiler.each(node[keyword], place)})


def _reference(compiler: Compiler, node: Node, place: Place) -> Compiled:
    compiler.has_references = True
    target(compiler.root, node["$ref"], place)
    return Compiled({"$ref": f"{compiler.base}{node['$ref']}"})


def target(root: Node, reference: object, place: Place) -> object:
    """What a `$ref` means: the schema of the request, or one of its definitions. Raises UsageError if neither."""
    found: object = root
    steps = str(reference).split("/")
    is_ours = steps[0] == "#" and (len(steps) == 1 or (len(steps) == 3 and steps[1] in ("definitions", "$defs")))
    for step in steps[1:] if is_ours else ():
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    if not is_ours or found is None:
        raise UsageError(
            f"{reference!r} is no schema in this document",
            where=places.where(place),
            help="#, #/definitions/NAME or #/$defs/NAME, which schemainput has; nothing is fetched from elsewhere",
        )
    return found


# ── the table ─────────────────────────────────────────────────────────────────────────────────────


def _plain(one: Rule) -> Translate:
    return lambda compiler, node, place: one(node[str(place[-1])], place, compiler.is_exact)


def _elsewhere(*_: object) -> Compiled:
    return Compiled()


KEYWORDS: Final[dict[str, Translate]] = {
    "type": _plain(rules.type_),
    "enum": _plain(rules.enum),
    "enums": _plain(rules.enum),
    "const": _plain(rules.const),
    "minLength": _plain(rules.length("min", "larger or equal")),
    "maxLength": _plain(rules.length("max", "less or equal")),
    "minB64DLen": _plain(rules.base64_length("min", "large or equal")),  # ASF's word
    "maxB64DLen": _plain(rules.base64_length("max", "less or equal")),
    "pattern": _plain(rules.pattern),
    "format": _plain(rules.format_),
    "minimum": _plain(rules.bound("minimum", "larger or equal")),
    "maximum": _plain(rules.bound("maximum", "less or equal")),
    "exclusiveMinimum": _plain(rules.bound("exclusiveMinimum", "larger")),
    "exclusiveMaximum": _plain(rules.bound("exclusiveMaximum", "less")),
    "multipleOf": _plain(rules.multiple),
    "properties": _properties,
    "children": _children,
    "additionalProperties": _additional,
    "patternProperties": _patterns,
    "required": _plain(rules.required),
    "dependencies": _plain(rules.dependencies),
    "keyMatch": _key_match,
    "minProperties": _plain(rules.size(("minProperties", "minItems"), "sub items number at least has")),
    "maxProperties": _plain(rules.size(("maxProperties", "maxItems"), "sub items number at most has")),
    "items": _items,
    "contains": _contains,
    "minItems": _plain(rules.size(("minItems",), "length must be larger or equal than")),
    "maxItems": _plain(rules.size(("maxItems",), "length must be less or equal than")),
    "uniqueItems": _plain(rules.unique),
    # Both mean "at least one" in ASF's library.
    "anyOf": _branches("anyOf"),
    "oneOf": _branches("anyOf"),
    "allOf": _branches("allOf"),
    "not": _not,
    "if": _if,
    "then": _branch,
    "else": _branch,
    "switch": _switch,
    "case": _elsewhere,  # switch
    "default": _elsewhere,  # switch; without one it is a defaultVal
    "error": _plain(rules.failure),
    "$ref": _reference,
    "definitions": _definitions,
    "$defs": _definitions,
    # These change the request, after the check (wire/changes.py).
    **dict.fromkeys(("delete", "replaceKey", "defaultVal", "constVal", "setVal", "formatVal"), _elsewhere),
}
"""Every keyword."""


# ── validators ────────────────────────────────────────────────────────────────────────────────────


class _MaxBytes:
    """Custom keyword: a string of at most `limit` bytes in UTF-8."""

    def __init__(self, _parent: object, limit: int, _path: object) -> None:
        self.limit = limit

    def validate(self, value: object) -> None:
        if isinstance(value, str) and len(value.encode()) > self.limit:
            raise ValueError("too long")


class _MinBytes(_MaxBytes):
    """Custom keyword: a string of at least `limit` bytes in UTF-8."""

    def validate(self, value: object) -> None:
        if isinstance(value, str) and len(value.encode()) < self.limit:
            raise ValueError("too short")


_new: Final = partial(
    jsonschema_rs.Draft202012Validator,
    keywords={"maxBytes": _MaxBytes, "minBytes": _MinBytes},
    pattern_options=rules.PATTERNS,
    email_options=jsonschema_rs.EmailOptions(allow_display_text=False),
    validate_formats=True,
    ignore_unknown_formats=False,
    offline=True,
)


BASE: Final = "urn:athena:request"
"""Name of the whole schema, for references from a part of it."""


def validator(compiled: Compiled, whole: Compiled | None = None) -> Validator:
    """A validator for compiled schema, or for a part of `whole` that was compiled with `BASE`.

    Raises UsageError if the engine does not take it: a string is no Unicode, or it is nested too deeply.
    """
    try:
        registry = None if whole is None else jsonschema_rs.Registry([(BASE, whole)])
        return _new(compiled, registry=registry)
    except ValueError as error:  # its own refusals are of this class as well
        raise UsageError(
            f"the schema does not compile: {str(error).splitlines()[0]}",
            where=places.where(ROOT),
            help="nest it less deeply, and write it in Unicode",
        ) from None
