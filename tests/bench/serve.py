"""Our side of the bench, a process of its own; says "ready", and on SIGTERM what it has seen, as JSON.

usage: serve.py node|proxy|farm PORT KEY-OR-MINUS [--sensors N] [--units N] [--interval S] [--speed X] [--nodes N]
"""

import argparse
import asyncio
import json
import signal
import tempfile
import time
from base64 import b64decode
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bare_node import bare_node

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import PROJECT_NAME, Proxy, Surroundings
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.native_api import (
    BinarySensorEntity,
    ButtonEntity,
    Command,
    Entity,
    Node,
    NodeInfo,
    NumberEntity,
    SensorEntity,
    SwitchEntity,
    TextSensorEntity,
)
from blupow_proxy.server import ApiServer, ServerLimits
from blupow_proxy.simulator import SimulatedUnit, VirtualRadio, World, demo_units
from blupow_proxy.storage import Storage

CLOCK_S = 0.005  # as often as the real device of tests/reference/entities.yaml
CLOCK_RANGE = 1 << 24  # microseconds that a float holds exactly
SAMPLE_S = 0.25
STAMP_S = 0.05
FARM_UNITS = (("V", "voltage"), ("A", "current"), ("W", "power"), ("°C", "temperature"))


def twenty_entities() -> dict[str, Entity]:
    """The entities of tests/reference/entities.yaml, without the one that bursts."""

    def sensor(name: str, unit: str, device_class: str, decimals: int, state_class: str = "measurement") -> Entity:
        return SensorEntity(
            name=name,
            unit_of_measurement=unit,
            device_class=device_class,
            state_class=state_class,
            accuracy_decimals=decimals,
        )

    entities: list[Entity] = [
        SensorEntity(name="Clock", force_update=True),
        SensorEntity(name="Burst", force_update=True),
        sensor("Battery Voltage", "V", "voltage", 1),
        sensor("Battery Current", "A", "current", 2),
        sensor("Battery Percentage", "%", "battery", 0),
        sensor("Solar Voltage", "V", "voltage", 1),
        sensor("Solar Current", "A", "current", 2),
        sensor("Solar Power", "W", "power", 0),
        sensor("Load Power", "W", "power", 0),
        sensor("Controller Temperature", "°C", "temperature", 0),
        sensor("Energy Today", "kWh", "energy", 3, "total_increasing"),
        sensor("Energy Total", "kWh", "energy", 3, "total_increasing"),
        SensorEntity(
            name="Signal Strength",
            unit_of_measurement="dBm",
            device_class="signal_strength",
            entity_category="diagnostic",
        ),
        BinarySensorEntity(name="Link", device_class="connectivity", entity_category="diagnostic"),
        BinarySensorEntity(name="Fault", device_class="problem"),
        TextSensorEntity(name="Model", entity_category="diagnostic"),
        TextSensorEntity(name="Charging Status"),
        SwitchEntity(name="Load"),
        NumberEntity(name="Credit", min_value=0, max_value=1_000_000, step=1),
        ButtonEntity(name="Refresh", entity_category="diagnostic"),
    ]
    return {entity.name: entity for entity in entities}


class Watch:
    """Samples what could grow."""

    def __init__(self, server: ApiServer) -> None:
        self.unsent: list[int] = []
        self.tasks: list[int] = []
        self._server = server

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            connections = list(self._server._connections)
            self.unsent.append(
                max((connection.transport.get_write_buffer_size() for connection in connections), default=0)
            )
            self.tasks.append(len(asyncio.all_tasks()))


class Ticker:
    """Publishes "Clock" as the real device does, each twentieth time as the last of many."""

    def __init__(self, node: Node, entities: dict[str, Entity]) -> None:
        self._node = node
        self._clock = entities["Clock"]
        self._readings = [entity for entity in entities.values() if isinstance(entity, SensorEntity)][2:]
        self._ticks = 0
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()

    def tick(self) -> None:
        self._due += CLOCK_S
        self._loop.call_at(self._due, self.tick)
        self._ticks += 1
        now = time.monotonic_ns() // 1000 % CLOCK_RANGE
        if self._ticks % 20 == 0:
            for reading in self._readings:
                self._node.set_state(reading, float(self._ticks % 10_000))
        self._node.set_state(self._clock, float(now))


async def publish_all(node: Node, sensors: list[Entity], offset_s: float = 0.0) -> None:
    value = 0.0
    await asyncio.sleep(offset_s)
    while True:
        value += 0.1
        for sensor in sensors:
            node.set_state(sensor, value)
        await asyncio.sleep(1)


class Burst:
    """Sends as many states as credit allows, all sensors in each pass of the loop."""

    def __init__(self, node: Node, sensors: list[Entity]) -> None:
        self._node = node
        self._sensors = sensors
        self._credit = 0
        self._granted = asyncio.Event()

    async def command(self, entity: Entity, value: Command) -> None:
        if entity.name == "Credit" and isinstance(value, float):
            self._credit += int(value)
            self._granted.set()

    async def run(self) -> None:
        value = 0.0
        while True:
            await self._granted.wait()
            self._granted.clear()
            while self._credit > 0:
                value = (value + 1) % CLOCK_RANGE
                batch = self._sensors[: self._credit]
                for sensor in batch:
                    self._node.set_state(sensor, value)
                self._credit -= len(batch)
                await asyncio.sleep(0)


def many_sensors(count: int) -> list[Entity]:
    return [SensorEntity(name=f"Reading {number}", force_update=True) for number in range(count)]


def stopped() -> asyncio.Event:
    event = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, event.set)
    return event


