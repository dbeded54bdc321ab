import pytest
from aioesphomeapi import api_pb2

from blupow_proxy.native_api import fnv1_32, fnv1a_32, object_id_of
from blupow_proxy.native_api.wire import encode_varint, printable


def test_hashes_of_a_real_device() -> None:
    assert fnv1_32("battery_voltage") == 1226776003
    assert fnv1a_32("inv1") == 3784093483
    assert fnv1a_32("") == 0


def test_object_id() -> None:
    assert object_id_of("Battery Voltage") == "battery_voltage"
    assert object_id_of("Ladezustand (%)-1") == "ladezustand____-1"


@pytest.mark.parametrize("value", [1, 127, 128, 300, 3784093483])
def test_varint_is_protobufs(value: int) -> None:
    assert b"\x08" + encode_varint(value) == api_pb2.AreaInfo(area_id=value).SerializeToString()


def test_peer_text_is_printable_and_short() -> None:
    assert printable("a\x1b[31m\n" + "b" * 100) == "a?[31m?" + "b" * 57
