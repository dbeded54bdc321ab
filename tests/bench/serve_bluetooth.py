"""A home's Bluetooth served by us, a process of its own with nothing in it that users do not have; see serve.py.

usage: serve_bluetooth.py house|devices PORT KEY-OR-MINUS [--kernel FD]
"""

import argparse
import asyncio
import itertools
import json
import signal
import socket
import sys
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any

from advertisers import advertised
from bare_node import bare_node

from blupow_config import ApiConfig, BluetoothProxyConfig, EsphomeConfig, ProxyConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.ble import management
from blupow_proxy.bluetooth_proxy import BluetoothProxy, ProxyLimits, Rules
from blupow_proxy.errors import AdapterUnavailableError
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.native_api import BluetoothFeature, BluetoothInfo, Command, Entity, NumberEntity
from blupow_proxy.server import ApiServer, ServerLimits
from blupow_proxy.storage import Storage

UNLIMITED = 1_000_000
DEVICES = 100
TURNS = 16  # after which the same is said again
AT_ONCE = 128  # advertisements that one pass of the loop forwards, as it takes at most from the kernel


def no_socket() -> socket.socket:
    raise AdapterUnavailableError("adapter", management.NO_RIGHT)


async def serve_house(args: argparse.Namespace, folder: Path, key: bytes | None, stop: asyncio.Event) -> None:
    """The whole proxy, without units, on the system's adapter; ``--kernel`` is its management socket, if it has one."""

    def open_socket() -> socket.socket:
        kernel = socket.socket(fileno=args.kernel)
        kernel.setblocking(False)
        return kernel

    management.open_socket = no_socket if args.kernel is None else open_socket
    config = ProxyConfig(
        esphome=EsphomeConfig(name="bench", friendly_name="Bench"),
        api=ApiConfig(port=args.port, encryption=key is not None, key=key),
        zeroconf=ZeroconfConfig(enabled=False),
        bluetooth_proxy=BluetoothProxyConfig(),
    )
    proxy = Proxy(config, Surroundings(storage=Storage(folder), host="127.0.0.1"))
    await proxy.start()
    serving = asyncio.create_task(proxy.serve())
    print("ready", flush=True)
    await stop.wait()
    proxy.stop()
    await serving


class Burst:
    """Lets as many advertisements be heard as credit allows."""

    def __init__(self, air: Any) -> None:
        self._air = air
        self._credit = 0
        self._granted = asyncio.Event()

    async def command(self, _: Entity, value: Command) -> None:
        self._credit += int(value) if isinstance(value, float) else 0
        self._granted.set()

    async def run(self) -> None:
        said = itertools.cycle([advertised(number, DEVICES) for number in range(TURNS * DEVICES)])
        while True:
            await self._granted.wait()
            self._granted.clear()
            while self._credit > 0:
                for one in itertools.islice(said, min(self._credit, AT_ONCE)):
                    self._air.say(one.address, one.data, rssi=one.rssi, random=True)
                self._credit -= min(self._credit, AT_ONCE)
                await asyncio.sleep(0)


async def serve_devices(args: argparse.Namespace, folder: Path, key: bytes | None, stop: asyncio.Event) -> None:
    """The server and the Bluetooth proxy alone; devices answer at once, and advertise on credit."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    from bluetooth_doubles import Air, Devices, State  # noqa: PLC0415 - what users do not have

    node = bare_node()
    node.add(NumberEntity(name="Credit", min_value=0, max_value=UNLIMITED, step=1))
    node.bluetooth = BluetoothInfo(BluetoothFeature(127), "02:00:00:00:00:08")
    keys = FileKeyStore(Storage(folder), encryption=key is not None, configured=key)
    server = ApiServer(node, keys, host="127.0.0.1", port=args.port, limits=ServerLimits(orders=UNLIMITED))
    air = Air()
    air.state = State.RUNNING
    limits = ProxyLimits(requests=UNLIMITED)  # the client asks as fast as it is answered
    proxy = BluetoothProxy(air, Devices(), Rules(owned=()), connection_slots=3, active=True, limits=limits)
    burst = Burst(air)
    server.on_bluetooth, server.on_gone, server.on_command = proxy.asked, proxy.gone, burst.command
    await server.start()
    bursting = asyncio.create_task(burst.run())
    print("ready", flush=True)
    await stop.wait()
    bursting.cancel()
    await proxy.stop()
    await server.stop()


async def serve(args: argparse.Namespace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    key = None if args.key == "-" else b64decode(args.key)
    run = serve_house if args.what == "house" else serve_devices
    with tempfile.TemporaryDirectory() as folder:
        await run(args, Path(folder), key, stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("house", "devices"))
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("--kernel", type=int)
    asyncio.run(serve(parser.parse_args()))
    print(json.dumps({}), flush=True)


if __name__ == "__main__":
    main()
