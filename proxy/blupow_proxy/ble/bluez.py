"""BlueZ over D-Bus, for what bleak has no word for: whether bluetoothd lives and answers, and what adapters it has."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from bleak.backends.bluezdbus.manager import BlueZManager, get_global_bluez_manager
from bleak.backends.bluezdbus.utils import assert_reply, get_dbus_authenticator
from dbus_fast import BusType, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

from blupow_proxy.errors import AdapterUnavailableError, BleError, DeadlineExceededError

from .failures import DBUS_STRANGER, bleak_call
from .pairing import AGENT_PATH, CAPABILITY, answer_as_agent

CALL_S: Final = 5.0  # bluetoothd answers within milliseconds, or hangs
POWER_S: Final = 25.0  # the kernel gives a controller that does not answer 10 s, and BlueZ D-Bus' usual 25
DISCONNECT_S: Final = 10.0  # BlueZ waits 2 s before it does it
AGREEMENT_S: Final = 1.0  # bleak hears of a change within milliseconds, or never
LOOK_S: Final = 0.05
OFF_S: Final = 1.0  # how long an adapter stays off: the kernel closes it meanwhile

_BLUEZ: Final = "org.bluez"
_DBUS: Final = "org.freedesktop.DBus"
_DBUS_PATH: Final = "/org/freedesktop/DBus"
_AGENTS: Final = "org.bluez.AgentManager1"
_ADAPTER: Final = "org.bluez.Adapter1"
_DEVICE: Final = "org.bluez.Device1"
_CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
_DOES_NOT_EXIST: Final = "org.bluez.Error.DoesNotExist"
_ALREADY_EXISTS: Final = "org.bluez.Error.AlreadyExists"
_PROPERTIES: Final = f"{_DBUS}.Properties"
_OBJECTS: Final = f"{_DBUS}.ObjectManager"
_RULES: Final = (
    f"type='signal',sender='{_DBUS}',interface='{_DBUS}',member='NameOwnerChanged',arg0='{_BLUEZ}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_OBJECTS}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_PROPERTIES}',arg0='{_ADAPTER}'",
)


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """An adapter as bluetoothd knows it; ``path`` changes when it is plugged in anew, ``address`` does not."""

    path: str
    address: str
    powered: bool
    central: bool = True  # whether it can have links to peripherals at all

    @property
    def name(self) -> str:
        """Such as hci0."""
        return self.path.rpartition("/")[2]

    @property
    def index(self) -> int:
        """Such as 0; its order among the adapters."""
        digits = self.name.removeprefix("hci")
        return int(digits) if digits.isdecimal() else 0


class Bluez:
    """What bluetoothd has told: ``owner`` names its process, None while there is none; ``on_news`` after any change."""

    def __init__(self, bus: MessageBus, on_news: Callable[[], None]) -> None:
        self.owner: str | None = None
        self.adapters: dict[str, AdapterFacts] = {}
        self.welcome: set[str] = set()  # the devices that may pair, such as dev_C4_D3_6A_00_00_01
        self._agent_at: str | None = None  # the bluetoothd that knows of our agent
        self._takers: dict[int, Callable[[Message], None]] = {}
        self._bus = bus
        self._on_news = on_news

    @property
    def is_closed(self) -> bool:
        """Whether the bus has gone away."""
        return not self._bus.connected

    @classmethod
    @asynccontextmanager
    async def opened(cls, on_news: Callable[[], None]) -> AsyncIterator["Bluez"]:
        """Be on the system's bus; BleError when that can't be."""
        bus = MessageBus(bus_type=BusType.SYSTEM, auth=get_dbus_authenticator())
        bluez = cls(bus, on_news)
        watching = asyncio.create_task(bluez._watch_the_end())
        try:
            async with bleak_call("adapter", "connecting to D-Bus", CALL_S):
                try:
                    await bus.connect()
                except (EOFError, ConnectionResetError, BrokenPipeError) as error:  # said in no other way
                    raise AdapterUnavailableError("adapter", DBUS_STRANGER.format(uid=os.getuid())) from error
                bus.add_message_handler(bluez._received)
                for rule in _RULES:
                    assert_reply(await _call(bus, _DBUS, _DBUS_PATH, f"{_DBUS}.AddMatch", "s", rule))
            yield bluez
        finally:
            bus.disconnect()
            watching.cancel()

    async def load(self) -> None:
        """Ask for everything anew; BleError."""
        async with bleak_call("adapter", "asking for adapters", CALL_S):
            await self._ask(self._take_owner, _DBUS, _DBUS_PATH, f"{_DBUS}.GetNameOwner", "s", _BLUEZ)
            self.adapters = {}
            if self.owner is not None:
                assert_reply(await self._ask(self._take_objects, _BLUEZ, "/", f"{_OBJECTS}.GetManagedObjects"))

    async def _ask(self, take: Callable[[Message], None], *call: Any) -> Message:
        """Call, and ``take`` the reply in its turn among the signals: what is awaited is heard of after them."""
        message = _message(*call)
        message.serial = self._bus.next_serial()
        self._takers[message.serial] = take
        try:
            return await self._bus.call(message)
        finally:
            del self._takers[message.serial]

    def _take_owner(self, reply: Message) -> None:
        self.owner = None if reply.message_type is MessageType.ERROR else str(reply.body[0])

    def _take_objects(self, reply: Message) -> None:
        if reply.message_type is MessageType.METHOD_RETURN:
            for path, interfaces in reply.body[0].items():
                self._added(path, interfaces)

    async def ping(self) -> None:
        """Return once bluetoothd has answered; BleError."""
        async with bleak_call("adapter", "waiting for bluetoothd", CALL_S):
            assert_reply(await _call(self._bus, _BLUEZ, "/", f"{_DBUS}.Peer.Ping"))

    async def power(self, path: str, *, on: bool) -> None:
        """Turn an adapter on or off; BleError."""
        async with bleak_call("adapter", f"turning it {'on' if on else 'off'}", POWER_S):
            value = Variant("b", on)
            assert_reply(await _call(self._bus, _BLUEZ, path, f"{_PROPERTIES}.Set", "ssv", _ADAPTER, "Powered", value))

    async def power_cycle(self, path: str) -> None:
        """Turn an adapter off and on, which makes its controller forget everything; BleError."""
        try:
            await self.power(path, on=False)
            await asyncio.sleep(OFF_S)
        finally:  # also when the proxy ends meanwhile: others may use it
            await self.power(path, on=True)

    async def disconnect(self, address: str) -> None:
        """End every connection to a device, whoever has made it, and see that bleak knows it; BleError."""
        for adapter in list(self.adapters):
            path = f"{adapter}/{device_name(address)}"
            try:
                async with bleak_call(address, "ending an old connection", DISCONNECT_S):
                    await self._disconnect(adapter, path)
            except DeadlineExceededError:
                await self._have_forgotten(adapter, path)
                raise

    async def _disconnect(self, adapter: str, path: str) -> None:
        manager = await get_global_bluez_manager()  # what ends while it loads, it may miss
        if await self._is(path, "Connected"):
            assert_reply(await _call(self._bus, _BLUEZ, path, f"{_DEVICE}.Disconnect"))
        if await _stays_connected(manager, path):  # which would never connect to it again
            await self._renew(adapter, path)

    async def _have_forgotten(self, adapter: str, path: str) -> None:
        """Let BlueZ forget a device that it can't disconnect, unless there is a bond; never raises.

        A link that ends just when bluetoothd hears that it stands is one for good there: it asks the kernel to end what
        is none, and waits. What is to be removed goes after half a minute all the same (`TemporaryTimeout`).
        """
        with contextlib.suppress(BleError):
            async with bleak_call("adapter", "removing a device", CALL_S):
                if not await self._is(path, "Paired"):
                    message = _message(_BLUEZ, adapter, f"{_ADAPTER}.RemoveDevice", "o", path)
                    message.flags |= MessageFlag.NO_REPLY_EXPECTED
                    await self._bus.send(message)

    async def _renew(self, adapter: str, path: str) -> None:
        """Let bleak learn of a device anew, which keeps its bond."""
        if await self._is(path, "Paired"):
            for step in ("Connect", "Disconnect"):
                assert_reply(await _call(self._bus, _BLUEZ, path, f"{_DEVICE}.{step}"))
        else:
            await _call(self._bus, _BLUEZ, adapter, f"{_ADAPTER}.RemoveDevice", "o", path)

    async def offer_pairing(self, address: str) -> None:
        """Let a device pair when it wants that before it tells something; BleError."""
        async with bleak_call(address, "becoming an agent for pairing", CALL_S):
            self.welcome.add(device_name(address))
            if self._agent_at is None or self._agent_at != self.owner:
                agent = (AGENT_PATH, CAPABILITY)
                owner = self.owner
                answer = await _call(self._bus, _BLUEZ, "/org/bluez", f"{_AGENTS}.RegisterAgent", "os", *agent)
                if answer.error_name != _ALREADY_EXISTS:  # another connects too, or the first gave up before the answer
                    assert_reply(answer)
                self._agent_at = owner

    async def pair(self, adapter: str, address: str) -> None:
        """Pair with a device, which is connected for that; not under a deadline, and raises what bleak does."""
        path = f"/org/bluez/{adapter}/{device_name(address)}"
        if not await self._is(path, "Paired"):  # it never answers for one that is
            assert_reply(await _call(self._bus, _BLUEZ, path, f"{_DEVICE}.Pair"))

    async def is_paired(self, adapter: str, address: str) -> bool:
        """Return whether there is a bond with a device; BleError."""
        async with bleak_call(address, "asking for a bond", CALL_S):
            return await self._is(f"/org/bluez/{adapter}/{device_name(address)}", "Paired")

    async def connected_to(self, address: str) -> set[str]:
        """Return the names of the adapters that have a link to a device, whoever has made it; BleError."""
        async with bleak_call(address, "asking for a connection", CALL_S):
            adapters = [
                path for path in list(self.adapters) if await self._is(f"{path}/{device_name(address)}", "Connected")
            ]
            return {path.rpartition("/")[2] for path in adapters}

    async def _is(self, path: str, what: str) -> bool:
        answer = await _call(self._bus, _BLUEZ, path, f"{_PROPERTIES}.Get", "ss", _DEVICE, what)
        return answer.message_type is MessageType.METHOD_RETURN and bool(answer.body[0].value)

    async def remove(self, adapter: str, address: str) -> None:
        """Let BlueZ forget a device, with its bond and what it offers; that ends its connection. BleError."""
        path = f"/org/bluez/{adapter}"
        async with bleak_call(address, "removing it", DISCONNECT_S):
            device = f"{path}/{device_name(address)}"
            answer = await _call(self._bus, _BLUEZ, path, f"{_ADAPTER}.RemoveDevice", "o", device)
            if answer.error_name != _DOES_NOT_EXIST:
                assert_reply(answer)

    async def mtu(self, address: str, path: str) -> int | None:
        """Return the MTU of the link to a device with this characteristic; None where BlueZ tells none. BleError."""
        async with bleak_call(address, "asking for the MTU", CALL_S):
            answer = await _call(self._bus, _BLUEZ, path, f"{_PROPERTIES}.Get", "ss", _CHARACTERISTIC, "MTU")
            return int(answer.body[0].value) if answer.message_type is MessageType.METHOD_RETURN else None

    async def offered(self, adapter: str, address: str) -> frozenset[str] | None:
        """Return the paths of all characteristics of a device; None while they are being discovered. BleError."""
        device = f"/org/bluez/{adapter}/{device_name(address)}"
        async with bleak_call(address, "asking for its services", CALL_S):
            answer = await _call(self._bus, _BLUEZ, "/", f"{_OBJECTS}.GetManagedObjects")
            assert_reply(answer)
        objects: dict[str, dict[str, Any]] = answer.body[0]
        known = objects.get(device, {}).get(_DEVICE)
        if known is None or not known["ServicesResolved"].value:
            return None
        mine = (path for path, interfaces in objects.items() if _CHARACTERISTIC in interfaces)
        return frozenset(path for path in mine if path.startswith(f"{device}/"))

    async def connected_devices(self) -> dict[str, str]:
        """Return all devices that are connected, by whomever, name by address; BleError."""
        async with bleak_call("adapter", "asking for devices", CALL_S):
            answer = await _call(self._bus, _BLUEZ, "/", f"{_OBJECTS}.GetManagedObjects")
            assert_reply(answer)
            devices = (interfaces.get(_DEVICE) for interfaces in answer.body[0].values())
            connected = (it for it in devices if it and it["Connected"].value)
            return {str(it["Address"].value).upper(): str(it["Alias"].value).strip() for it in connected}

    async def _watch_the_end(self) -> None:
        with contextlib.suppress(Exception):  # whatever it died of
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
        self._on_news()

    def _received(self, message: Message) -> Message | None:
        answer = answer_as_agent(message, self.welcome)
        if answer is None:
            self._heed(message)
        return answer

    def _heed(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            if message.reply_serial in self._takers:
                self._takers[message.reply_serial](message)
            return
        match message.member, message.body:
            case "NameOwnerChanged", [_, _, owner]:
                self.owner = owner or None
                self.adapters = {}
            case "InterfacesAdded", [path, interfaces] if _ADAPTER in interfaces:
                self._added(path, interfaces)
            case "InterfacesRemoved", [path, interfaces] if _ADAPTER in interfaces:
                self.adapters.pop(path, None)
            case "PropertiesChanged", [_, {"Powered": powered}, _] if message.path in self.adapters:
                self.adapters[message.path] = replace(self.adapters[message.path], powered=bool(powered.value))
            case _:
                return
        self._on_news()

    def _added(self, path: str, interfaces: dict[str, Any]) -> None:
        properties = interfaces.get(_ADAPTER)
        if properties is not None:
            address, powered = properties["Address"].value, properties["Powered"].value
            roles = properties.get("Roles")
            central = roles is None or "central" in roles.value  # BlueZ tells them since 5.54
            self.adapters[path] = AdapterFacts(path, str(address).upper(), bool(powered), central)


def device_name(address: str) -> str:
    """Return the last part of a device's path, such as dev_C4_D3_6A_00_00_01."""
    return f"dev_{address.upper().replace(':', '_')}"


async def _stays_connected(manager: BlueZManager, path: str) -> bool:
    """Return whether bleak goes on believing that a device is connected which BlueZ says is not."""
    until = time.monotonic() + AGREEMENT_S
    while manager.is_connected(path) and time.monotonic() < until:  # noqa: ASYNC110 - bleak has no event for it
        await asyncio.sleep(LOOK_S)
    return manager.is_connected(path)


async def _call(bus: MessageBus, *call: Any) -> Message:
    return await bus.call(_message(*call))


def _message(name: str, path: str, method: str, signature: str = "", *body: Any) -> Message:
    """Return a call of ``method``, with its interface, that does not let D-Bus start what was stopped."""
    interface, _, member = method.rpartition(".")
    return Message(
        destination=name,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
        flags=MessageFlag.NO_AUTOSTART,
    )
