"""What a Bluetooth proxy says of itself, and which of a client's messages are for it."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final


class BluetoothFeature(IntFlag):
    """What clients may ask of a Bluetooth proxy, as on the wire."""

    PASSIVE_SCAN = 1 << 0
    ACTIVE_CONNECTIONS = 1 << 1
    REMOTE_CACHING = 1 << 2  # clients refuse to connect without it
    PAIRING = 1 << 3
    CACHE_CLEARING = 1 << 4
    RAW_ADVERTISEMENTS = 1 << 5
    STATE_AND_MODE = 1 << 6
    CONNECTION_PARAMETERS = 1 << 7


LISTENING: Final = BluetoothFeature.PASSIVE_SCAN | BluetoothFeature.RAW_ADVERTISEMENTS | BluetoothFeature.STATE_AND_MODE
"""Hearing what is on the air; anything else needs connections."""

BLUETOOTH_REQUESTS: Final = frozenset(
    {
        "SubscribeBluetoothLEAdvertisementsRequest",
        "UnsubscribeBluetoothLEAdvertisementsRequest",
        "SubscribeBluetoothConnectionsFreeRequest",
        "BluetoothScannerSetModeRequest",
        "BluetoothDeviceRequest",
        "BluetoothGATTGetServicesRequest",
        "BluetoothGATTReadRequest",
        "BluetoothGATTWriteRequest",
        "BluetoothGATTReadDescriptorRequest",
        "BluetoothGATTWriteDescriptorRequest",
        "BluetoothGATTNotifyRequest",
        "BluetoothSetConnectionParamsRequest",
    }
)


@dataclass(frozen=True, slots=True)
class BluetoothInfo:
    """The proxy's ``features`` where encryption is set, and the ``mac`` (AA:BB:CC:DD:EE:FF) that names its scanner."""

    features: BluetoothFeature
    mac: str

    def features_for(self, *, encrypted: bool) -> BluetoothFeature:
        """Return what a client is offered: without encryption, listening alone."""
        return self.features if encrypted else self.features & LISTENING
