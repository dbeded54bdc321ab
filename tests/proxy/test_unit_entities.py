"""A unit's readings as the configuration wishes them; tests/wire/test_app.py has them as a client sees them."""

import logging
from collections.abc import Mapping

import pytest

from blupow_config import Delta, EntityConfig, Throttle
from blupow_proxy.native_api import Entity, Node, NodeInfo
from blupow_proxy.poller import Profile, Unit, UnitSpec
from blupow_proxy.renogy import Family
from blupow_proxy.unit_entities import UnitEntities

INFO = NodeInfo(
    name="shed", friendly_name="Shed", mac="02:00:00:00:00:01", model="", manufacturer="", esphome_version=""
)
KEYS = frozenset({"battery_voltage", "pv_voltage", "model", "problem"})


class Bench:
    def __init__(self, wishes: Mapping[str, EntityConfig], shown: tuple[str, ...] | None = None) -> None:
        self.node = Node(INFO)
        self.unit = Unit(
            UnitSpec(id="rover", name="Rover", address="C4:D3:6A:00:00:01"),
            Profile(family=Family.CONTROLLER, keys=KEYS),
        )
        self.now_s = 0.0
        self.entities = UnitEntities(self.node, self.unit, wishes=wishes, shown=shown, clock=lambda: self.now_s)

    @property
    def names(self) -> set[str]:
        return {entity.name for entity in self.node.entities}

    def show(self, name: str, **states) -> object:
        self.unit.states = states
        self.entities.publish(released=False)
        return self.node.state(next(entity for entity in self.node.entities if entity.name == name))


def test_what_is_not_wanted_is_not_listed() -> None:
    assert {"PV voltage", "Model", "Problem"} <= Bench({}).names
    assert not {"PV voltage", "Model", "Problem"} & Bench({}, shown=("battery_voltage", "nothing")).names


def test_what_is_hidden_has_a_state_for_formulas() -> None:
    bench = Bench({"pv_voltage": EntityConfig(internal=True, id="panel"), "model": EntityConfig(id="model")})
    assert "PV voltage" not in bench.names
    bench.show("Model", pv_voltage=33.1, model="RNG-CTRL-RVR40")
    assert bench.entities.named == {"panel": 33.1, "model": "RNG-CTRL-RVR40"}


def test_what_is_no_longer_there_has_no_state_for_formulas() -> None:
    bench = Bench({"pv_voltage": EntityConfig(id="panel"), "battery_voltage": EntityConfig(id="bank")})
    bench.show("PV voltage", pv_voltage=33.1, battery_voltage=13.2)
    bench.unit.profile = Profile(family=Family.CONTROLLER, keys=frozenset({"battery_voltage"}))
    bench.entities.relist(released=False)
    assert bench.entities.named == {"bank": 13.2}


def test_of_another_device_nothing_is_shown_as_this_ones() -> None:
    bench = Bench({"battery_voltage": EntityConfig(id="bank")})
    assert bench.show("Battery voltage", battery_voltage=13.2) == 13.2
    bench.unit.identified(Profile(family=Family.DCC))
    assert bench.show("Battery voltage", battery_voltage=26.4) is None
    assert bench.entities.named == {"bank": None}
    bench.entities.relist(released=False)
    assert "Battery voltage" not in bench.names
    bench.unit.profile = Profile(family=Family.DCC, keys=KEYS)
    bench.entities.relist(released=False)
    bench.show("Link", battery_voltage=26.4)
    assert bench.entities.named == {"bank": 26.4}


def test_filters_hold_back_and_what_is_gone_is_missing() -> None:
    bench = Bench({"battery_voltage": EntityConfig(filters=(Delta(least=0.5),))})
    shown = [bench.show("Battery voltage", battery_voltage=volts) for volts in (13.0, 13.4, 13.6, None, 13.7)]
    assert shown == [13.0, 13.0, 13.6, None, 13.7]


def test_a_filter_starts_anew_with_a_new_listing() -> None:
    bench = Bench({"battery_voltage": EntityConfig(filters=(Delta(least=0.5),))})
    assert bench.show("Battery voltage", battery_voltage=13.0) == 13.0
    bench.unit.states = {"battery_voltage": 13.1}
    bench.entities.relist(released=False)
    assert bench.show("Battery voltage", battery_voltage=13.1) == 13.1


@pytest.mark.parametrize("name", ["PV voltage", "pv voltage", "Link quality"])
def test_a_name_that_is_taken_is_not_given(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bench = Bench({"battery_voltage": EntityConfig(name=name, icon="mdi:battery")})
    assert {"Battery voltage", "PV voltage", "Link"} <= bench.names
    assert f"another entity is called {name}" in caplog.text


def test_two_that_want_the_same_name() -> None:
    bench = Bench({"battery_voltage": EntityConfig(name="Volts"), "pv_voltage": EntityConfig(name="volts")})
    assert {"Volts", "PV voltage"} <= bench.names


def test_each_reading_is_news_once_if_that_is_wished() -> None:
    bench = Bench({"battery_voltage": EntityConfig(force_update=True), "pv_voltage": EntityConfig()})
    published: list[tuple[str, object]] = []

    def note(entity: Entity) -> None:
        bench.node.state_packet(entity)  # as sessions do
        published.append((entity.name, bench.node.state(entity)))

    def news() -> list[tuple[str, object]]:
        bench.entities.publish(released=False)
        found = [each for each in published if "voltage" in each[0]]
        published.clear()
        return found

    bench.node.listen(note)
    bench.unit.update({"battery_voltage": 13.2, "pv_voltage": 30.0}, 6.0, now=0.0)
    assert sorted(news()) == [("Battery voltage", 13.2), ("PV voltage", 30.0)]
    assert news() == []
    bench.unit.requested(answered=False)
    assert news() == []
    bench.unit.update({"pv_voltage": 30.0}, 6.0, now=1.0)
    assert news() == []
    bench.unit.update({"battery_voltage": 13.2}, 6.0, now=2.0)
    assert news() == [("Battery voltage", 13.2)]
    assert news() == []
    bench.unit.expire(8.0)
    assert sorted(news()) == [("Battery voltage", None), ("PV voltage", None)]
    bench.unit.update({"battery_voltage": None}, 6.0, now=9.0)
    assert news() == []


def test_what_is_held_back_is_not_shown_later_without_a_new_reading() -> None:
    bench = Bench({"battery_voltage": EntityConfig(filters=(Throttle(10.0),))})
    shown = []
    for now_s, reading in ((0.0, 13.0), (5.0, 13.5), (11.0, None), (12.0, 13.5)):
        bench.now_s = now_s
        if reading is not None:
            bench.unit.update({"battery_voltage": reading}, 60.0, now=now_s)
        shown.append(bench.show("Battery voltage", **bench.unit.states))
    assert shown == [13.0, 13.0, 13.0, 13.5]
