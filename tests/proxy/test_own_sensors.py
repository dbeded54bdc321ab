from blupow_config import Delta, EntityConfig, Formula, SensorConfig
from blupow_proxy.native_api import Node, NodeInfo
from blupow_proxy.own_sensors import OwnSensors


def node() -> Node:
    return Node(
        NodeInfo(
            name="shed", friendly_name="Shed", mac="02:00:00:00:00:01", model="", manufacturer="", esphome_version=""
        )
    )


def template(text: str, **entity) -> SensorConfig:
    named = EntityConfig(**{"name": "Sum"} | entity)
    return SensorConfig(platform="template", entity=named, update_interval_s=60.0, formula=Formula(text))


def test_they_are_what_esphomes_are() -> None:
    shown = node()
    wished = EntityConfig(name="CPU", icon="mdi:chip", accuracy_decimals=0)
    OwnSensors(
        shown,
        [SensorConfig(platform="cpu_temperature", entity=wished, update_interval_s=1.0)],
        {"cpu_temperature": lambda: 51.2},
    )
    [entity] = shown.entities
    assert (entity.name, entity.object_id, entity.icon) == ("CPU", "cpu", "mdi:chip")
    assert (entity.unit_of_measurement, entity.device_class, entity.accuracy_decimals) == ("°C", "temperature", 0)
    assert entity.entity_category == "diagnostic"


def test_they_are_read_when_they_are_due() -> None:
    shown, values = node(), iter((1.0, None, 3.0))
    sensors = OwnSensors(
        shown,
        [SensorConfig(platform="uptime", entity=EntityConfig(name="Up"), update_interval_s=60.0)],
        {"uptime": lambda: next(values)},
    )
    [entity] = shown.entities
    states = []
    for now_s in (1000.0, 1001.0, 1059.9, 1060.0, 1061.0, 1120.0):
        sensors.update(now_s, {})
        states.append(shown.state(entity))
    assert states == [1.0, 1.0, 1.0, None, None, 3.0]
    assert next(values, "all were read") == "all were read"


def test_a_template_is_missing_as_soon_as_what_it_needs_is() -> None:
    shown = node()
    sensors = OwnSensors(shown, [template("return id(volts).state * 2;")], {})
    [entity] = shown.entities
    sensors.update(0.0, {"volts": 12})
    assert shown.state(entity) == 24.0
    sensors.update(1.0, {"volts": None})
    assert shown.state(entity) is None
    sensors.update(2.0, {"volts": 13})
    assert shown.state(entity) == 26.0
    sensors.update(61.9, {"volts": 14})
    assert shown.state(entity) == 26.0
    sensors.update(62.0, {"volts": 14})
    assert shown.state(entity) == 28.0


def test_a_template_of_a_template_that_nobody_sees() -> None:
    shown = node()
    sensors = OwnSensors(
        shown,
        [
            template("return id(volts).state * 2;", id="twice", internal=True, filters=(Delta(least=1.0),)),
            template("return id(twice).state + 1;"),
        ],
        {},
    )
    assert [entity.name for entity in shown.entities] == ["Sum"]
    [entity] = shown.entities
    sensors.update(0.0, {"volts": 12.0, "text": "charging"})
    assert shown.state(entity) == 25.0
    sensors.update(60.0, {"volts": 12.1})
    assert shown.state(entity) == 25.0


def test_a_template_that_can_do_without_is_computed_when_that_changes_and_when_it_is_due() -> None:
    shown = node()
    sensors = OwnSensors(shown, [template("return id(a).has_state() ? id(a).state : id(b).state;")], {})
    [entity] = shown.entities
    given = ((0, 1, 10), (1, None, 11), (2, None, 12), (3, 2, 13), (4, 3, None), (5, 4, None), (64, 5, None))
    states = []
    for now_s, a, b in given:
        sensors.update(float(now_s), {"a": a, "b": b})
        states.append(shown.state(entity))
    assert states == [1, 11, 11, 2, 3, 3, 5]


def test_a_template_that_is_too_large_for_clients_is_missing() -> None:
    shown = node()
    sensors = OwnSensors(shown, [template("return id(a).state * 1e38;")], {})
    [entity] = shown.entities
    sensors.update(0.0, {"a": 3.0})
    assert shown.state(entity) == 3e38
    sensors.update(60.0, {"a": 4.0})
    assert shown.state(entity) is None
