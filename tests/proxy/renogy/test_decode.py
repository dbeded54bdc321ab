import pytest
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.renogy import EnumValue, Family, Flags, Value, decode_block, is_plausible, register_map
from blupow_proxy.renogy.decode import decimals


def words(*values: int) -> bytes:
    return b"".join((value & 0xFFFF).to_bytes(2) for value in values)


def one(family: Family, register: int, key: str, *values: int, **options: str) -> Value:
    return decode_block(family, register, words(*values), **options)[key]


@pytest.mark.parametrize(
    ("raw", "celsius"),
    [(0x0B0B, 11), (0x8B8B, -11), (0x8080, 0), (0x8585, -5), (0x7F7F, None), (0xFFFF, None)],
)
def test_controller_temperatures_are_sign_and_magnitude(raw: int, celsius: int | None) -> None:
    readings = decode_block(Family.CONTROLLER, 259, words(raw))
    assert readings == {"controller_temperature": celsius, "battery_temperature": celsius}


@pytest.mark.parametrize(("raw", "celsius"), [(0xFFCE, -5.0), (0xFFFF, None), (0x7FFF, None), (300, 30.0)])
def test_inverter_temperature_is_signed_and_has_a_sentinel(raw: int, celsius: float | None) -> None:
    assert one(Family.INVERTER, 4006, "temperature", raw) == celsius


def test_out_of_range_is_missing() -> None:
    assert one(Family.CONTROLLER, 256, "battery_percentage", 103) is None
    assert one(Family.CONTROLLER, 257, "battery_voltage", 16530) is None


def test_no_float_noise() -> None:
    assert repr(one(Family.CONTROLLER, 257, "battery_voltage", 146)) == "14.6"
    assert repr(one(Family.CONTROLLER, 257, "battery_voltage", 131)) == "13.1"


def test_unknown_enum_code_has_no_name() -> None:
    assert one(Family.CONTROLLER, 57348, "battery_type", 41217) == EnumValue(41217, None)


def test_faults_are_text() -> None:
    assert one(Family.CONTROLLER, 289, "faults", 0x0021, 0) == Flags(
        0x210000, ("controller_overtemperature", "battery_overdischarge")
    )


def test_all_ones_status_is_missing() -> None:
    assert one(Family.INVERTER, 4007, "device_status", 0xFFFF, 0xFFFF) is None


def test_other_alarms_name_their_direction() -> None:
    assert one(Family.BATTERY, 5104, "other_alarm", 0x4020, 0) == Flags(
        0x40200000, ("bms_board_temp_low", "charge_current_high")
    )


def test_versions_and_serials() -> None:
    readings = decode_block(Family.CONTROLLER, 20, bytes.fromhex("00030201000102031501ffff"))
    assert readings == {"software_version": "V03.02.01", "hardware_version": "V01.02.03", "serial_number": "1501FFFF"}
    assert one(Family.CONTROLLER, 29, "unique_id", 0xFFFF, 0xFFFF) is None


def test_text_that_is_no_text_is_missing() -> None:
    assert one(Family.BATTERY, 5122, "model", *[0x4180] * 8) is None


def test_pro_battery_counts_tenths_of_an_ampere() -> None:
    pack = (0xFFF4, 133, 3, 12354, 3, 15322, 6)
    assert one(Family.BATTERY, 5042, "battery_current", *pack, variant="pro") == -1.2
    assert one(Family.BATTERY, 5042, "battery_current", *pack, variant="legacy") == -0.12


def test_current_beyond_twice_the_capacity_is_missing() -> None:
    assert one(Family.BATTERY, 5042, "battery_current", 30000, 133, 0, 5000, 0, 10000, 6, variant="pro") is None


def test_inverter_current_sign_by_model() -> None:
    assert one(Family.INVERTER, 4328, "charging_current", 0xFE11) == -49.5
    assert one(Family.INVERTER, 4328, "charging_current", 0xFE11, model="RIV4835CSH1S") == 49.5
    assert one(Family.INVERTER, 4328, "charging_current", 0xFE11, model="RIV1230RCH-SPS") == -49.5


def test_cells_in_millivolts_are_recognised() -> None:
    assert one(Family.BATTERY, 5000, "cell_voltage_n", 2, 3312, 3315, *[0] * 14) == (3.312, 3.315)


@pytest.mark.parametrize(("hundredths", "current"), [(5_000, 50.0), (-20_000, -200.0), (20_100, None), (-20_100, None)])
def test_a_current_that_no_such_battery_carries_is_missing(hundredths: int, current: float | None) -> None:
    capacity = divmod(100_000, 1 << 16)  # 100 Ah
    assert one(Family.BATTERY, 5042, "battery_current", hundredths % (1 << 16), 132, 0, 50_000, *capacity) == current


def test_cells_without_a_plausible_count_are_missing() -> None:
    assert one(Family.BATTERY, 5000, "cell_voltage_n", 99, *[33] * 16) is None


def test_what_an_inverter_does_not_have_is_missing() -> None:
    readings = decode_block(Family.INVERTER, 4398, words(*[0xFFFF] * 10))
    assert readings["fault_codes"] is None
    assert one(Family.INVERTER, 4398, "fault_codes", 14, 0xFFFF, 0, 0) == (14, None, 0, 0)
    assert readings["machine_state"] is None
    assert one(Family.INVERTER, 4332, "charging_status", 0xFFFF) is None


@pytest.mark.parametrize(
    ("data", "plausible"),
    [(words(*[0xFFFF] * 34), False), (words(*[0] * 34), False), (words(50, 132, *[0] * 32), True)],
)
def test_a_block_is_plausible_with_plausible_volts(data: bytes, plausible: bool) -> None:
    (live,) = (block for block in register_map(Family.CONTROLLER).blocks if block.name == "live")
    assert is_plausible(live, data, decode_block(Family.CONTROLLER, 256, data)) is plausible


def test_array_without_a_count_is_whole() -> None:
    assert one(Family.INVERTER, 4398, "fault_codes", 0, 14, 0, 21) == (0, 14, 0, 21)


def test_partial_registers_are_left_out() -> None:
    assert decode_block(Family.CONTROLLER, 289, words(1)) == {}
    assert decode_block(Family.CONTROLLER, 257, b"\0") == {}


def test_decimals() -> None:
    assert [decimals(scale) for scale in (None, 0.1, 0.01, 0.001, 1.0)] == [0, 1, 2, 3, 0]


@given(st.sampled_from([f for f in Family if f is not Family.SHUNT300]), st.data())
def test_any_bytes_keep_the_ranges(family: Family, data: st.DataObject) -> None:
    block = data.draw(st.sampled_from(register_map(family).blocks))
    raw = data.draw(st.binary(min_size=2 * block.words, max_size=2 * block.words))
    variant = data.draw(st.sampled_from([None, "legacy", "pro", "rngpro", "hub"]))
    readings = decode_block(family, block.register, raw, variant=variant)
    limits = {row.key: row.range for row in register_map(family).registers if row.range}
    for key, value in readings.items():
        if isinstance(value, int | float) and limits.get(key):
            low, high = limits[key]
            assert low <= value <= high
