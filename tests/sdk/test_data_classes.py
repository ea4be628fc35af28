"""The classes that wrappers fill in and read (wrapper.md 1.3, RULE; checklist 2 to 5)."""

import json

import pytest

from athena_serving.sdk import DataListCls, DataListNode, Response, ResponseData, SessionCreateResponse


def test_fresh_response_data_is_empty_once_text() -> None:
    """The defaults are those that every published wrapper can live with."""
    fresh = ResponseData()
    assert (fresh.key, fresh.data, fresh.len, fresh.type, fresh.status) == ("", b"", 0, 0, 3)


def test_text_becomes_utf8_and_counts_bytes() -> None:
    """A str is encoded, and the length is that of the bytes."""
    item = ResponseData()
    item.data = "é"
    assert (item.data, item.len) == (b"\xc3\xa9", 2)


@pytest.mark.parametrize("data", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_of_any_kind_are_taken_as_they_are(data: object) -> None:
    """No copy is made of what is bytes already."""
    item = ResponseData(data=data)
    assert item.data == b"x"
    assert item.content is item.data


def test_view_of_wider_items_counts_bytes() -> None:
    """A memoryview of numbers is its bytes."""
    assert ResponseData(data=memoryview(b"abcdefgh").cast("I")).len == 8


def test_data_of_another_type_is_refused_by_name() -> None:
    """The error says what came and what would do."""
    with pytest.raises(TypeError, match=r"bytes, bytearray, memoryview or str, not dict"):
        ResponseData(data={})
    with pytest.raises(TypeError, match="int"):
        ResponseData(key="k", data=5)


def test_declared_length_shortens_but_never_lengthens() -> None:
    """ASF's bridge read beyond the buffer; we deliver at most what is there."""
    item = ResponseData(data=b"ab")
    item.len = 1
    assert bytes(item.content) == b"a"
    item.len = 99
    assert (bytes(item.content), item.len) == (b"ab", 99)
    item.len = -1
    assert bytes(item.content) == b""


def test_new_data_forgets_the_declared_length() -> None:
    """A length counts for the data that it was set after."""
    item = ResponseData(len=1, data=b"ab")
    item.data = b"abc"
    assert (item.len, item.content) == (3, b"abc")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (ResponseData("k", b"abc", 2, 1, 0), ("k", b"ab", 1, 0)),
        (ResponseData("k", b"abc", 0), ("k", b"abc", 0, 3)),
        (ResponseData("k", 2, 1, 3), ("k", b"", 3, 1)),
        (ResponseData(key="k", data="abc", length=2, type=None, status=1), ("k", b"ab", 0, 1)),
    ],
)
def test_both_positional_orders_are_understood(item: ResponseData, expected: tuple[object, ...]) -> None:
    """`aiges.dto` and `aiges_embed` order their arguments differently."""
    assert (item.key, item.content, item.type, item.status) == expected


def test_data_type_is_checked_when_it_is_set_by_method() -> None:
    """`setDataType` refuses what is no type, as in `aiges.dto`."""
    item = ResponseData()
    item.setDataType(2)
    item.setData(b"x")
    assert (item.type, item.len) == (2, 1)
    with pytest.raises(ValueError, match="no data type 7"):
        item.setDataType(7)


def test_items_show_themselves_without_their_bytes() -> None:
    """Wrappers log whole lists; a picture must not end up in the log."""
    assert repr(ResponseData("k", b"secret")) == "ResponseData(key='k', len=6, type=0, status=3)"
    assert json.loads(ResponseData("k", b"a\xff").toJSON())["data"] == "a\ufffd"


def test_response_list_is_a_list() -> None:
    """Appending and assigning both work."""
    answer = Response()
    answer.list.append(ResponseData("a", b"1"))
    assert [item.key for item in answer.outputs] == ["a"]
    answer.list = [ResponseData("b", b"2")]
    assert [item.key for item in answer.outputs] == ["b"]
    assert [item.key for item in Response(list=[ResponseData("c", b"3")]).outputs] == ["c"]


def test_lone_untouched_item_is_no_output() -> None:
    """`aiges.dto` puts one into every new Response."""
    assert Response([ResponseData()]).outputs == []


def test_response_err_answers_itself() -> None:
    """`return Response().response_err(5)` is how wrappers fail."""
    answer = Response()
    assert answer.response_err(5) is answer
    assert answer.error_code == 5


def test_request_finds_the_first_of_a_name() -> None:
    """A missing name is None; of two alike the first counts."""
    request = DataListCls([DataListNode("a", b"1"), DataListNode("a", b"2")])
    found = request.get("a")
    assert found is not None
    assert found.get_data() == b"1"
    assert request.get("b") is None


def test_request_list_can_be_formatted() -> None:
    """47 published wrappers do this."""
    assert "len=1" in "%s" % DataListCls([DataListNode("a", b"1")]).list  # noqa: UP031  # it is what they write


def test_input_data_is_bytes_whatever_it_came_as() -> None:
    """Wrappers hand it to `json.loads` or decode it."""
    node = DataListNode("a", memoryview(b"{}"), type=0, status=3, desc={"encoding": "utf8"})
    assert (type(node.data), node.data.decode(), node.len, node.desc) == (bytes, "{}", 2, {"encoding": "utf8"})
    node.data = "é"
    assert node.get_data() == b"\xc3\xa9"


def test_input_can_be_made_with_a_length() -> None:
    """Wrappers' own tests make inputs; the length shortens what is there, as with outputs."""
    node = DataListNode(key="a", data=b"abc", len=2, type=1, status=0)
    assert (node.content, node.len, node.type, node.status) == (b"ab", 2, 1, 0)


def test_session_answer_has_handle_and_code() -> None:
    """What `wrapperCreate` returns."""
    assert json.loads(SessionCreateResponse("h", 0).toJSON()) == {"handle": "h", "error_code": 0}
