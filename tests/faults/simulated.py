"""The whole proxy on simulated units in this process, at the pauses that real devices need, and a real client."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client import KEY, NAME, Client

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, VirtualRadio, World, demo_units
from blupow_proxy.simulator.peripheral import Peripheral
from blupow_proxy.storage import Storage

ROVER, CHARGER, BATTERY, INVERTER, SHUNT = NAMES = ("Rover", "Charger", "Battery", "Inverter", "Shunt")
READY_S: Final = 40.0  # for all units to be found, read and listed


@dataclass(slots=True)
class Running:
    """A proxy, what it reads, and who listens."""

    proxy: Proxy
    radio: VirtualRadio
    client: Client

    def peripheral(self, name: str) -> Peripheral:
        """Return what a unit of the configuration is read from."""
        (config,) = (config for config in self.proxy.config.renogy if config.name == name)
        return self.radio.peripherals[config.address]

    def unit(self, name: str) -> SimulatedUnit:
        """Return a simulated unit by its name in the configuration."""
        return self.peripheral(name).unit


def still_world() -> World:
    """Return a world in which everything stays as it is: whatever changes in a reading is a fault."""
    return World(speed=0.0)


def units(*names: str, world: World | None = None) -> dict[str, SimulatedUnit]:
    """Return some of the demo's units (all unless given) by name."""
    return {
        name: unit
        for name, unit in zip(NAMES, demo_units(world or still_world()), strict=True)
        if not names or name in names
    }


def inverters(count: int, world: World) -> dict[str, SimulatedUnit]:
    """Return several inverters, whose blocks are of one length more often than other families'."""
    return {
        f"Inverter {number}": SimulatedUnit(
            f"D8:B6:73:00:01:{number:02X}",
            f"BTRIC1340001{number:02d}",
            [Member(Family.INVERTER, 32)],
            world,
            needs_wake=True,
        )
        for number in range(1, count + 1)
    }


def configuration(simulated: dict[str, SimulatedUnit], **changes: Any) -> ProxyConfig:
    """Return a configuration that reads these units."""
    defaults: dict[str, Any] = {
        "esphome": EsphomeConfig(name=NAME, friendly_name="Shed"),
        "api": ApiConfig(port=0, key=base64.b64decode(KEY)),
        "zeroconf": ZeroconfConfig(enabled=False),
        "renogy": tuple(
            UnitConfig(id=name.lower().replace(" ", "_"), address=unit.address, name=name, load_switch=name == ROVER)
            for name, unit in simulated.items()
        ),
    }
    return ProxyConfig(**defaults | changes)


@asynccontextmanager
async def running(folder: Path, simulated: dict[str, SimulatedUnit], **changes: Any) -> AsyncIterator[Running]:
    """Run a proxy that reads ``simulated``, and a client that sees all of them read."""
    async with VirtualRadio(simulated.values()) as radio:
        around = Surroundings(storage=Storage(folder), adapter=radio.adapter, host="127.0.0.1")
        proxy = Proxy(configuration(simulated, **changes), around)
        serving = asyncio.create_task(proxy.serve())
        try:
            async with asyncio.timeout(READY_S):
                await proxy.all_listed()
            await proxy.start()
            async with Client("127.0.0.1", proxy.server.port) as client:
                run = Running(proxy, radio, client)
                await client.until_connected(READY_S)
                await client.until_read(*simulated, timeout_s=READY_S)
                yield run
        finally:
            proxy.stop()
            await serving
