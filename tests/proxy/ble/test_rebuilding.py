"""What is made of BlueZ's properties."""

from typing import Any

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from blupow_proxy.ble import AddressType, rebuilding
from blupow_proxy.ble.rebuilding import Rebuilder

DEVICE = BLEDevice("C4:D3:6A:00:00:01", "x", None)
BATTERY = "0000180f-0000-1000-8000-00805f9b34fb"
NAME, POWER = b"\4\x09one", b"\2\x0a\4"
MAKER, SERVICE = b"\4\xff\x4c\0\7", b"\4\x16\x0f\x18\x64"


def told(props: dict[str, Any]) -> AdvertisementData:
    """Return what bleak makes of the properties."""
    return AdvertisementData(
        props.get("Name"),
        props.get("ManufacturerData", {}),
        props.get("ServiceData", {}),
        props.get("UUIDs", []),
        props.get("TxPower"),
        props.get("RSSI", -127),
        ("/org/bluez/hci0/dev_C4_D3_6A_00_00_01", props),
    )


def properties(**more: Any) -> dict[str, Any]:
    return {"RSSI": -70, "AddressType": "random", "Name": "one"} | more


def test_all_that_bluez_knows() -> None:
    props = properties(ManufacturerData={0x4C: b"\7"}, ServiceData={BATTERY: b"\x64"}, TxPower=4, UUIDs=[BATTERY])
    props |= {"Appearance": 0x340, "AdvertisingFlags": bytearray(b"\6")}
    found = Rebuilder().rebuild(DEVICE, told(props), repeats=True)
    assert found is not None
    assert (found.address, found.address_type, found.rssi) == (0xC4D36A000001, AddressType.RANDOM, -70)
    assert found.data == b"\2\1\6" + b"\3\3\x0f\x18" + MAKER + SERVICE + b"\3\x19\x40\3" + POWER + NAME


def test_content_is_told_with_the_advertisement_that_had_it() -> None:
    subject = Rebuilder()
    maker, service = {0x4C: b"\7"}, {BATTERY: b"\x64"}
    props = properties(ManufacturerData=maker)

    def data(*, repeats: bool = True, **more: Any) -> bytes:
        found = subject.rebuild(DEVICE, told(props | more), repeats=repeats)
        assert found is not None
        return found.data

    assert data() == MAKER + NAME
    assert data(ServiceData=service) == SERVICE + NAME
    assert data(ServiceData=service) == NAME
    assert data(ServiceData=service, ManufacturerData=dict(maker)) == MAKER + NAME
    assert data(ServiceData=service, ManufacturerData=maker) == MAKER + NAME
    assert data(repeats=False, ServiceData=service, ManufacturerData=maker) == MAKER + SERVICE + NAME


def test_what_is_no_advertisement() -> None:
    subject = Rebuilder()
    props = properties(Connected=False)
    assert subject.rebuild(DEVICE, told(props), repeats=True) is not None
    assert subject.rebuild(DEVICE, told(props | {"Connected": True}), repeats=True) is None
    assert subject.rebuild(DEVICE, told(props | {"Connected": True}), repeats=True) is not None
    gone = {key: value for key, value in props.items() if key != "RSSI"}
    assert subject.rebuild(DEVICE, told(gone), repeats=True) is None


def test_a_backend_without_properties() -> None:
    data = told(properties())._replace(platform_data=())
    found = Rebuilder().rebuild(DEVICE, data, repeats=True)
    assert found is not None
    assert (found.address_type, found.data) == (AddressType.PUBLIC, NAME)


def test_what_is_remembered_is_bounded() -> None:
    subject = Rebuilder()
    for number in range(rebuilding.MAX_REMEMBERED + 10):
        device = BLEDevice(f"C4:D3:6A:00:{number >> 8:02X}:{number & 255:02X}", None, None)
        subject.rebuild(device, told(properties()), repeats=True)
    assert len(subject._last) == rebuilding.MAX_REMEMBERED
