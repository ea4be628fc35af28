"""Categories: which service a request goes to (http-api.md 5.3)."""

from collections.abc import Mapping

import pytest

from athena_serving.errors import RouteNotFound, UsageError
from athena_serving.wire import category
from athena_serving.wire.category import Category, Choice

ZH = {"subServiceId": "zh", "priority": 2, "rules": {"$.parameter.iat.language": ["zh", "yue"]}}
FAST = {"subServiceId": "fast", "priority": 3, "rules": {"$.parameter.iat.language": "zh", "$.parameter.iat.speed": 2}}
ANY = {"subServiceId": "any", "rules": {}}


def parsed(*branches: object, **meta: object) -> Category:
    """A category with these branches."""
    return category.parse({"meta": {"serviceId": "iat", "type": "category", "subRoute": [*branches], **meta}})


def asking(**params: object) -> dict[str, object]:
    """A request with these parameters."""
    return {"parameter": {"iat": params}}


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (asking(language="zh"), "zh"),
        (asking(language="yue"), "zh"),
        (asking(language="zh", speed=2), "fast"),
        (asking(language="zh", speed="2"), "fast"),
        (asking(language="zh", speed=3), "zh"),
        (asking(language="en"), "any"),
        (asking(), "any"),
        ({}, "any"),
        ({"parameter": []}, "any"),
    ],
)
def test_first_branch_by_priority_whose_rules_all_hold_wins(request_: Mapping[str, object], target: str) -> None:
    """The order in the document does not matter, and values are compared by their string form."""
    assert parsed(ANY, ZH, FAST).pick(request_).target == target


def test_no_branch_is_said_in_asfs_words() -> None:
    """400 with code 10404."""
    with pytest.raises(RouteNotFound, match="no companion route found") as caught:
        parsed(ZH).pick(asking(language="en"))
    assert (caught.value.code, caught.value.http) == (10404, 400)


def test_route_key_joins_the_values_that_it_names() -> None:
    """By the ends of the rules' paths, in the order of `routeKey`."""
    one = parsed(FAST, routeKey=["speed", "language", "nothing"])
    assert one.pick(asking(language="zh", speed=2)) == Choice("fast", "2_zh")


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("$.a.b", {"a": {"b": "x"}}),
        ("$['a'].b", {"a": {"b": "x"}}),
        ('$["a"]["b"]', {"a": {"b": "x"}}),
        ("$.a[1]", {"a": ["", "x"]}),
        ("$['a.b']", {"a.b": "x"}),
    ],
)
def test_paths_name_one_place(path: str, request_: object) -> None:
    """Members by dot or bracket, array items by number."""
    assert parsed({"subServiceId": "s", "rules": {path: "x"}}).pick(request_).target == "s"


@pytest.mark.parametrize("request_", [{"a": ["x"]}, {"a": "x"}, {"a": {"1": "x"}}, [], None, 5])
def test_place_that_is_not_there_is_no_match(request_: object) -> None:
    """Whatever stands in its way."""
    with pytest.raises(RouteNotFound):
        parsed({"subServiceId": "s", "rules": {"$.a[1]": "x"}}).pick(request_)


@pytest.mark.parametrize(
    ("branch", "words", "where"),
    [
        ("zh", "sub Route item must be map", "meta.subRoute.0"),
        ({"rules": {}}, "sub serviceId cannot be empty", "meta.subRoute.0.subServiceId"),
        ({"subServiceId": "s", "rules": []}, "rules must be map", "meta.subRoute.0.rules"),
        ({"subServiceId": "s", "priority": "high"}, "priority must be a number", "meta.subRoute.0.priority"),
        ({"subServiceId": "s", "rules": {"a.b": 1}}, "jsonpath compile error!", "meta.subRoute.0.rules"),
        ({"subServiceId": "s", "rules": {"$": 1}}, "jsonpath compile error!", "meta.subRoute.0.rules"),
        ({"subServiceId": "s", "rules": {"$.a[*]": 1}}, "jsonpath compile error!", "meta.subRoute.0.rules"),
    ],
)
def test_malformed_branch_is_said_with_its_place(branch: object, words: str, where: str) -> None:
    """ASF's words, where it has them."""
    with pytest.raises(UsageError) as caught:
        parsed(branch)
    assert words in caught.value.message
    assert caught.value.where == where


@pytest.mark.parametrize(
    "meta", [{"subRoute": []}, {"subRoute": {}}, {"serviceId": ""}, {"codeMap": []}, {"sub": "a\nb"}]
)
def test_malformed_meta_is_said(meta: dict[str, object]) -> None:
    """A category must lead somewhere, and have a name."""
    with pytest.raises(UsageError):
        category.parse({"meta": {"serviceId": "iat", "type": "category", "subRoute": [ANY], **meta}})


def test_companion_route_is_the_only_path() -> None:
    """A document with one is a category, whatever its type says, and its name opens no other path."""
    document = {"meta": {"serviceId": "iat", "companion_route": "/v2/iat", "route": "/v1/iat", "subRoute": [ANY]}}
    assert category.is_category(document)
    one = category.parse(document)
    assert (one.routes, one.is_exclusive) == (("/v2/iat",), True)
    assert not category.is_category({"meta": {"serviceId": "iat", "type": "", "companion_route": ""}})


def test_rest_of_meta_is_read_as_for_any_service() -> None:
    """Routes and hosts, one or many, and the statuses of codes."""
    one = parsed(
        ANY, sub="iat", route="/v1/iat", hosts=["a.example", "b.example"], codeMap={"10110": "430", "x": 400, "1": 900}
    )
    assert (one.routes, one.hosts, one.code_map) == (("/v1/iat",), ("a.example", "b.example"), {10110: 430})
    assert (one.sub, one.is_exclusive) == ("iat", False)
