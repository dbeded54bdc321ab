"""Whatever the proxy can call something has a text in the companion: a new register row without one fails here."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from blupow_proxy.native_api import Node, NodeInfo, object_id_of
from blupow_proxy.poller import Profile, Unit, UnitSpec
from blupow_proxy.proxy_entities import ProxyEntities
from blupow_proxy.renogy import Family, describe
from blupow_proxy.renogy.registers import register_map
from blupow_proxy.unit_entities import UnitEntities

TEXTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "companion/custom_components/blupow/translations/en.json").read_text()
)["entity"]
PLATFORMS = {
    "SensorEntity": "sensor",
    "TextSensorEntity": "sensor",
    "BinarySensorEntity": "binary_sensor",
    "SwitchEntity": "switch",
    "ButtonEntity": "button",
}


def key_of(name: str) -> str:
    """Return the key of a name's text, as the companion makes it."""
    key = re.sub(r"[_-]{2,}", "_", object_id_of(name)).strip("_-")
    return re.sub(r"_\d+$", "_n", key)


def text_of(name: str) -> str:
    return re.sub(r" \d+$", " {number}", name)


@pytest.mark.parametrize("family", Family)
def test_readings(family: Family, every_key: Collection[str]) -> None:
    for description in describe(family, every_key):
        platform = "binary_sensor" if description.kind == "binary_sensor" else "sensor"
        assert TEXTS[platform][key_of(description.name)]["name"] == text_of(description.name)


def test_what_the_proxy_says_of_itself_and_of_links() -> None:
    node = Node(NodeInfo(name="a", friendly_name="A", mac="", model="", manufacturer="", esphome_version=""))
    ProxyEntities(node, forwards=True)
    spec = UnitSpec(id="rover", name="Rover", address="C4:D3:6A:00:00:09", load_switch=True)
    UnitEntities(node, Unit(spec, Profile(family=Family.CONTROLLER, model="RNG-CTRL-RVR40")))
    for entity in node.entities:
        assert TEXTS[PLATFORMS[type(entity).__name__]][key_of(entity.name)]["name"] == text_of(entity.name)
    assert {entity.name for entity in node.entities} > {"Load", "Link", "Restart"}


@pytest.mark.parametrize("family", Family)
def test_every_state_of_an_enum(family: Family, every_key: Collection[str]) -> None:
    readings = {description.name: description for description in describe(family, every_key)}
    for row in register_map(family).registers:
        shown = readings.get(row.name)
        if shown is None or shown.kind != "text_sensor" or not row.enum or row.type.endswith("_array"):
            continue
        states = TEXTS["sensor"][key_of(row.name)]["state"]
        for text in row.enum.values():
            assert re.sub(r"[^a-z0-9]+", "_", text.lower()) in states
