"""Many small proxies, a process of its own; says "ready" and serves until SIGTERM.

usage: farm.py FIRST_PORT KEY COUNT SENSORS     of each proxy: SENSORS readings that change each second, and a "Stamp",
                                                which says when it was published, in ns of the monotonic clock
"""

import asyncio
import signal
import sys
import tempfile
import time
from base64 import b64decode
from pathlib import Path

from blupow_proxy.app import PROJECT_NAME
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.native_api import Entity, Node, NodeInfo, SensorEntity, TextSensorEntity
from blupow_proxy.server import ApiServer
from blupow_proxy.storage import Storage

PERIOD_S = 1.0
STAMP_S = 0.05
UNITS = (("V", "voltage"), ("A", "current"), ("W", "power"), ("°C", "temperature"))


def make(number: int, sensors: int) -> tuple[Node, list[Entity], Entity]:
    """Return a node with its readings and its stamp."""
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
            unit_of_measurement=UNITS[index % 4][0],
            device_class=UNITS[index % 4][1],
            state_class="measurement",
            accuracy_decimals=1,
        )
        for index in range(sensors)
    ]
    stamp = TextSensorEntity(name="Stamp")
    for entity in (*readings, stamp):
        node.add(entity)
    return node, readings, stamp


async def publish(node: Node, readings: list[Entity], offset_s: float) -> None:
    """Change every reading once a second."""
    await asyncio.sleep(offset_s)
    value = 0.0
    while True:
        value = round((value + 0.1) % 1000, 1)
        for reading in readings:
            node.set_state(reading, value)
        await asyncio.sleep(PERIOD_S)


async def stamping(node: Node, stamp: Entity) -> None:
    while True:
        node.set_state(stamp, str(time.monotonic_ns()))
        await asyncio.sleep(STAMP_S)


async def main(port: int, key: str, count: int, sensors: int, folder: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tasks = []
    for number in range(count):
        node, readings, stamp = make(number, sensors)
        keys = FileKeyStore(Storage(folder), encryption=True, configured=b64decode(key))
        await ApiServer(node, keys, host="127.0.0.1", port=port + number).start()
        tasks.append(asyncio.create_task(publish(node, readings, number / count * PERIOD_S)))
        if number == 0:
            tasks.append(asyncio.create_task(stamping(node, stamp)))
    print("ready", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(scratch)))
