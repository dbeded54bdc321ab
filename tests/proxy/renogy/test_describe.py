import json
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.native_api import object_id_of
from blupow_proxy.renogy import (
    EnumValue,
    Family,
    Flags,
    Kind,
    blocks_for,
    decode_block,
    decode_push,
    describe,
    register_map,
)
from blupow_proxy.renogy.decode import HISTORY_REGISTER
from blupow_proxy.renogy.states import problem_state
from blupow_proxy.renogy.states import to_states as states_but_problem

VECTORS = json.loads((Path(__file__).parents[2] / "data/vectors.json").read_text())["vectors"]
READS = [vector for vector in VECTORS if vector["kind"] == "read" and vector["register"] < HISTORY_REGISTER]
PUSHES = [vector for vector in VECTORS if vector["kind"] == "push"]
DEVICE_CLASSES = {
    Kind.SENSOR: {
        "",
        "apparent_power",
        "battery",
        "current",
        "duration",
        "energy",
        "frequency",
        "power",
        "temperature",
        "voltage",
    },
    Kind.BINARY_SENSOR: {"", "battery_charging", "problem"},
    Kind.TEXT_SENSOR: {""},
}
UNITS_OF_CLASS = {
    "voltage": {"V"},
    "current": {"A"},
    "power": {"W"},
    "apparent_power": {"VA"},
    "energy": {"Wh", "kWh"},
    "temperature": {"°C"},
    "frequency": {"Hz"},
    "battery": {"%"},
    "duration": {"s", "min", "h", "d"},
}


def to_states(family: Family, readings: dict, *, expected=()) -> dict:
    return states_but_problem(family, readings) | problem_state(family, readings, expected)


@pytest.mark.parametrize("family", Family)
def test_descriptions_are_what_home_assistant_accepts(family: Family, every_key: Collection[str]) -> None:
    descriptions = describe(family, every_key)
    assert len({description.key for description in descriptions}) == len(descriptions)
    assert len({(item.kind, object_id_of(item.name)) for item in descriptions}) == len(descriptions)
    for item in descriptions:
        assert item.device_class in DEVICE_CLASSES[item.kind], item
        assert item.category in ("", "diagnostic")
        if item.kind is Kind.SENSOR and item.device_class:
            assert item.unit in UNITS_OF_CLASS[item.device_class], item
        if item.device_class == "energy":
            assert item.state_class == "total_increasing"
        assert item.kind is Kind.SENSOR or not (item.unit or item.state_class or item.decimals)


def test_settings_are_diagnostic_and_off_by_default() -> None:
    (boost,) = describe(Family.CONTROLLER, {"boost_voltage"})
    assert (boost.category, boost.disabled, boost.decimals) == ("diagnostic", True, 1)


def test_only_the_keys_asked_for_in_the_order_of_the_map() -> None:
    descriptions = describe(Family.BATTERY, {"battery_power", "cell_voltage_2", "cell_voltage_1", "problem", "gone"})
    assert [item.name for item in descriptions] == ["Cell voltage 1", "Cell voltage 2", "Battery power", "Problem"]


@pytest.mark.parametrize("vector", [*READS, *PUSHES], ids=lambda v: v["id"])
def test_every_state_of_a_capture_is_described(vector: dict) -> None:
    family = Family(vector["family"])
    response = bytes.fromhex(vector["response_hex"])
    if vector["kind"] == "push":
        readings = decode_push(response)
    else:
        readings = decode_block(family, vector["register"], response[3:-2], variant=vector["variant"])
    states = to_states(family, readings)
    known = {key for key, state in states.items() if state is not None}
    described = {item.key: item for item in describe(family, known)}
    assert described.keys() == known
    for key in known:
        state = states[key]
        expected = {Kind.SENSOR: int | float, Kind.BINARY_SENSOR: bool, Kind.TEXT_SENSOR: str}[described[key].kind]
        assert isinstance(state, expected), key
        if isinstance(state, float):
            assert state == round(state, described[key].decimals), key


@pytest.mark.parametrize("family", [family for family in Family if register_map(family).blocks])
@given(data=st.data())
def test_any_registers_give_states_of_the_described_kind(family: Family, data: st.DataObject) -> None:
    block = data.draw(st.sampled_from(blocks_for(family)))
    raw = data.draw(st.binary(min_size=2 * block.words, max_size=2 * block.words))
    states = to_states(family, decode_block(family, block.register, raw))
    kinds = {item.key: item.kind for item in describe(family, states.keys())}
    for key, state in states.items():
        if state is not None and key in kinds:
            assert isinstance(state, bool) == (kinds[key] is Kind.BINARY_SENSOR)
            assert isinstance(state, str) == (kinds[key] is Kind.TEXT_SENSOR)


