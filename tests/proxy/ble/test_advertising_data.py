"""AD structures, as a real client reads them."""

from bluetooth_data_tools import parse_advertisement_data
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.ble.advertising_data import MAX_BYTES, describe, encode, says_something, structures

SHORT = "0000180f-0000-1000-8000-00805f9b34fb"
MIDDLE = "12345678-0000-1000-8000-00805f9b34fb"
LONG = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"


def test_what_is_described_is_read_again() -> None:
    data = encode(
        describe(
            name="Wärme",
            service_uuids=[SHORT, LONG, MIDDLE],
            manufacturer_data={0x4C: b"\1\2", 0xFFFF: b""},
            service_data={SHORT: b"d", MIDDLE: b"e", LONG: b"f"},
            tx_power=-12,
            appearance=0x340,
            flags=b"\6",
        )
    )
    parsed = parse_advertisement_data([data])
    assert parsed.local_name == "Wärme"
    assert sorted(parsed.service_uuids) == [SHORT, MIDDLE, LONG]
    assert parsed.manufacturer_data == {0x4C: b"\1\2", 0xFFFF: b""}
    assert parsed.service_data == {SHORT: b"d", MIDDLE: b"e", LONG: b"f"}
    assert parsed.tx_power == -12
    assert (0x19, b"\x40\x03") in list(structures(data))
    assert data.startswith(b"\2\1\6")


def test_nothing_is_made_up() -> None:
    assert encode(describe()) == b""
    assert encode(describe(service_uuids=["none"], service_data={"": b"x"}, manufacturer_data={1 << 16: b"x"})) == b""
    assert encode(describe(tx_power=400, appearance=-1)) == b""


def test_many_services_are_several_lists() -> None:
    uuids = [f"0000{number:04x}-0000-1000-8000-00805f9b34fb" for number in range(300)]
    data = encode(describe(service_uuids=uuids))
    assert [kind for kind, _ in structures(data)] == [3, 3, 3]
    assert b"".join(content for _, content in structures(data)) == b"".join(n.to_bytes(2, "little") for n in range(300))


def test_what_is_too_long_is_left_out() -> None:
    assert encode([(9, bytes(255)), (8, b"x")]) == b"\2\x08x"
    assert len(encode([(9, bytes(254))] * 20)) <= MAX_BYTES


def test_what_says_something() -> None:
    assert not says_something(b"")
    assert not says_something(bytes.fromhex("020106020af4"))
    assert not says_something(bytes.fromhex("0201060109"))
    assert says_something(bytes.fromhex("020106020941"))


@given(st.binary(max_size=80))
def test_structures_of_any_bytes(data: bytes) -> None:
    for found in structures(data):
        data = data.lstrip(b"\0")
        assert data.startswith(encode([found]))
        data = data.removeprefix(encode([found]))


def test_what_an_advertisement_was_filled_up_with_hides_no_scan_response() -> None:
    data = bytes.fromhex("020106") + bytes(28) + bytes.fromhex("020941")
    assert list(structures(data)) == [(1, b"\6"), (9, b"A")]
    assert says_something(data)
    assert parse_advertisement_data([data]).local_name == "A"


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=30)), max_size=10))
def test_what_is_encoded_is_found_again(parts: list[tuple[int, bytes]]) -> None:
    assert list(structures(encode(parts))) == parts
