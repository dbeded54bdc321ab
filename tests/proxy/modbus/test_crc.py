from blupow_proxy.modbus import append_crc, crc16


def test_known_frame() -> None:
    assert append_crc(bytes.fromhex("ff0301000022")) == bytes.fromhex("ff0301000022d1f1")


def test_initial_value() -> None:
    assert crc16(b"") == 0xFFFF
