"""A virtual Bluetooth link: peripherals on one side, an adapter for bleak on the other."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from bumble.link import LocalLink

from blupow_proxy.ble import Adapter

from .backend import bind
from .peripheral import Peripheral, make_device
from .unit import SimulatedUnit

if TYPE_CHECKING:
    from bumble.device import Device

_CENTRAL_ADDRESS = "F0:F1:F2:F3:F4:F5"


class VirtualRadio:
    """Puts units on a link; ``adapter`` makes bleak use it."""

    def __init__(self, units: Iterable[SimulatedUnit]) -> None:
        self._units = list(units)
        self.peripherals: dict[str, Peripheral] = {}
        self.central: Device

    async def __aenter__(self) -> Self:
        """Power everything on."""
        link = LocalLink()  # type: ignore[no-untyped-call]
        self.central = make_device(link, "central", _CENTRAL_ADDRESS)
        await self.central.power_on()
        for unit in self._units:
            peripheral = Peripheral(unit, link)
            self.peripherals[unit.address] = peripheral
            await peripheral.start()
        client, scanner = bind(self)
        self.adapter = Adapter("virtual", client_backend=client, scanner_backend=scanner)
        await self.central.start_scanning(active=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Power everything off."""
        await self.central.stop_scanning()
        for connection in list(self.central.connections.values()):
            await connection.disconnect()
        for peripheral in self.peripherals.values():
            await peripheral.stop()
        await self.central.power_off()
