"""The room that the proxy listens to: adapters of the kernel and simulated Renogy units, on one simulated radio.

usage: room.py --adapters N --units demo|N [--speed N]

The units are those of the demo, one of each family, or N inverters. A line of JSON to port 7001, a line back:
  {"op": "state"}                                        adapters and units
  {"op": "world"}                                        what the units measure
  {"op": "air", "latency_s": ..., "fragment_loss": ...}
  {"op": "add_adapter", "address": ...}                  {"adapter": "hci1"}
  {"op": "remove_adapter", "adapter": "hci0"}
  {"op": "adapter", "adapter": "hci0", KNOB: value, ...}     of radio.AdapterController: mute, deaf, refuses_scans,
                                                             connects_late, slots, and the statuses of failing
                                                             attempts: refusals
  {"op": "unit", "address": ..., FAULT: value, ...}      faults, and "rssi", "notifies"
  {"op": "drop", "address": ...}                         the unit ends its connection
  {"op": "hold", "address": ..., "held": true}           another central has the unit
  {"op": "range", "address": ..., "within": false}       the unit, or its battery, is gone
  {"op": "add_broadcaster", "address": ..., "address_type": "public|random", "data": hex, "scan_response": hex,
   "interval_ms": ..., "kind": "connectable|scannable|nonconnectable|directed|extended", "rssi": ..., "times": ...}
                                                         advertises, or says something else from now on
  {"op": "remove_broadcaster", "address": ...}           {"sent": how often it has advertised}

Of peripherals that are no units (gatt_peripheral.py):
  {"op": "add_peripheral", "address": ..., "name": ..., "address_type": "random", "mtu": 247, "rssi": ...}
  {"op": "peripheral", "address": ..., KNOB: value, ...}     its faults; its state is the answer
  {"op": "count", "address": ..., "times": ...}          it notifies of that many numbers
  {"op": "forget_bonds", "address": ...}                 it loses the keys of those it was paired with
  "drop" and "range" as with a unit
"""

import argparse
import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from broadcaster import Broadcaster, Kind
from gatt_peripheral import GattPeripheral
from orders import serve
from radio import Adapter, Air

from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, World, demo_units
from blupow_proxy.simulator.peripheral import Peripheral

if TYPE_CHECKING:
    from bumble.controller import Controller

PORT = 7001
READY_S = 10.0


def inverters(count: int, world: World) -> list[SimulatedUnit]:
    return [
        SimulatedUnit(
            f"D8:B6:73:00:01:{number:02X}",
            f"BTRIC1340001{number:02d}",
            [Member(Family.INVERTER, 32)],
            world,
            needs_wake=True,
        )
        for number in range(1, count + 1)
    ]


