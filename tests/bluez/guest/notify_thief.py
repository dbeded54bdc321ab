"""Another program on the machine, that takes a unit's notifications for itself as soon as its link is up.

usage: notify_thief.py DEVICE TIMES    (such as dev_C4_D3_6A_00_00_01, whose link is up; says "taken" each time)
"""

import asyncio
import os
import sys

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

BLUEZ = "org.bluez"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
NOTIFY_UUID = "0000fff1-0000-1000-8000-00805f9b34fb"
DBUS = "org.freedesktop.DBus"


async def main(device: str, times: int) -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    resolved = asyncio.Event()

    def received(message: Message) -> None:
        if message.member == "PropertiesChanged" and message.path.endswith(device):
            state = message.body[1].get("ServicesResolved")
            if isinstance(state, Variant) and state.value:
                resolved.set()

    bus.add_message_handler(received)
    rule = f"type='signal',sender='{BLUEZ}',interface='{DBUS}.Properties',arg0='org.bluez.Device1'"
    await call(bus, DBUS, "/org/freedesktop/DBus", f"{DBUS}.AddMatch", "s", rule)
    objects = (await call(bus, BLUEZ, "/", f"{DBUS}.ObjectManager.GetManagedObjects")).body[0]
    (path,) = [
        path
        for path, interfaces in objects.items()
        if device in path and interfaces.get(CHARACTERISTIC, {}).get("UUID", Variant("s", "")).value == NOTIFY_UUID
    ]
    print("ready", flush=True)
    held = []
    while len(held) < times:
        await resolved.wait()
        resolved.clear()
        answer = await call(bus, BLUEZ, path, f"{CHARACTERISTIC}.AcquireNotify", "a{sv}", {})
        if answer.message_type is MessageType.METHOD_RETURN:
            held.append(answer.unix_fds[0])
            print("taken", flush=True)
    await resolved.wait()
    for file in held:
        os.close(file)


async def call(bus: MessageBus, name: str, path: str, method: str, signature: str = "", *body: object) -> Message:
    interface, _, member = method.rpartition(".")
    message = Message(
        destination=name, path=path, interface=interface, member=member, signature=signature, body=list(body)
    )
    return await bus.call(message)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
