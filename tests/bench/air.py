"""The kernel's Bluetooth and bluetoothd as far as a scan goes, a process of its own, with devices that advertise.

usage: air.py BUS-ADDRESS [--kernel FD]

FD is the kernel's end of the proxy's management socket; without it, org.bluez tells everything. Says "ready", and does
then what stands in each line that it reads:
steady RATE DEVICES COUNT   advertises so many times, RATE a second; then says how often it did, and what found no room
"""

import argparse
import asyncio
import json
import socket
import struct
import sys
from typing import Any

from advertisers import COMPANY, advertised, text
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER_PATH = "/org/bluez/hci0"
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
DONE, DEVICE_FOUND = 0x0001, 0x0012
ANSWERS = {  # of the kernel: connections, features (32 monitors, none there), a monitor added
    0x0015: b"\0\0",
    0x0051: struct.pack("<IIHBH", 0, 0, 32, 16, 0),
    0x0052: b"\1\0",
}
RANDOM = 2
BUFFER_BYTES = 1 << 20  # what the proxy asks the kernel to keep for it


def found(number: int, devices: int) -> bytes:
    """Return the kernel's event."""
    said = advertised(number, devices)
    body = struct.pack("<6sBbIH", said.address.to_bytes(6, "little"), RANDOM, said.rssi, 0, len(said.data)) + said.data
    return struct.pack("<HHH", DEVICE_FOUND, 0, len(body)) + body


class Kernel:
    """The other end of the management socket."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        asyncio.get_running_loop().add_reader(opened, self._readable)

    def tell(self, packet: bytes) -> bool:
        """Return whether there was room."""
        try:
            self._socket.send(packet)
        except BlockingIOError:
            return False
        return True

    def _readable(self) -> None:
        packet = self._socket.recv(4096)
        if not packet:
            asyncio.get_running_loop().remove_reader(self._socket)
            return
        command, index, _ = struct.unpack_from("<HHH", packet)
        answer = struct.pack("<HB", command, 0) + ANSWERS.get(command, b"")
        self.tell(struct.pack("<HHH", DONE, index, len(answer)) + answer)


class Bluetoothd:
    """org.bluez with one adapter; of devices it tells news, or what a client wants repeated."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._repeats = False
        self._devices: dict[str, dict[str, Variant]] = {}
        bus.add_message_handler(self._answer)

    def tell(self, number: int, devices: int) -> None:
        said = advertised(number, devices)
        path = f"{ADAPTER_PATH}/dev_{text(said.address).replace(':', '_')}"
        heard = {"RSSI": Variant("n", said.rssi)}
        heard["ManufacturerData"] = Variant("a{qv}", {COMPANY: Variant("ay", said.content)})
        if path not in self._devices:
            self._devices[path] = {
                "Address": Variant("s", text(said.address)),
                "AddressType": Variant("s", "random"),
                "Name": Variant("s", said.name),
                "Alias": Variant("s", said.name),
                **{name: Variant("b", False) for name in ("Paired", "Bonded", "Trusted", "Blocked", "LegacyPairing")},
                "Connected": Variant("b", False),
                "ServicesResolved": Variant("b", False),
                "UUIDs": Variant("as", []),
                "Adapter": Variant("o", ADAPTER_PATH),
                "AdvertisingFlags": Variant("ay", b"\x06"),
                **heard,
            }
            self._signal("/", "ObjectManager", "InterfacesAdded", "oa{sa{sv}}", [path, {DEVICE: self._devices[path]}])
        elif self._repeats or said.is_counting:
            self._devices[path] |= heard
            self._signal(path, "Properties", "PropertiesChanged", "sa{sv}as", [DEVICE, heard, []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        self._bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=f"org.freedesktop.DBus.{interface}",
                member=member,
                signature=signature,
                body=body,
            )
        )

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        match message.interface, message.member:
            case "org.freedesktop.DBus.ObjectManager", "GetManagedObjects":
                powered = {"Address": Variant("s", "B8:27:EB:00:00:01"), "Powered": Variant("b", True)}
                objects = {ADAPTER_PATH: {ADAPTER: powered}} | {
                    path: {DEVICE: properties} for path, properties in self._devices.items()
                }
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])
            case "org.bluez.Adapter1", "SetDiscoveryFilter":
                self._repeats = "DuplicateData" in message.body[0] and message.body[0]["DuplicateData"].value
                return Message.new_method_return(message)
            case "org.bluez.Adapter1", _:
                return Message.new_method_return(message)
            case _:
                return None


class Air:
    """All of it."""

    def __init__(self, bluetoothd: Bluetoothd, kernel: Kernel | None) -> None:
        self._bluetoothd = bluetoothd
        self._kernel = kernel

    async def steady(self, rate: float, devices: int, count: int) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        lost = 0
        for number in range(count):
            await asyncio.sleep(started + number / rate - loop.time())
            if self._kernel is not None:
                lost += not self._kernel.tell(found(number, devices))
            self._bluetoothd.tell(number, devices)
        print(json.dumps({"told": count, "lost": lost, "rate": count / (loop.time() - started)}), flush=True)


async def serve(args: argparse.Namespace) -> None:
    kernel = None if args.kernel is None else Kernel(socket.socket(fileno=args.kernel))
    bus = await MessageBus(args.bus, bus_type=BusType.SYSTEM).connect()
    air = Air(Bluetoothd(bus), kernel)
    await bus.request_name("org.bluez")
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print("ready", flush=True)
    while line := (await orders.readline()).split():
        _, rate, devices, count = line
        await air.steady(float(rate), int(devices), int(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bus")
    parser.add_argument("--kernel", type=int)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
