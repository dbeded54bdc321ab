import pytest
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.errors import FrameError
from blupow_proxy.modbus import ReadRequest, WriteRequest, append_crc, decode_request


def test_read() -> None:
    request = ReadRequest(0xFF, 0x0100, 34)
    assert request.encode().hex() == "ff0301000022d1f1"
    assert request.function == 3


def test_write() -> None:
    request = WriteRequest(0xFF, 0x010A, 1)
    assert request.encode().hex() == "ff06010a00017c2a"
    assert request.function == 6


@pytest.mark.parametrize(
    ("address", "register", "words"),
    [(0, 0, 1), (256, 0, 1), (1, -1, 1), (1, 0x10000, 1), (1, 0, 0), (1, 0, 126)],
)
def test_read_refuses(address: int, register: int, words: int) -> None:
    with pytest.raises(ValueError, match="not in"):
        ReadRequest(address, register, words)


@pytest.mark.parametrize("value", [-1, 0x10000])
def test_write_refuses(value: int) -> None:
    with pytest.raises(ValueError, match="not in"):
        WriteRequest(1, 0, value)


@given(st.integers(1, 255), st.integers(0, 0xFFFF), st.integers(1, 125), st.booleans())
def test_round_trip(address: int, register: int, operand: int, write: bool) -> None:
    request = (WriteRequest if write else ReadRequest)(address, register, operand)
    assert decode_request(request.encode()) == request


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"\x01\x03", "8 bytes"),
        (bytes.fromhex("ff0301000022d1f0"), "CRC"),
        (append_crc(bytes.fromhex("ff7800000001")), "0x78"),
        (append_crc(bytes.fromhex("ff7900000001")), "0x79"),
        (append_crc(bytes.fromhex("ff1000000001")), "0x10"),
        (append_crc(bytes.fromhex("ff0300000000")), "words"),
    ],
)
def test_decode_refuses(frame: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode_request(frame)


def test_the_length_of_an_answer_is_known() -> None:
    assert ReadRequest(0xFF, 256, 34).reply_bytes == 73
    assert WriteRequest(0xFF, 0x010A, 1).reply_bytes == 8
