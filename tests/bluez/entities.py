"""What a proxy lists, by unit and object id, and what becomes of it."""

from collections.abc import Callable
from typing import Any

from aioesphomeapi import APIClient, BinarySensorInfo, DeviceInfo, EntityInfo, SensorInfo, SwitchInfo, TextSensorInfo

type Entity = tuple[str, str]
"""A unit's name ("" is the proxy itself) and an object id."""


async def listed(api: APIClient) -> tuple[DeviceInfo, dict[Entity, EntityInfo]]:
    """Return who a connected proxy is, and its entities."""
    info, entities, _ = await api.device_info_and_list_entities()
    units = {device.device_id: device.name for device in info.devices} | {0: ""}
    return info, {(units[entity.device_id], entity.object_id): entity for entity in entities}


def follow(api: APIClient, infos: dict[Entity, EntityInfo], take: Callable[[Entity, Any], None]) -> None:
    """Have ``take`` called with each state of these that comes; None is missing."""
    by_key = {(info.device_id, info.key, _kind(info, "Info")): name for name, info in infos.items()}

    def received(state: Any) -> None:
        name = by_key.get((state.device_id, state.key, _kind(state, "State")))
        if name is not None and isinstance(infos[name], BinarySensorInfo | SensorInfo | SwitchInfo | TextSensorInfo):
            take(name, None if getattr(state, "missing_state", False) else state.state)

    api.subscribe_states(received)


def _kind(message: object, suffix: str) -> str:
    return type(message).__name__.removesuffix(suffix)
