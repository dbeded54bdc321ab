import time

import pytest
from bluetooth_data_tools import parse_advertisement_data
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.ble import AddressType, RawAdvertisement
from blupow_proxy.bluetooth_proxy import Rules, Verdict, address_number, address_text
from blupow_proxy.bluetooth_proxy.rules import MAX_NAMES, device_name

OWN, TOY, LAMP = "C4:D3:6A:00:00:01", "AA:BB:CC:00:00:02", "AA:BB:CC:00:00:03"


def named(address: str, name: str = "", kind: int = 9) -> RawAdvertisement:
    data = b"\x02\x01\x06" + (bytes([len(name.encode()) + 1, kind]) + name.encode() if name else b"")
    return RawAdvertisement(address_number(address), AddressType.PUBLIC, -60, data)


def heard(rules: Rules, address: str, name: str = "") -> bool:
    return rules.hears(named(address, name))


def test_addresses_are_written_and_numbered() -> None:
    assert address_number("AA:BB:CC:00:00:02") == 0xAABBCC000002
    assert address_text(0xAABBCC000002) == "AA:BB:CC:00:00:02"
    assert address_text(0x2) == "00:00:00:00:00:02"
    assert address_text((1 << 64) - 1) == "FF:FF:FF:FF:FF:FF"


def test_our_own_are_never_heard_nor_connected() -> None:
    rules = Rules(owned=[OWN], allow=[OWN, "*"])
    assert not heard(rules, OWN, "BT-TH-1")
    assert rules.verdict(address_number(OWN)) is Verdict.OWNED
    assert heard(Rules(owned=[OWN]), TOY)
    assert rules.owned == {address_number(OWN)}


def test_what_is_denied_by_address() -> None:
    rules = Rules(owned=[], deny=[TOY.lower()])
    assert not heard(rules, TOY, "Toy")
    assert heard(rules, LAMP)
    assert rules.verdict(address_number(TOY)) is Verdict.DENIED


def test_what_is_allowed_by_address_is_all() -> None:
    rules = Rules(owned=[], allow=[TOY])
    assert heard(rules, TOY)
    assert not heard(rules, LAMP, "Lamp")


def test_a_star_alone_is_every_device_also_one_without_a_name() -> None:
    denying, allowing = Rules(owned=[], deny=["*"]), Rules(owned=[], allow=["*"])
    for name in ("", "Lamp"):
        assert not heard(denying, LAMP, name)
        assert heard(allowing, LAMP, name)
    assert not heard(Rules(owned=[], allow=[TOY], deny=["*"]), TOY)
    assert not heard(Rules(owned=[], allow=["*p"]), LAMP)


def test_what_is_denied_is_not_allowed() -> None:
    rules = Rules(owned=[], allow=[TOY, "Lamp*"], deny=[TOY, "*kitchen"])
    assert not heard(rules, TOY)
    assert heard(rules, LAMP, "Lamp hall")
    assert not heard(rules, LAMP, "Lamp Kitchen")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("Toy", "Toy", True),
        ("Toy", "TOY", True),
        ("Toy", "Toy 1", False),
        ("Toy*", "toy 1", True),
        ("*1", "toy 1", True),
        ("T*y*1", "Toy 21", True),
        ("T?y", "Toy", False),
        ("T[o]y", "Toy", False),
        ("T.y", "Toy", False),
        ("Toy", "Toy   ", True),  # modules pad their names
        ("Toy", "Toy\0\0\0", True),
        ("Toy*1", "Toy\0 1", False),
        ("Gerät*", "gerät 7", True),
        ("*", "x", True),
        ("*a*b*", "xxaxxabxx", True),
        ("*a*b", "abcb", True),
        ("a*a", "a", False),
        ("*ab*a", "xaba", True),
    ],
)
def test_names_are_exact_but_for_stars_and_case(pattern: str, name: str, fits: bool) -> None:
    assert heard(Rules(owned=[], allow=[pattern]), TOY, name) is fits
    assert heard(Rules(owned=[], deny=[pattern]), TOY, name) is not fits


