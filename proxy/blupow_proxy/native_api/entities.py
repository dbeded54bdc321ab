"""Entities and actions as clients see them, and their messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, ClassVar, Final

from aioesphomeapi import api_pb2
from google.protobuf.message import Message

from .identity import fnv1_32, object_id_of
from .wire import MESSAGE_IDS, Packet, encode_varint, packet

type State = float | bool | str
type Command = float | bool | str | None

_KEY: Final = Struct("<BI")
_KEY_AND_STATE: Final = Struct("<BIBf")
_CATEGORIES: Final = {"": 0, "config": 1, "diagnostic": 2}
_STATE_CLASSES: Final = {"": 0, "measurement": 1, "total_increasing": 2, "total": 3, "measurement_angle": 4}
_NUMBER_MODES: Final = {"auto": 0, "box": 1, "slider": 2}
_ARGUMENT_TYPES: Final = {
    "bool": 0,
    "int": 1,
    "float": 2,
    "string": 3,
    "bool[]": 4,
    "int[]": 5,
    "float[]": 6,
    "string[]": 7,
}
_ARGUMENT_FIELDS: Final = (
    "bool_",
    "int_",
    "float_",
    "string_",
    "bool_array",
    "int_array",
    "float_array",
    "string_array",
)
_RESPONSES: Final = {"none": 0, "optional": 1, "only": 2}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entity:  # compared by identity: a hash of all fields is what publishing a state would cost most
    """One entity of the node (``device_id`` 0) or of a sub-device; ``object_id`` follows from the name."""

    name: str
    object_id: str = ""
    device_id: int = 0
    icon: str = ""
    entity_category: str = ""
    disabled_by_default: bool = False
    key: int = field(init=False)

    listing: ClassVar[type[Message]]
    reporting: ClassVar[type[Message] | None] = None

    def __post_init__(self) -> None:
        object_id = self.object_id or object_id_of(self.name)
        object.__setattr__(self, "object_id", object_id)
        object.__setattr__(self, "key", fnv1_32(object_id))

    def list_packet(self) -> Packet:
        """Return the message that describes this entity."""
        return packet(
            self.listing(
                object_id=self.object_id,
                key=self.key,
                name=self.name,
                device_id=self.device_id,
                icon=self.icon,
                entity_category=_CATEGORIES[self.entity_category],
                disabled_by_default=self.disabled_by_default,
                **self._details(),
            )
        )

    def state_packet(self, state: State | None) -> Packet | None:
        """Return the message with ``state``, None being "missing"; None for an entity without a state."""
        if self.reporting is None:
            return None
        message: Any = self.reporting(key=self.key, device_id=self.device_id)
        if state is None:
            message.missing_state = True
        else:
            message.state = state
        return packet(message)

    def _details(self) -> Mapping[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SensorEntity(Entity):
    """A number with a unit."""

    unit_of_measurement: str = ""
    accuracy_decimals: int = 0
    force_update: bool = False
    device_class: str = ""
    state_class: str = ""

    listing = api_pb2.ListEntitiesSensorResponse
    reporting = api_pb2.SensorStateResponse

    def _details(self) -> Mapping[str, Any]:
        return {
            "unit_of_measurement": self.unit_of_measurement,
            "accuracy_decimals": self.accuracy_decimals,
            "force_update": self.force_update,
            "device_class": self.device_class,
            "state_class": _STATE_CLASSES[self.state_class],
        }

    def state_packet(self, state: State | None) -> Packet:
        """Return the state's message, packed by hand: thousands a second pass here."""
        if state is None:
            body = _KEY.pack(0x0D, self.key) + b"\x18\x01"
        elif state:
            body = _KEY_AND_STATE.pack(0x0D, self.key, 0x15, state)
        else:
            body = _KEY.pack(0x0D, self.key)
        if self.device_id:
            body += b"\x20" + encode_varint(self.device_id)
        return _SENSOR_STATE_ID, body


_SENSOR_STATE_ID: Final = MESSAGE_IDS["SensorStateResponse"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BinarySensorEntity(Entity):
    """On or off."""

    device_class: str = ""

    listing = api_pb2.ListEntitiesBinarySensorResponse
    reporting = api_pb2.BinarySensorStateResponse

    def _details(self) -> Mapping[str, Any]:
        return {"device_class": self.device_class}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextSensorEntity(Entity):
    """A text."""

    device_class: str = ""

    listing = api_pb2.ListEntitiesTextSensorResponse
    reporting = api_pb2.TextSensorStateResponse

    def _details(self) -> Mapping[str, Any]:
        return {"device_class": self.device_class}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SwitchEntity(Entity):
    """Something to turn on and off."""

    assumed_state: bool = False
    device_class: str = ""

    listing = api_pb2.ListEntitiesSwitchResponse
    reporting = api_pb2.SwitchStateResponse

    def _details(self) -> Mapping[str, Any]:
        return {"assumed_state": self.assumed_state, "device_class": self.device_class}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ButtonEntity(Entity):
    """Something to press; has no state."""

    device_class: str = ""

    listing = api_pb2.ListEntitiesButtonResponse

    def _details(self) -> Mapping[str, Any]:
        return {"device_class": self.device_class}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberEntity(Entity):
    """A number to set, in min_value..max_value."""

    min_value: float
    max_value: float
    step: float
    unit_of_measurement: str = ""
    mode: str = "auto"
    device_class: str = ""

    listing = api_pb2.ListEntitiesNumberResponse
    reporting = api_pb2.NumberStateResponse

    def _details(self) -> Mapping[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "step": self.step,
            "unit_of_measurement": self.unit_of_measurement,
            "mode": _NUMBER_MODES[self.mode],
            "device_class": self.device_class,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectEntity(Entity):
    """One of several options to choose."""

    options: tuple[str, ...]

    listing = api_pb2.ListEntitiesSelectResponse
    reporting = api_pb2.SelectStateResponse

    def _details(self) -> Mapping[str, Any]:
        return {"options": self.options}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Action:
    """A user-defined action; ``arguments`` maps names to bool, int, float, string or an array of one ("int[]")."""

    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    response: str = "none"
    description: str = ""

    @property
    def key(self) -> int:
        """The action's number on the wire."""
        return fnv1_32(self.name)

    def list_packet(self) -> Packet:
        """Return the message that describes this action."""
        return packet(
            api_pb2.ListEntitiesServicesResponse(
                name=self.name,
                key=self.key,
                supports_response=_RESPONSES[self.response],
                description=self.description,
                args=[
                    api_pb2.ListEntitiesServicesArgument(name=name, type=_ARGUMENT_TYPES[kind])
                    for name, kind in self.arguments.items()
                ],
            )
        )

    def decode_arguments(self, sent: Any) -> dict[str, Any]:
        """Return the values of an ExecuteServiceRequest's arguments, as many as were sent, by name."""
        decoded: dict[str, Any] = {}
        for (name, kind), value in zip(self.arguments.items(), sent, strict=False):
            content = getattr(value, _ARGUMENT_FIELDS[_ARGUMENT_TYPES[kind]])
            decoded[name] = list(content) if kind.endswith("[]") else content
        return decoded