class Room:
    """What is in the room, and what can be done to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.air = Air()
        self.adapters: dict[str, Adapter] = {}
        self.peripherals: dict[str, Peripheral] = {}
        self.others: dict[str, GattPeripheral] = {}
        self._controllers: dict[str, Controller] = {}
        self._broadcasters: dict[str, Broadcaster] = {}

    async def add_unit(self, unit: SimulatedUnit) -> None:
        before = set(self.air.controllers)
        peripheral = Peripheral(unit, self.air)
        (controller,) = set(self.air.controllers) - before
        self.air.rssi[controller] = unit.rssi
        self.peripherals[unit.address] = peripheral
        self._controllers[unit.address] = controller
        await peripheral.start()

    async def do_state(self) -> dict[str, Any]:
        return {
            "adapters": {
                name: {
                    "address": adapter.address,
                    "scanning": bool(adapter.controller.le_scan_enable),
                    "connecting": adapter.controller.pending_le_connection is not None,
                    "links": len(adapter.controller.le_connections),
                    "attempts": adapter.controller.attempts[-64:],
                    "resets": adapter.controller.resets,
                }
                for name, adapter in self.adapters.items()
            },
            "units": {
                address: {
                    "connected": peripheral.connection is not None,
                    "requests": peripheral.unit.request_count,
                }
                for address, peripheral in self.peripherals.items()
            },
        }

    async def do_world(self) -> dict[str, Any]:
        self._world.advance(time.monotonic())
        return {"battery_v": self._world.battery_v, "soc": self._world.soc}

    async def do_air(self, **changes: float) -> None:
        for name, value in changes.items():
            setattr(self.air, name, value)

    async def do_add_adapter(self, address: str) -> dict[str, Any]:
        adapter = Adapter(self.air, address)
        name = f"hci{await asyncio.wait_for(adapter.index, READY_S)}"
        self.adapters[name] = adapter
        return {"adapter": name}

    async def do_remove_adapter(self, adapter: str) -> None:
        self.adapters.pop(adapter).remove()

    async def do_adapter(self, adapter: str, **knobs: Any) -> None:
        controller = self.adapters[adapter].controller
        for name, value in knobs.items():
            setattr(controller, name, deque(value) if name == "refusals" else value)

    async def do_unit(self, address: str, **changes: Any) -> None:
        peripheral = self.peripherals[address]
        for name, value in changes.items():
            match name:
                case "rssi":
                    self.air.rssi[self._controllers[address]] = value
                case "notifies":
                    peripheral.notifies = value
                case _:
                    setattr(peripheral.unit.faults, name, value)

    async def do_add_peripheral(self, address: str, name: str, rssi: int = -60, **options: Any) -> None:
        peripheral = GattPeripheral(self.air, address, name, **options)
        self.air.rssi[peripheral.controller] = rssi
        self.others[address] = peripheral
        self._controllers[address] = peripheral.controller
        await peripheral.start()

    async def do_peripheral(self, address: str, **knobs: Any) -> dict[str, Any]:
        for name, value in knobs.items():
            setattr(self.others[address], name, value)
        return self.others[address].state

    async def do_count(self, address: str, times: int) -> None:
        await self.others[address].count(times)

    async def do_forget_bonds(self, address: str) -> None:
        await self.others[address].forget_bonds()

    async def do_drop(self, address: str) -> None:
        await (self.peripherals.get(address) or self.others[address]).drop()

    async def do_hold(self, address: str, held: bool) -> None:
        peripheral = self.peripherals[address]
        peripheral.unit.faults.refuse_connections = held
        if held:
            await peripheral.drop()
        else:
            await peripheral.advertise()

    async def do_range(self, address: str, within: bool) -> None:
        controller = self._controllers[address]
        if within:
            self.air.out_of_range.discard(controller)
        else:
            self.air.out_of_range.add(controller)
            self.air.lose(controller)

    async def do_add_broadcaster(
        self,
        address: str,
        address_type: str = "public",
        data: str = "",
        scan_response: str = "",
        interval_ms: float = 100.0,
        kind: str | None = None,
        rssi: int = -60,
        times: int | None = None,
    ) -> None:
        broadcaster = self._broadcasters.get(address)
        if broadcaster is None:
            broadcaster = self._broadcasters[address] = Broadcaster(self.air, address, address_type, rssi)
        kind = kind or ("scannable" if scan_response else "nonconnectable")
        broadcaster.say(
            Kind[kind.upper()], bytes.fromhex(data), bytes.fromhex(scan_response), interval_ms / 1000.0, times
        )

    async def do_remove_broadcaster(self, address: str) -> dict[str, Any]:
        broadcaster = self._broadcasters.pop(address)
        broadcaster.stop()
        return {"sent": broadcaster.sent}


async def main(adapters: int, units: str, speed: float) -> None:
    world = World(speed=speed)
    room = Room(world)
    for number in range(adapters):
        await room.do_add_adapter(f"B8:27:EB:00:00:{number + 1:02X}")
    for unit in demo_units(world) if units == "demo" else inverters(int(units), world):
        await room.add_unit(unit)
    server = await serve(room, PORT)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapters", type=int, required=True)
    parser.add_argument("--units", required=True)
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(options.adapters, options.units, options.speed))
