"""Flags in Go's way: every form that its programs take, and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena_serving.cli import goflags
from athena_serving.cli.goflags import Flag
from athena_serving.errors import UsageError

FLAGS = {"m": Flag("mode", "N"), "c": Flag("file", "FILE"), "v": Flag("version")}


@pytest.mark.parametrize("words", [["-m=0"], ["--m=0"], ["-m", "0"], ["--m", "0"], ["-m=1", "-m=0"], ["-m=0", "--"]])
def test_every_form_of_a_value_is_taken(words: list[str]) -> None:
    """One dash or two, `=` or a space; the last one counts."""
    assert goflags.parse(words, FLAGS).values == {"m": "0"}


@pytest.mark.parametrize(("word", "value"), [("-v", "true"), ("--v=1", "true"), ("-v=T", "true"), ("-v=false", "")])
def test_switches_need_no_value(word: str, value: str) -> None:
    """A switch takes a value behind `=` only."""
    assert goflags.parse([word, "-m=0"], FLAGS).values == {"v": value, "m": "0"}


@pytest.mark.parametrize("rest", [["x", "-m=1"], ["-"], []])
def test_first_plain_word_ends_the_flags(rest: list[str]) -> None:
    """What comes after it is handed back, whatever it looks like."""
    assert goflags.parse(["-m=0", *rest], FLAGS) == ({"m": "0"}, tuple(rest))


def test_value_may_look_like_a_flag() -> None:
    """A flag that needs a value takes the next word, as it is; behind the first `=` all belongs to it."""
    assert goflags.parse(["-c", "-v", "-m==a=b"], FLAGS).values == {"c": "-v", "m": "=a=b"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-x"], "no flag -x"),
        (["---m=0"], "no flag ---m=0"),
        (["-=0"], "no flag -=0"),
        (["-m"], "-m needs a value"),
        (["-v=maybe"], "-v is a switch, and 'maybe' is neither true nor false"),
    ],
)
def test_what_is_no_flag_is_refused(words: list[str], message: str) -> None:
    """The word is named."""
    with pytest.raises(UsageError) as caught:
        goflags.parse(words, FLAGS)
    assert caught.value.message == message
    assert caught.value.help


@given(st.dictionaries(st.sampled_from(["m", "c"]), st.text()), st.booleans())
def test_any_value_comes_through(values: dict[str, str], is_joined: bool) -> None:
    """Whatever a value holds, it is what was written."""
    words = [
        word for name, value in values.items() for word in ([f"-{name}={value}"] if is_joined else [f"-{name}", value])
    ]
    assert goflags.parse(words, FLAGS).values == values


def test_usage_has_a_line_for_each_flag() -> None:
    """Names, values and words are in columns."""
    assert goflags.usage(FLAGS) == "  -m=N     mode\n  -c=FILE  file\n  -v       version"
