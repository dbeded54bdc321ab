"""The server's half of the ESPHome native API: bytes in, events and bytes out; no I/O."""

from .encryption import KEY_BYTES, KeyStore, Mode, decode_key, encode_key
from .entities import (
    Action,
    BinarySensorEntity,
    ButtonEntity,
    Command,
    Entity,
    NumberEntity,
    SelectEntity,
    SensorEntity,
    State,
    SwitchEntity,
    TextSensorEntity,
)
from .identity import fnv1_32, fnv1a_32, object_id_of
from .node import Area, Node, NodeInfo, SubDevice
from .session import ActionCalled, Closed, Commanded, KeyChanged, Limits, Proven, Session, SessionEvent, TimeReceived
from .wire import printable

__all__ = [
    "KEY_BYTES",
    "Action",
    "ActionCalled",
    "Area",
    "BinarySensorEntity",
    "ButtonEntity",
    "Closed",
    "Command",
    "Commanded",
    "Entity",
    "KeyChanged",
    "KeyStore",
    "Limits",
    "Mode",
    "Node",
    "NodeInfo",
    "NumberEntity",
    "Proven",
    "SelectEntity",
    "SensorEntity",
    "Session",
    "SessionEvent",
    "State",
    "SubDevice",
    "SwitchEntity",
    "TextSensorEntity",
    "TimeReceived",
    "decode_key",
    "encode_key",
    "fnv1_32",
    "fnv1a_32",
    "object_id_of",
    "printable",
]
