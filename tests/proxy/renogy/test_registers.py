import pytest

from blupow_proxy.modbus import ReadRequest
from blupow_proxy.renogy import Family, Register, Schedule, blocks_for, register_map
from blupow_proxy.renogy.registers import _row


@pytest.mark.parametrize("family", Family)
def test_rows_are_sound(family: Family) -> None:
    table = register_map(family)
    for rows in (table.registers, table.history, table.push):
        keys = [row.key for row in rows]
        assert len(keys) == len(set(keys))
    for row in table.registers:
        assert 1 <= row.words <= 16
        assert row.count_from is None or row.count_from in {other.key for other in table.registers}
        assert row.type in {"uint", "int", "sign_magnitude", "text", "version", "hex", "flags", "alarms"} | {
            "uint_array",
            "int_array",
        }
    for block in table.blocks:
        ReadRequest(1, block.register, block.words)
        assert isinstance(block.schedule, Schedule)


def test_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        _row(Register, {"key": "a", "register": 1, "type": "uint", "name": "A", "colour": 1})


def test_g6_chargers_get_one_longer_read() -> None:
    usual = {block.name: block.words for block in blocks_for(Family.DCC, "RBC50D1S-G1")}
    g6 = {block.name: block.words for block in blocks_for(Family.DCC, "RBC50D1S-G6")}
    assert usual["live"] == 32
    assert g6["live"] == 34
    assert set(usual) - set(g6) == {"status"}
    assert blocks_for(Family.DCC) == register_map(Family.DCC).blocks
    assert blocks_for(Family.BATTERY, "X-G6") == register_map(Family.BATTERY).blocks


def test_a_device_that_garbles_long_reads_gets_short_ones() -> None:
    assert max(block.words for block in blocks_for(Family.INVERTER, "RIV4835CSH1S")) == 10
    assert {"main", "pv_charging", "load", "model"} <= {b.name for b in blocks_for(Family.INVERTER, "RIV4835CSH1S")}
    assert blocks_for(Family.INVERTER, "RIV1230RCH-SPS") == register_map(Family.INVERTER).blocks
