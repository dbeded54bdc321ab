from aioesphomeapi import api_pb2
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.ble import AddressType, RawAdvertisement
from blupow_proxy.bluetooth_proxy.advertisements import advertisements, encode_advertisement

RAW = st.builds(
    RawAdvertisement,
    st.integers(0, (1 << 48) - 1),
    st.sampled_from(AddressType),
    st.integers(-128, 127),
    st.one_of(st.binary(max_size=62), st.binary(min_size=120, max_size=300)),
)


@given(st.lists(RAW, max_size=20))
def test_protobuf_reads_the_same(heard: list[RawAdvertisement]) -> None:
    number, body = advertisements([encode_advertisement(one) for one in heard])
    assert number == 93
    message = api_pb2.BluetoothLERawAdvertisementsResponse.FromString(body)
    assert [(one.address, one.address_type, one.rssi, one.data) for one in message.advertisements] == [
        (one.address, one.address_type, one.rssi, one.data) for one in heard
    ]
