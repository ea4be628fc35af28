"""Session ids (http-api.md, chapter 9)."""

import re

import pytest

from athena_serving.wire.sid import Sids

FORM = re.compile(r"^.{3}00[0-9a-f]{2}[0-9a-f]{4}@[a-z]{2}[0-9a-f]{11}[0-9a-f]{4}[0-9]{2}2$")


def test_id_is_the_documented_example() -> None:
    """The worked example of the specification."""
    sids = Sids(pid=0x19, ip="10.2.0.1", port=1888)
    assert sids.next(0x1A207F509D3 / 1000) == "ase00190001@dx1a207f509d30001182"


@pytest.mark.parametrize("ip", ["192.168.7.9", b"\xc0\xa8\x07\x09", "::1", "fe80::c0a8:709"])
@pytest.mark.parametrize("port", [7, 80, 1888, 65535])
def test_id_has_the_form_for_every_address(ip: str | bytes, port: int) -> None:
    """32 characters, whatever the address, the port and the process."""
    sid = Sids(pid=123456, ip=ip, port=port).next(1_790_000_000.25)
    assert FORM.match(sid)
    assert len(sid) == 32


def test_ids_of_one_moment_differ() -> None:
    """They are counted."""
    sids = Sids(pid=1, ip="127.0.0.1", port=1888)
    assert len({sids.next(1.0) for _ in range(1000)}) == 1000


def test_count_wraps_at_16_bits() -> None:
    """The length never changes."""
    sids = Sids(pid=1, ip="127.0.0.1", port=1888)
    seen = [sids.next(1.0)[7:11] for _ in range(0x10001)]
    assert (seen[0], seen[0xFFFE], seen[0xFFFF], seen[0x10000]) == ("0001", "ffff", "0000", "0001")


@pytest.mark.parametrize(("sub", "start"), [("", "src"), ("a", "  a"), ("longer", "longer")])
def test_sub_is_padded_but_never_cut(sub: str, start: str) -> None:
    """As in ASF."""
    assert Sids(pid=1, ip="127.0.0.1", port=1888).next(1.0, sub).startswith(f"{start}0001")


def test_text_that_is_no_address_is_refused() -> None:
    """A host name must be resolved by whoever has one."""
    with pytest.raises(OSError, match="illegal IP address"):
        Sids(pid=1, ip="localhost", port=1888)