def test_battery_arrays_grow_to_their_count_and_the_rest_is_missing() -> None:
    states = to_states(Family.BATTERY, {"cell_voltage_n": (3.3, None), "temperature_n": None})
    assert [states[f"cell_voltage_{number}"] for number in (1, 2, 3)] == [3.3, None, None]
    assert states["temperature_1"] is None


def test_power_is_missing_when_a_factor_is() -> None:
    assert to_states(Family.BATTERY, {"battery_voltage": 13.2, "battery_current": -1.96})["battery_power"] == -25.9
    assert to_states(Family.BATTERY, {"battery_voltage": 13.2, "battery_current": None})["battery_power"] is None
    assert "battery_power" not in to_states(Family.BATTERY, {"battery_voltage": 13.2})


@pytest.mark.parametrize(
    ("family", "key", "value", "text", "problem"),
    [
        (Family.INVERTER, "device_status", Flags(1 << 15 | 1 << 8, ("utility_fail", "beeper_on")), None, False),
        (Family.INVERTER, "device_status", Flags(1 << 29, ("output_overload",)), "output overload", True),
        (Family.INVERTER, "fault_codes", (0, 0, 0, 0), "none", False),
        (Family.INVERTER, "fault_codes", (14, 0, 99, 0), "Inverter overload, code 99", True),
        (Family.CONTROLLER, "faults", Flags(0, ()), "none", False),
        (Family.CONTROLLER, "faults", Flags(1, ()), "unknown (0x1)", False),  # reserved: no document says what it means
        (Family.BATTERY, "cell_voltage_alarm", EnumValue(0, "normal"), "normal", False),
        (Family.BATTERY, "cell_voltage_alarm", EnumValue(4, None), "alarm 0x4", True),
        (Family.CONTROLLER, "charging_status", EnumValue(6, "current_limiting"), "current limiting", None),
        (Family.CONTROLLER, "charging_status", EnumValue(9, None), "unknown (9)", None),
        (Family.CONTROLLER, "faults", None, None, None),
        (Family.CONTROLLER, "model", "RNG-CTRL-RVR40", "RNG-CTRL-RVR40", None),
    ],
)
def test_texts_and_problems(family, key, value, text, problem) -> None:
    states = to_states(family, {key: value})
    assert states.get("problem") is problem
    if text is not None or value is None:
        assert states[key] == text


def test_one_fault_makes_the_problem() -> None:
    states = to_states(Family.DCC, {"faults_high": Flags(0, ()), "faults_low": Flags(1 << 9, ("solar_overvoltage",))})
    assert states["problem"] is True


def test_on_off() -> None:
    states = to_states(Family.CONTROLLER, {"load_status": EnumValue(1, "on"), "load_switch": EnumValue(7, None)})
    assert states == {"load_status": True, "load_switch": None}
    assert to_states(Family.INVERTER, {"fault_state": EnumValue(1, "fault")})["problem"] is True


@pytest.mark.parametrize(("bank", "volts"), [(12, 14.4), (24, 28.8), (48, 57.6), (255, None), (None, None)])
def test_thresholds_are_those_of_the_whole_bank(bank: int | None, volts: float | None) -> None:
    states = to_states(Family.CONTROLLER, {"boost_voltage": 14.4, "system_voltage": bank})
    assert states["boost_voltage"] == volts


@pytest.mark.parametrize(
    ("remaining", "capacity", "percent"),
    [(61.5, 100.0, 61.5), (100.4, 100.0, 100.0), (1.0, 0.0, None), (None, 1.0, None)],
)
def test_a_batterys_charge_is_what_remains_of_its_capacity(remaining, capacity, percent) -> None:
    states = to_states(Family.BATTERY, {"remaining_capacity": remaining, "capacity": capacity})
    assert states["state_of_charge"] == percent


def test_no_problem_is_only_said_when_all_that_is_known_was_read() -> None:
    calm = {"device_status": Flags(0, ())}
    assert to_states(Family.INVERTER, calm)["problem"] is False
    assert to_states(Family.INVERTER, calm, expected={"device_status", "fault_codes"})["problem"] is None
    broken = {"device_status": Flags(1 << 29, ("output_overload",))}
    assert to_states(Family.INVERTER, broken, expected={"device_status", "fault_codes"})["problem"] is True
    assert "problem" not in to_states(Family.INVERTER, {})