async def serve_node(args: argparse.Namespace, folder: Path, key: bytes | None) -> dict[str, Any]:
    """A bare node: the twenty entities, and ``--sensors`` that burst."""
    stop = stopped()
    node = bare_node()
    entities = twenty_entities()
    sensors = many_sensors(args.sensors)
    for entity in (*entities.values(), *sensors):
        node.add(entity)
    keys = FileKeyStore(Storage(folder), encryption=key is not None, configured=key)
    limits = ServerLimits(orders=1_000_000)  # the client grants credit by commands
    server = ApiServer(node, keys, host="127.0.0.1", port=args.port, limits=limits)
    burst = Burst(node, sensors or [entities["Burst"]])
    server.on_command = burst.command
    await server.start()
    bursting = asyncio.create_task(burst.run())
    Ticker(node, entities).tick()
    print("ready", flush=True)
    await stop.wait()
    bursting.cancel()
    await server.stop()
    return {}


def simulated_units(count: int, speed: float) -> list[SimulatedUnit]:
    units: list[SimulatedUnit] = []
    while len(units) < count:
        units += demo_units(World(speed=speed))
    return [
        replace(unit, address=f"{unit.address[:9]}{number:02X}{unit.address[11:]}")
        for number, unit in enumerate(units[:count])
    ]


async def serve_proxy(args: argparse.Namespace, folder: Path, key: bytes | None) -> dict[str, Any]:
    """The whole proxy on simulated units, and ``--sensors`` beside them."""
    stop = stopped()
    units = simulated_units(args.units, args.speed)
    config = ProxyConfig(
        esphome=EsphomeConfig(name="bench", friendly_name="Bench"),
        api=ApiConfig(port=args.port, encryption=key is not None, key=key),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=tuple(
            UnitConfig(
                id=f"unit_{number}", address=unit.address, name=f"Unit {number}", update_interval_s=args.interval
            )
            for number, unit in enumerate(units)
        ),
    )
    frames: dict[tuple[int, float, bool], str] = {}
    sensors = many_sensors(args.sensors)

    def collect() -> None:
        for poller in proxy.pollers:
            number = int(poller.units[0].spec.id.removeprefix("unit_"))
            for frame in list(poller.link.raw_frames if poller.link else deque()):
                frames[number, frame.at_s, frame.sent] = frame.data.hex()

    async def keep_collecting() -> None:
        while True:
            await asyncio.sleep(1)
            collect()

    async with VirtualRadio(units) as radio:
        proxy = Proxy(config, Surroundings(storage=Storage(folder), adapter=radio.adapter, host="127.0.0.1"))
        for sensor in sensors:
            proxy.node.add(sensor)
        watch = Watch(proxy.server)
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        await proxy.all_listed()
        tasks = [
            asyncio.create_task(work) for work in (watch.run(), keep_collecting(), publish_all(proxy.node, sensors))
        ]
        print("ready", flush=True)
        await stop.wait()
        collect()
        for task in tasks:
            task.cancel()
        proxy.stop()
        await serving
    return {
        "frames": [(*moment, data) for moment, data in sorted(frames.items())],
        "unsent": watch.unsent,
        "tasks": watch.tasks,
        "families": [unit.profile.family.value if unit.profile else "" for unit in proxy.units],
        "entities": len(list(proxy.node.entities)),
    }


def farm_node(number: int, sensors: int) -> tuple[Node, list[Entity], Entity]:
    """A node of a farm, its readings, and its "Stamp"."""
    node = Node(
        NodeInfo(
            name=f"bench-{number}",
            friendly_name=f"Bench {number}",
            mac=f"02:00:00:00:01:{number:02x}",
            model="bench",
            manufacturer="BluPow",
            esphome_version="2026.10.0",
            project_name=PROJECT_NAME,
            project_version="0.1.0",
        )
    )
    readings: list[Entity] = [
        SensorEntity(
            name=f"Reading {index}",
            unit_of_measurement=FARM_UNITS[index % 4][0],
            device_class=FARM_UNITS[index % 4][1],
            state_class="measurement",
            accuracy_decimals=1,
        )
        for index in range(sensors)
    ]
    stamp = TextSensorEntity(name="Stamp")
    for entity in (*readings, stamp):
        node.add(entity)
    return node, readings, stamp


async def stamping(node: Node, stamp: Entity) -> None:
    """Say often when it was said, in ns of the monotonic clock."""
    while True:
        node.set_state(stamp, str(time.monotonic_ns()))
        await asyncio.sleep(STAMP_S)


async def serve_farm(args: argparse.Namespace, folder: Path, key: bytes | None) -> dict[str, Any]:
    """``--nodes`` on ports one after another, each with ``--sensors`` that change once a second; the first stamps."""
    stop = stopped()
    tasks: list[asyncio.Task[None]] = []
    keys = FileKeyStore(Storage(folder), encryption=key is not None, configured=key)
    for number in range(args.nodes):
        node, readings, stamp = farm_node(number, args.sensors)
        await ApiServer(node, keys, host="127.0.0.1", port=args.port + number).start()
        tasks.append(asyncio.create_task(publish_all(node, readings, number / args.nodes)))
        if number == 0:
            tasks.append(asyncio.create_task(stamping(node, stamp)))
    print("ready", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("node", "proxy", "farm"))
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("--sensors", type=int, default=0)
    parser.add_argument("--units", type=int, default=5)
    parser.add_argument("--interval", type=float, default=0.5)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--nodes", type=int, default=20)
    args = parser.parse_args()
    key = None if args.key == "-" else b64decode(args.key)
    serve = {"node": serve_node, "proxy": serve_proxy, "farm": serve_farm}[args.what]
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        print(json.dumps(asyncio.run(serve(args, Path(folder), key))), flush=True)


if __name__ == "__main__":
    main()