def test_a_name_is_remembered_for_what_comes_without() -> None:
    rules = Rules(owned=[], allow=["Toy"])
    assert not heard(rules, TOY)
    assert rules.verdict(address_number(TOY)) is Verdict.DENIED
    assert heard(rules, TOY, "Toy")
    assert heard(rules, TOY)
    assert rules.verdict(address_number(TOY)) is Verdict.FREE
    assert not heard(rules, TOY, "Tool")
    assert not heard(rules, TOY)


def test_a_shortened_name_changes_nothing_of_what_the_whole_has_told() -> None:
    """Many devices say it in the advertisement, and the whole one in the scan response alone."""
    whole, short = named(TOY, "Toothbrush"), named(TOY, "Tooth", kind=8)
    denying, allowing = Rules(owned=[], deny=["Toothbrush"]), Rules(owned=[], allow=["Toothbrush"])
    assert denying.hears(short)
    assert not allowing.hears(short)
    for advertisement in (whole, short, short, whole, short):
        assert not denying.hears(advertisement)
        assert allowing.hears(advertisement)
    assert denying.hears(named(TOY, "Lamp"))
    assert not allowing.hears(named(TOY, "Lamp"))
    renamed = Rules(owned=[], deny=["Tooth*"])
    assert not renamed.hears(short)
    assert renamed.hears(named(TOY, "Toy", kind=8))


def test_only_so_many_names_are_remembered_the_latest() -> None:
    rules = Rules(owned=[], allow=["Toy"])
    for number in range(MAX_NAMES + 10):
        assert heard(rules, address_text(number), "Toy")
        assert heard(rules, address_text(0), "Toy")  # which is heard again and again
    assert len(rules._names) == MAX_NAMES
    assert rules.verdict(0) is Verdict.FREE
    assert rules.verdict(5) is Verdict.DENIED
    assert rules.verdict(MAX_NAMES + 9) is Verdict.FREE


def test_names_that_make_no_difference_take_no_place() -> None:
    """Else a crowd with names would bring back what is denied by its own."""
    rules = Rules(owned=[], deny=["Toy"])
    assert not heard(rules, TOY, "Toy")
    for number in range(MAX_NAMES + 10):
        assert heard(rules, address_text(number), f"stranger {number}")
    assert not heard(rules, TOY)
    assert heard(rules, TOY, "Tool")
    assert rules._names == {}


def test_a_complete_name_goes_before_a_short_one() -> None:
    assert device_name(b"\x03\x08ab\x04\x09abc") == (b"abc", True)
    assert device_name(b"\x04\x09abc\x03\x08ab") == (b"abc", True)
    assert device_name(b"\x03\x08ab") == (b"ab", False)
    assert device_name(b"\x01\x09\x03\x08ab") == (b"ab", False)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x05", b"\x02\x01\x06", b"\x01\x09", b"\x00\x00\x00"])
def test_no_name(data: bytes) -> None:
    assert device_name(data) == (None, False)


@pytest.mark.parametrize("data", [b"\x03\x08ab\0\0\x04\x09abc", b"\0\x03\x08ab\x09\x09abcdef", b"\x09\x09abc"])
def test_a_name_is_what_clients_read(data: bytes) -> None:
    read = parse_advertisement_data([data]).local_name
    assert device_name(data)[0] == (None if read is None else read.encode())


def test_a_name_that_fits_almost_costs_no_time() -> None:
    rules = Rules(owned=[], deny=["*a*a*b"] * 100)
    started = time.thread_time()
    assert heard(rules, TOY, "a" * 253)
    assert time.thread_time() - started < 1.0  # with a try for each of its ways, it were 4


@given(st.binary(max_size=80), st.lists(st.text(max_size=8), max_size=3), st.lists(st.text(max_size=8), max_size=3))
def test_any_bytes_and_any_lists(data: bytes, allow: list[str], deny: list[str]) -> None:
    rules = Rules(owned=[OWN], allow=allow, deny=deny)
    advertisement = RawAdvertisement(2, AddressType.RANDOM, -1, data)
    assert rules.hears(advertisement) is (rules.verdict(2) is Verdict.FREE)
