import pytest

from blupow_proxy.modbus import (
    ExceptionResponse,
    ReadRequest,
    Response,
    ResponseParser,
    WriteRequest,
    append_crc,
)
from blupow_proxy.renogy import Family, blocks_for, decode_block, decode_push, identify_model
from blupow_proxy.simulator import Member, SimulatedUnit, World, demo_units

UNITS = [unit for unit in demo_units() if unit.members]


def exchange(unit: SimulatedUnit, request: ReadRequest | WriteRequest, now: float = 0.0) -> object:
    parser = ResponseParser()
    parser.expect(request)
    reply = unit.respond(request.encode(), now)
    return None if reply is None else parser.feed(reply)[-1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.members[0].family)
def test_every_block_has_plausible_values(unit: SimulatedUnit) -> None:
    family = unit.members[0].family
    for block in blocks_for(family):
        response = exchange(unit, ReadRequest(0xFF, block.register, block.words))
        assert isinstance(response, Response), block
        readings = decode_block(family, block.register, response.data)
        if "model" in readings:
            assert identify_model(str(readings["model"])) is family


def test_a_day_adds_up() -> None:
    world = World(speed=3600.0)
    controller, _, battery, _ = demo_units(world)[:4]
    for second in range(24):
        live = exchange(controller, ReadRequest(0xFF, 256, 34), float(second))
        pack = exchange(battery, ReadRequest(0xFF, 5042, 7), float(second))
        assert isinstance(live, Response)
        assert isinstance(pack, Response)
        values = decode_block(Family.CONTROLLER, 256, live.data)
        volts, amperes, watts = values["battery_voltage"], values["battery_current"], values["pv_power"]
        assert isinstance(volts, float)
        assert isinstance(amperes, float)
        assert abs(volts * amperes - float(str(watts))) <= 0.51
        current = decode_block(Family.BATTERY, 5042, pack.data)["battery_current"]
        expected = world.controller_a + world.charger_a - world.load_a - world.inverter_a
        assert current == pytest.approx(expected, abs=0.011)
    assert world.total.controller_wh > 412_350.0
    assert 0.1 <= world.soc <= 1.0


def test_charge_follows_what_flows_through_two_days() -> None:
    world = World(speed=1.0)
    world.advance(0.0)
    expected = world.soc
    for minute in range(1, 2 * 1440 + 1):
        expected += world.battery_a / 60 / 100
        world.advance(60.0 * minute)
        assert world.soc == pytest.approx(expected, abs=1e-6)


def test_shunt_agrees_with_the_battery() -> None:
    world = World()
    shunt = demo_units(world)[4]
    readings = decode_push(shunt.push(1.0))
    assert readings["current"] == pytest.approx(world.battery_a)
    assert readings["soc"] == pytest.approx(100 * world.soc, abs=0.05)


def test_absent_addresses_are_silent() -> None:
    assert UNITS[0].respond(ReadRequest(0x31, 12, 8).encode(), 0.0) is None


def test_own_address_answers_the_universal_one() -> None:
    response = exchange(UNITS[2], ReadRequest(0xFF, 5042, 7))
    assert isinstance(response, Response)
    assert response.address == 48


def test_refusals() -> None:
    unit = UNITS[0]
    for request, code in (
        (ReadRequest(1, 0x5000, 1), 2),
        (WriteRequest(1, 0xE004, 1), 2),
    ):
        response = exchange(unit, request)
        assert isinstance(response, ExceptionResponse)
        assert response.code == code
    assert unit.respond(bytes.fromhex("ff03010000072a10"), 0.0) == bytes.fromhex("ff8305e0c3")
    assert unit.respond(append_crc(bytes.fromhex("0178000000010000")), 0.0) is not None


def test_load_switch_switches_the_load() -> None:
    world = World()
    unit = demo_units(world)[0]
    response = exchange(unit, WriteRequest(1, 0x010A, 0))
    assert isinstance(response, Response)
    assert not world.load_on
    live = exchange(unit, ReadRequest(1, 256, 34))
    assert isinstance(live, Response)
    assert decode_block(Family.CONTROLLER, 256, live.data)["load_power"] == 0


def test_hub_members_answer_from_their_own_addresses() -> None:
    unit = SimulatedUnit("AA:00:00:00:00:01", "BT-TH-1", [Member(Family.BATTERY, n) for n in (48, 49)], World())
    for address in (48, 49):
        response = exchange(unit, ReadRequest(address, 5042, 7))
        assert isinstance(response, Response)
        assert response.address == address


def test_faults() -> None:
    unit = demo_units()[0]
    request = ReadRequest(1, 256, 34)
    unit.faults.corrupt = True
    assert not isinstance(exchange(unit, request), Response)
    unit.faults.corrupt = False
    unit.faults.wrong_address = True
    assert not isinstance(exchange(unit, request), Response)
    unit.faults.wrong_address = False
    unit.faults.refused_registers.add(256)
    assert isinstance(exchange(unit, request), ExceptionResponse)
    unit.faults.silent_registers.add(256)
    assert exchange(unit, request) is None
    unit.faults.silent = True
    assert exchange(unit, ReadRequest(1, 12, 8)) is None


def test_registers_that_hold_something_else() -> None:
    unit = demo_units()[0]
    unit.faults.overrides = {257: 0xABCD, 9999: 1}
    response = exchange(unit, ReadRequest(1, 256, 34))
    assert isinstance(response, Response)
    assert decode_block(Family.CONTROLLER, 256, response.data)["battery_percentage"] == 62
    assert response.data[2:4] == b"\xab\xcd"


def test_a_refusal_has_a_code() -> None:
    unit = demo_units()[0]
    unit.faults.refused_registers.add(256)
    unit.faults.refusal_code = 4
    refusal = exchange(unit, ReadRequest(1, 256, 34))
    assert isinstance(refusal, ExceptionResponse)
    assert refusal.code == 4


@pytest.mark.parametrize(
    ("how", "echoed", "done"),
    [("done", True, True), ("unconfirmed", False, True), ("lost", False, False), ("ignored", True, False)],
)
def test_writes(how: str, echoed: bool, done: bool) -> None:
    unit = demo_units()[0]
    unit.faults.writes = how  # type: ignore[assignment]
    assert (exchange(unit, WriteRequest(1, 0x010A, 0)) is not None) is echoed
    assert unit.world.load_on is not done


def test_a_reply_leaves_when_the_fault_says() -> None:
    unit = demo_units()[0]
    frame = ReadRequest(1, 256, 34).encode()
    assert unit.latency_of(frame) == unit.latency_s
    unit.faults.reply_delay_s = 3.0
    assert unit.latency_of(frame) == 3.0
    unit.faults.delay = len
    assert unit.latency_of(frame) == 8


def test_captured_frames_are_replayed() -> None:
    request = bytes.fromhex("ff03000c000891d1")
    reply = bytes.fromhex("ff03102020524e472d4354524c2d52565234303724")
    member = Member(Family.CONTROLLER, 1, replay={request: reply})
    unit = SimulatedUnit("AA:00:00:00:00:01", "BT-TH-1", [member], World())
    assert unit.respond(request, 0.0) == reply
