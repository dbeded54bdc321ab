"""A bluetoothd of a few words, on a bus of the tests' own; nothing of Bluetooth is in it."""

from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

_ADAPTER, _DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
_DBUS = "org.freedesktop.DBus"


class BluezDouble:
    """Two adapters, hci0 and hci1, and the devices that ``add_device`` gives them; ``calls`` is what was asked."""

    def __init__(self, bus: MessageBus) -> None:
        self.calls: list[tuple[str, str]] = []
        self.unanswered: set[str] = set()  # methods that it waits with for ever
        self._bus = bus
        self._agents: set[str | None] = set()
        self._objects: dict[str, dict[str, dict[str, Variant]]] = {
            f"/org/bluez/hci{number}": {
                _ADAPTER: {"Address": Variant("s", f"00:00:00:00:00:0{number}"), "Powered": Variant("b", True)}
            }
            for number in (0, 1)
        }

    @classmethod
    async def start(cls, address: str) -> "BluezDouble":
        bus = await MessageBus(bus_address=address).connect()
        double = cls(bus)
        bus.add_message_handler(double._answer)
        await bus.request_name("org.bluez")
        return double

    def stop(self) -> None:
        self._bus.disconnect()

    def add_device(self, adapter: str, address: str, *, connected: bool = False, paired: bool = False) -> None:
        self._objects[f"/org/bluez/{adapter}/dev_{address.replace(':', '_')}"] = {
            _DEVICE: {
                "Adapter": Variant("o", f"/org/bluez/{adapter}"),
                "Address": Variant("s", address),
                "Alias": Variant("s", address),
                "Connected": Variant("b", connected),
                "Paired": Variant("b", paired),
                "ServicesResolved": Variant("b", connected),
            }
        }

    def turn_off(self, adapter: str) -> None:
        path, off = f"/org/bluez/{adapter}", Variant("b", False)
        self._objects[path][_ADAPTER]["Powered"] = off
        changed = [_ADAPTER, {"Powered": off}, []]
        self._bus.send(Message.new_signal(path, f"{_DBUS}.Properties", "PropertiesChanged", "sa{sv}as", changed))

    def asked(self, member: str) -> list[str]:
        """Return the paths of which that was asked."""
        return [path for name, path in self.calls if name == member]

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        self.calls.append((message.member or "", message.path or ""))
        if message.member in self.unanswered:
            return True
        match message.member, message.body:
            case "GetManagedObjects", _:
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects])
            case "Get", [interface, name]:
                found: dict[str, Any] = self._objects.get(message.path or "", {}).get(interface, {})
                if name not in found:
                    return Message.new_error(message, f"{_DBUS}.Error.UnknownObject", "no such object")
                return Message.new_method_return(message, "v", [found[name]])
            case "RegisterAgent", _ if message.sender in self._agents:
                return Message.new_error(message, "org.bluez.Error.AlreadyExists", "Already Exists")
            case "RegisterAgent", _:
                self._agents.add(message.sender)
        return Message.new_method_return(message)
