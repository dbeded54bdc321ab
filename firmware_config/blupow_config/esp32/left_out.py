"""What of a Pi's configuration a board does without."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from blupow_config.model import ConfigPath, EntityConfig, ProxyConfig
from blupow_config.schema.readings import Kind, all_keys

from .package import EspUnit, readable_keys
from .project import OWN_FILE, EspProject

_NOT_READ: Final = "a board does not read it"
_NO_SUCH_OPTION: Final = "a board has nothing like it"
_OWN: Final = f"write it into {OWN_FILE}, in ESPHome's words"
_MISSING: Final = {
    "filters": "a board shows each value as it was read",
    "id": "on a board, nothing computes with it",
}


def wishes_for(config: ProxyConfig, unit_id: str) -> dict[str, dict[str, Any]]:
    """Return what is wished of a unit's entities that a board can have, by the key of the reading."""
    return {reading.key: _wish(reading.entity) for reading in config.readings if reading.unit_id == unit_id}


def _wish(entity: EntityConfig) -> dict[str, Any]:
    return entity.looks | ({"internal": True} if entity.internal else {})


def left_out(config: ProxyConfig, project: EspProject) -> Iterator[tuple[ConfigPath, str]]:
    """Yield all that was written for the Pi and is not in the project: its path, and why.

    No value is in it, it may be secret.
    """
    units = {unit.id: unit for unit in project.units}
    for section, content in config.given.items():
        match section:
            case "esphome":
                pass
            case "renogy":
                yield from _readings_not_read(config, units)
            case "sensor" | "binary_sensor" | "text_sensor":
                yield from _wishes_not_met(Kind(section), content, units)
            case "api" | "time":
                yield from _decided_otherwise(section, config)
            case "bluetooth_proxy":
                yield from _not_forwarded(config, project)
            case _:
                options = content if isinstance(content, dict) else {}
                taken = {"level"} if section == "logger" else set()
                yield from (((section, option), _NO_SUCH_OPTION) for option in options if option not in taken)


def _decided_otherwise(section: str, config: ProxyConfig) -> Iterator[tuple[ConfigPath, str]]:
    if section == "api" and not config.api.encryption:
        yield (section, "encryption"), "a board encrypts, with the key in its secrets.yaml"
    elif section == "time" and config.time.platform != "homeassistant":
        yield (section,), "a board's clock is Home Assistant's"


def _not_forwarded(config: ProxyConfig, project: EspProject) -> Iterator[tuple[ConfigPath, str]]:
    given = config.given["bluetooth_proxy"] or {}
    forwarding = config.bluetooth_proxy
    if forwarding is not None and forwarding.active:
        if not project.lends_links:
            yield ("bluetooth_proxy", "active"), "the units take all links of this board, so it only hears"
        elif "connection_slots" in given and project.lent_links < forwarding.connection_slots:
            yield ("bluetooth_proxy", "connection_slots"), "the board has fewer links that no unit takes"
    for option in ("allow", "deny"):
        if given.get(option):
            yield ("bluetooth_proxy", option), "a board forwards all that it hears"


def _readings_not_read(config: ProxyConfig, units: Mapping[str, EspUnit]) -> Iterator[tuple[ConfigPath, str]]:
    for number, unit in enumerate(config.renogy):
        for place, key in enumerate(unit.entities or ()):
            if key not in readable_keys(units[unit.id].family):
                yield ("renogy", number, "entities", place), _NOT_READ


def _wishes_not_met(kind: Kind, blocks: Any, units: Mapping[str, EspUnit]) -> Iterator[tuple[ConfigPath, str]]:
    for number, block in enumerate(blocks or ()):
        if block["platform"] != "renogy":
            yield (str(kind), number), _OWN
            continue
        named = block.get("renogy_id")
        unit = next(iter(units.values())) if named is None else units[named.strip()]
        for key in all_keys(kind):
            if key not in block:
                continue
            if key not in readable_keys(unit.family):
                yield (str(kind), number, key), _NOT_READ
                continue
            for option, why in _MISSING.items():
                if option in (block[key] or {}):
                    yield (str(kind), number, key, option), why
