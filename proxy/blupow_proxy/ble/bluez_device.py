"""What BlueZ and the kernel keep of one device beyond its link: the bond, what it has discovered, the parameters."""

import asyncio
import contextlib
from typing import Final

from bleak import BleakClient
from bleak.backends.device import BLEDevice

from blupow_proxy.errors import BleError, GattError, LinkLostError

from .adapter import Adapter
from .advertisement import AddressType
from .bluez import Bluez, device_name
from .connection_parameters import ConnectionParameters, load
from .failures import ENDED
from .gatt_failures import REQUEST_NOT_SUPPORTED
from .kernel_orders import DISCONNECT, order, packed

LOOK_S: Final = 0.05  # between questions whether discovery has ended, under the deadline of connecting
_TYPES: Final = {"public": AddressType.PUBLIC, "random": AddressType.RANDOM}


class BluezDevice:
    """A device by address; where there is no BlueZ, there is nothing to keep."""

    def __init__(self, adapter: Adapter, address: str) -> None:
        self._adapter = adapter
        self._address = address
        self._type: AddressType | None = None
        self._offered_by: Bluez | None = None

    def found(self, device: BLEDevice) -> None:
        """Note what the scan has told."""
        if self._adapter.is_system:
            self._type = _TYPES.get(device.details["props"]["AddressType"])

    async def offer_pairing(self) -> None:
        """Let it pair when it wants that, from now on; BleError."""
        if (bluez := self._adapter.bluez) is not None:
            self._offered_by = bluez[0]
            await self._offered_by.offer_pairing(self._address)

    def withdraw_offer(self) -> None:
        """Let it not pair any more."""
        if self._offered_by is not None:  # also when there is no adapter any more
            self._offered_by.welcome.discard(device_name(self._address))

    async def check_services(self, client: BleakClient) -> None:
        """Return once bleak has every service that BlueZ has discovered; BleError when it has not.

        bleak goes by signals, of which it may have missed some, and a client keeps what it is told for ever.
        """
        if (bluez := self._adapter.bluez) is None:
            return
        while (offered := await bluez[0].offered(bluez[1], self._address)) is None:
            if not client.is_connected:
                raise LinkLostError(self._address, ENDED)
            await asyncio.sleep(LOOK_S)
        if offered != {one.obj[0] for one in client.services.characteristics.values()}:
            if not await self.is_paired():
                await self.remove()  # bleak learns of it anew
            raise LinkLostError(self._address, "its services were not told as a whole: try again")

    async def mtu(self, client: BleakClient) -> int | None:
        """Return the MTU of the link, where BlueZ tells it; BleError.

        bleak has what it was when it came to know of the device: BlueZ signals no change.
        """
        first = next(iter(client.services.characteristics.values()), None)
        bluez = self._adapter.bluez
        return None if bluez is None or first is None else await bluez[0].mtu(self._address, first.obj[0])

    async def pair(self, client: BleakClient) -> None:
        """Pair; not under a deadline, and raises what bleak does."""
        if (bluez := self._adapter.bluez) is None:
            await client.pair()
        else:
            await bluez[0].pair(bluez[1], self._address)

    async def is_held(self, *, maybe_ours: bool) -> bool:
        """Return whether another program is connected to it, ``maybe_ours`` being a link of our adapter; BleError."""
        if (bluez := self._adapter.bluez) is None:
            return False
        connected = await bluez[0].connected_to(self._address)
        return bool(connected - {bluez[1]} if maybe_ours else connected)

    async def is_paired(self) -> bool:
        """Return whether there is a bond; BleError."""
        return (bluez := self._adapter.bluez) is not None and await bluez[0].is_paired(bluez[1], self._address)

    async def remove(self) -> None:
        """Have it forgotten, with its bond and its link; BleError."""
        if (bluez := self._adapter.bluez) is not None:
            await bluez[0].remove(bluez[1], self._address)

    async def set_parameters(self, wanted: ConnectionParameters) -> None:
        """Have the link updated; GattError where that can't be."""
        if self._type is None or (index := self._adapter.index) is None:
            raise GattError(self._address, REQUEST_NOT_SUPPORTED, "only links of this machine's adapter have some")
        await load(index, self._address, self._type, wanted)

    async def hang_up(self, client: BleakClient) -> None:
        """End a link that stands where the kernel lets us; BlueZ, which waits for 2 s before that, was asked already.

        One that hangs would never learn of the end, and then believe in the link for ever: it has to answer first.
        """
        if client.is_connected and self._type is not None and (bluez := self._adapter.bluez) is not None:
            with contextlib.suppress(BleError):
                await bluez[0].ping()
                if (index := self._adapter.index) is not None:
                    await order(index, DISCONNECT, packed(self._address, self._type))
