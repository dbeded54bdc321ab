from itertools import pairwise
from typing import Any

from aioesphomeapi import api_pb2
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from aioesphomeapi.model import BluetoothGATTServices
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.ble import GattCharacteristic, GattDescriptor, GattService
from blupow_proxy.bluetooth_proxy import packets
from blupow_proxy.native_api import Packet

ADDRESS = 0xAABBCC000002


def read(message: Packet) -> Any:
    number, body = message
    return MESSAGE_TYPE_TO_PROTO[number].FromString(body)


def test_the_slots_are_not_padded() -> None:
    message = read(packets.slots(1, 3, (0xA1, 0xA2)))
    assert (message.free, message.limit, list(message.allocated)) == (1, 3, [0xA1, 0xA2])


def test_the_scanner() -> None:
    message = read(packets.scanner_state(2, active=False, configured_active=True))
    assert (message.state, message.mode, message.configured_mode) == (2, 0, 1)


def test_connections() -> None:
    message = read(packets.connected(ADDRESS, 247))
    assert (message.address, message.connected, message.mtu, message.error) == (ADDRESS, True, 247, 0)
    message = read(packets.disconnected(ADDRESS, 0x3E))
    assert (message.address, message.connected, message.mtu, message.error) == (ADDRESS, False, 0, 0x3E)


def test_outcomes_are_well_or_have_an_error() -> None:
    for build, kind, well in (
        (packets.paired, api_pb2.BluetoothDevicePairingResponse, "paired"),
        (packets.unpaired, api_pb2.BluetoothDeviceUnpairingResponse, "success"),
        (packets.cache_cleared, api_pb2.BluetoothDeviceClearCacheResponse, "success"),
    ):
        for error in (0, 5, -1):
            message = read(build(ADDRESS, error))
            assert type(message) is kind
            assert (message.address, getattr(message, well), message.error) == (ADDRESS, not error, error)
    message = read(packets.parameters_set(ADDRESS, 6))
    assert (message.address, message.error) == (ADDRESS, 6)


def test_answers_about_handles() -> None:
    message = read(packets.gatt_error(ADDRESS, 7, -1))
    assert (message.address, message.handle, message.error) == (ADDRESS, 7, -1)
    for build, kind in (
        (packets.value_read, api_pb2.BluetoothGATTReadResponse),
        (packets.notified, api_pb2.BluetoothGATTNotifyDataResponse),
    ):
        message = read(build(ADDRESS, 7, b"\0x"))
        assert type(message) is kind
        assert (message.address, message.handle, message.data) == (ADDRESS, 7, b"\0x")
    for build, kind in (
        (packets.value_written, api_pb2.BluetoothGATTWriteResponse),
        (packets.notify_changed, api_pb2.BluetoothGATTNotifyResponse),
    ):
        message = read(build(ADDRESS, 7))
        assert type(message) is kind
        assert (message.address, message.handle) == (ADDRESS, 7)


def test_a_device_without_services_has_none() -> None:
    (done,) = map(read, packets.services(ADDRESS, ()))
    assert type(done) is api_pb2.BluetoothGATTGetServicesDoneResponse
    assert done.address == ADDRESS


UUIDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda uuid: str(uuid).upper()),
    st.integers(0, 0xFFFF).map("{:08x}-0000-1000-8000-00805f9b34fb".format),
    st.integers(0, 0xFFFF_FFFF).map("{:08x}-0000-1000-8000-00805f9b34fb".format),
)
HANDLES = st.integers(1, 0xFFFF)
DESCRIPTORS = st.builds(GattDescriptor, HANDLES, UUIDS)
CHARACTERISTICS = st.builds(
    GattCharacteristic, HANDLES, UUIDS, st.integers(0, 255), st.lists(DESCRIPTORS, max_size=3).map(tuple)
)
OFFERED = st.lists(
    st.builds(GattService, HANDLES, UUIDS, st.lists(CHARACTERISTICS, max_size=60).map(tuple)), max_size=9
)


@given(OFFERED)
def test_clients_read_the_same_services_in_messages_of_a_packet_each(offered: list[GattService]) -> None:
    *batches, done = map(read, packets.services(ADDRESS, offered))
    assert type(done) is api_pb2.BluetoothGATTGetServicesDoneResponse
    for batch in batches:
        assert batch.address == ADDRESS
        assert len(batch.services) == 1 or sum(one.ByteSize() for one in batch.services) <= packets.SERVICES_BYTES
    for one, following in pairwise(batches):  # as few as fit
        size = sum(service.ByteSize() for service in one.services) + following.services[0].ByteSize()
        assert size > packets.SERVICES_BYTES
    found = [service for batch in batches for service in BluetoothGATTServices.from_pb(batch).services]
    assert [(one.handle, one.uuid) for one in found] == [(one.handle, one.uuid.lower()) for one in offered]
    for one, service in zip(found, offered, strict=True):
        assert [(c.handle, c.uuid, c.properties) for c in one.characteristics] == [
            (c.handle, c.uuid.lower(), c.properties) for c in service.characteristics
        ]
        assert [[(d.handle, d.uuid) for d in c.descriptors] for c in one.characteristics] == [
            [(d.handle, d.uuid.lower()) for d in c.descriptors] for c in service.characteristics
        ]


def test_short_uuids_are_sent_short() -> None:
    message = read(packets.services(ADDRESS, [GattService(1, "0000180F-0000-1000-8000-00805F9B34FB")])[0])
    assert message.services[0].short_uuid == 0x180F
    assert not message.services[0].uuid
    message = read(packets.services(ADDRESS, [GattService(1, "0f0e0d0c-0b0a-0908-0706-050403020100")])[0])
    assert not message.services[0].short_uuid
    assert list(message.services[0].uuid) == [0x0F0E0D0C0B0A0908, 0x0706050403020100]
