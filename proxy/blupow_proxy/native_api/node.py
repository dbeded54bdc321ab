"""The node: what it is, its entities with their states, its actions."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from aioesphomeapi import api_pb2

from blupow_proxy.errors import LocalProtocolError

from .bluetooth import BluetoothFeature, BluetoothInfo
from .entities import Action, Entity, SensorEntity, State
from .identity import fnv1a_32
from .wire import Packet, packet


@dataclass(frozen=True, slots=True)
class Area:
    """A place; ``id`` is the configuration's word for it."""

    id: str
    name: str

    @property
    def area_id(self) -> int:
        """The area's number on the wire."""
        return fnv1a_32(self.id)


@dataclass(frozen=True, slots=True)
class SubDevice:
    """A device behind the node: one Renogy unit."""

    id: str
    name: str
    area: str = ""

    @property
    def device_id(self) -> int:
        """The sub-device's number on the wire."""
        return fnv1a_32(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """What a client learns about the node; ``mac`` as AA:BB:CC:DD:EE:FF, ``name`` lower case, at most 31 characters."""

    name: str
    friendly_name: str
    mac: str
    model: str
    manufacturer: str
    esphome_version: str
    compilation_time: str = ""
    project_name: str = ""
    project_version: str = ""
    suggested_area: str = ""
    areas: tuple[Area, ...] = ()

    @property
    def mac_digits(self) -> str:
        """The MAC as discovery and the handshake spell it."""
        return self.mac.replace(":", "").lower()


@dataclass(slots=True)
class _Slot:
    state: State | None = None
    packet: Packet | None = None


class Node:
    """Entities in listing order with their current states; listeners hear of every change."""

    def __init__(self, info: NodeInfo) -> None:
        self.info = info
        self.actions: list[Action] = []
        self.bluetooth: BluetoothInfo | None = None  # nothing is forwarded
        self._devices: list[SubDevice] = []
        self._slots: dict[Entity, _Slot] = {}
        self._by_key: dict[tuple[type[Entity], int, int], Entity] = {}
        self._listeners: list[Callable[[Entity], None]] = []

    @property
    def entities(self) -> Collection[Entity]:
        """All entities in the order in which they were added."""
        return self._slots.keys()

    def add_device(self, device: SubDevice) -> None:
        """Add a sub-device."""
        self._devices.append(device)

    def add(self, entity: Entity) -> None:
        """Add an entity; LocalProtocolError when its kind, object id and sub-device are taken."""
        identity = (type(entity), entity.key, entity.device_id)
        if identity in self._by_key:
            raise LocalProtocolError(f"two entities {entity.object_id} on device {entity.device_id}")
        self._by_key[identity] = entity
        self._slots[entity] = _Slot()

    def remove(self, entity: Entity) -> None:
        """Remove an entity."""
        del self._by_key[type(entity), entity.key, entity.device_id]
        del self._slots[entity]

    def find(self, kind: type[Entity], key: int, device_id: int) -> Entity | None:
        """Return the entity that a command addresses."""
        return self._by_key.get((kind, key, device_id))

    def state(self, entity: Entity) -> State | None:
        """Return an entity's current state; None is missing."""
        return self._slots[entity].state

    def set_state(self, entity: Entity, state: State | None) -> None:
        """Publish a state; an equal one again is no news unless the entity says so (``force_update``) of its values."""
        slot = self._slots[entity]
        if slot.packet is not None and slot.state == state and (state is None or not _forces(entity)):
            return
        slot.state = state
        slot.packet = None
        for listener in self._listeners:
            listener(entity)

    def state_packet(self, entity: Entity) -> Packet | None:
        """Return an entity's current state as a message, encoded once for all sessions; None when it has none."""
        slot = self._slots.get(entity)
        if slot is None:
            return None
        if slot.packet is None:
            slot.packet = entity.state_packet(slot.state)
        return slot.packet

    def listen(self, listener: Callable[[Entity], None]) -> Callable[[], None]:
        """Call ``listener`` on every published state; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def device_info_packet(self, *, encrypted: bool, encryption_supported: bool, provisionable: bool) -> Packet:
        """Return the answer to DeviceInfoRequest."""
        info = self.info
        features, bluetooth_mac = self._offered(encrypted=encrypted)
        return packet(
            api_pb2.DeviceInfoResponse(
                name=info.name,
                friendly_name=info.friendly_name,
                mac_address=info.mac,
                esphome_version=info.esphome_version,
                compilation_time=info.compilation_time,
                model=info.model,
                manufacturer=info.manufacturer,
                project_name=info.project_name,
                project_version=info.project_version,
                suggested_area=info.suggested_area,
                bluetooth_proxy_feature_flags=features,
                bluetooth_mac_address=bluetooth_mac,
                api_encryption_supported=encryption_supported,
                api_encryption_provisionable=provisionable,
                areas=[api_pb2.AreaInfo(area_id=area.area_id, name=area.name) for area in info.areas],
                devices=[
                    api_pb2.DeviceInfo(device_id=device.device_id, name=device.name, area_id=fnv1a_32(device.area))
                    for device in self._devices
                ],
            )
        )

    def capabilities_packet(self, *, encrypted: bool) -> Packet:
        """Return the answer to DeviceCapabilitiesRequest."""
        response = api_pb2.DeviceCapabilitiesResponse()
        if self.bluetooth is not None:
            features, mac = self._offered(encrypted=encrypted)
            response.bluetooth_proxy.feature_flags, response.bluetooth_proxy.mac_address = features, mac
        return packet(response)

    def _offered(self, *, encrypted: bool) -> tuple[BluetoothFeature, str]:
        if self.bluetooth is None:
            return BluetoothFeature(0), ""
        return self.bluetooth.features_for(encrypted=encrypted), self.bluetooth.mac


def _forces(entity: Entity) -> bool:
    return isinstance(entity, SensorEntity) and entity.force_update
