"""Never a wrong value: what a device says, and what is only left over, doubtful or impossible."""

import asyncio

import pytest

from blupow_proxy.modbus import append_crc
from blupow_proxy.poller import Profile, UnitSpec
from blupow_proxy.poller.unit import UNREADABLE
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, World, demo_units

CONTROLLER, DCC, BATTERY, INVERTER, SHUNT = range(5)


def reply(request: str, data: bytes) -> tuple[bytes, bytes]:
    """Return a request's bytes, its CRC left to us, and a response with ``data``."""
    asked = append_crc(bytes.fromhex(request))
    return asked, append_crc(asked[:2] + bytes((len(data),)) + data)


def only(family: Family, address: int = 0xFF) -> SimulatedUnit:
    return SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [Member(family, address)], World(speed=0.0))


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
def test_a_block_of_zeros_or_ones_is_no_reading(in_virtual_time, bench, filling) -> None:
    async def main() -> None:
        simulated = only(Family.CONTROLLER)
        async with bench(simulated) as b:
            await b.wait(20)
            before = dict(b.unit.states)
            assert before["power_generation_total"] > 0
            request, response = reply("ff0301000022", filling * 68)
            simulated.members[0].replay[request] = response
            seen = set()
            for _ in range(40):
                await b.wait(0.25)
                seen |= {b.unit.states.get(key) for key in ("power_generation_total", "pv_voltage", "load_status")}
            assert seen == {before["power_generation_total"], before["pv_voltage"], before["load_status"], None}
            assert b.unit.status == UNREADABLE
            simulated.members[0].replay.clear()
            await b.wait(4)
            assert b.unit.connected

    in_virtual_time(main())


@pytest.mark.parametrize("word", [0x0000, 0xFFFF, 0x0083, 0x1234])
def test_a_device_that_resets_is_not_believed_in_any_block(in_virtual_time, bench, word) -> None:
    """0x0083 are 13.1 V: one word throughout is nonsense, whatever it may mean; and energy may not fall to zero."""

    async def main() -> None:
        simulated = only(Family.INVERTER)
        async with bench(simulated) as b:
            await b.wait(60)
            before = dict(b.unit.states)
            assert before["pv_energy_total"] is not None
            while b.registers()[-1] != 4398:  # the last of a pass
                await b.wait(0.25)
            await b.wait(0.3)
            simulated.faults.overrides = dict.fromkeys(range(4000, 4600), word)
            seen: dict[str, set[object]] = {}
            for _ in range(1600):  # longer than slow blocks' readings are shown
                await b.wait(1)
                for key, state in b.unit.states.items():
                    seen.setdefault(key, set()).add(state)
            assert {key: states for key, states in seen.items() if not states <= {before.get(key), None}} == {}
            assert b.unit.states.get("pv_energy_total") is None
            simulated.faults.overrides = {}
            await b.wait(310)
            assert b.unit.states == before

    in_virtual_time(main())


def test_a_total_of_a_lifetime_does_not_fall(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.INVERTER)
        async with bench(simulated) as b:
            simulated.faults.overrides = {4554: 1, 4555: 0}
            await b.wait(60)
            assert b.unit.states["pv_energy_total"] == 6553.6
            simulated.faults.overrides = {4554: 0, 4555: 0}
            await b.wait(300)
            assert b.unit.states["pv_energy_total"] is None
            simulated.faults.overrides = {4554: 1, 4555: 1}
            await b.wait(300)
            assert b.unit.states["pv_energy_total"] == 6553.7
            simulated.faults.overrides = {4554: 0, 4555: 5}  # another device in its place
            await b.wait(900)
            assert b.unit.states["pv_energy_total"] == 0.5

    in_virtual_time(main())


def test_a_known_device_is_not_believed_before_it_is_in_its_senses(in_virtual_time, bench) -> None:
    known = Profile(
        family=Family.INVERTER, model="RIV1230RCH-SPS", modbus_address=32, keys=frozenset({"battery_voltage"})
    )

    async def main() -> None:
        simulated = only(Family.INVERTER, 32)
        simulated.faults.overrides = dict.fromkeys({*range(4000, 4010), *range(4543, 4558)}, 0)
        async with bench(simulated, profile=known) as b:
            await b.wait(60)
            assert b.unit.status == UNREADABLE
            assert b.unit.states.get("pv_energy_total") is None

    in_virtual_time(main())


def test_a_device_that_never_had_what_tells_is_believed_in_the_rest(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.INVERTER)
        simulated.faults.overrides = {4005: 0xFFFF}
        async with bench(simulated) as b:
            await b.wait(60)
            assert b.unit.connected
            assert b.unit.states["battery_percentage"] is not None
            assert b.unit.states.get("battery_voltage") is None

    in_virtual_time(main())


def test_a_battery_whose_name_was_not_heard_shows_no_current(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.BATTERY)
        simulated.world.clock_s = 22 * 3600.0  # a few amperes: ten times as many are still possible
        simulated.name = ""
        async with bench(simulated) as b:
            await b.wait(20)
            assert b.unit.states["battery_voltage"] is not None
            assert b.unit.states["battery_current"] is None
            assert b.unit.states["battery_power"] is None
            simulated.name = "RNGRBP0000009"
            b.air.lose()
            await b.wait(20)
            assert b.unit.profile.variant == "pro"
            assert b.unit.states["battery_current"] == pytest.approx(10 * simulated.world.battery_a, abs=0.06)

    in_virtual_time(main())


def test_a_battery_that_did_not_answer_for_a_while_keeps_its_variant(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.BATTERY)
        async with bench(simulated) as b:
            await b.wait(20)
            variant, keys = b.unit.profile.variant, b.unit.profile.keys
            assert variant is not None
            assert "battery_current" in keys
            simulated.faults.silent = True
            simulated.name = ""  # bluetoothd has forgotten it, and a name comes in scan responses alone
            await b.wait(600)
            simulated.faults.silent = False
            await b.wait(120)
            assert b.unit.connected
            assert (b.unit.profile.variant, b.unit.profile.keys) == (variant, keys)

    in_virtual_time(main())


def test_a_variant_that_was_taken_back_is_forgotten(in_virtual_time, bench) -> None:
    async def main() -> None:
        known = Profile(family=Family.BATTERY, variant="pro", model="RBT100LFP12S-G1", modbus_address=0xFF)
        async with bench(only(Family.BATTERY), profile=known) as b:
            await b.wait(20)
            assert b.unit.profile.variant == "legacy"

    in_virtual_time(main())


def test_the_users_address_counts_more_than_a_remembered_one(in_virtual_time, bench) -> None:
    async def main() -> None:
        members = [Member(Family.BATTERY, 48), Member(Family.BATTERY, 49)]
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", members, World())
        spec = UnitSpec(id="one", name="One", address=simulated.address, modbus_address=49)
        known = Profile(family=Family.BATTERY, model="RBT100LFP12S-G1", modbus_address=48)
        async with bench(simulated, spec, profile=known) as b:
            await b.wait(20)
            assert {request.address for _, request in b.air.requests} == {49}
            assert b.unit.connected

    in_virtual_time(main())


def test_a_remembered_universal_address_is_not_used_among_others(in_virtual_time, bench) -> None:
    async def main() -> None:
        members = [Member(Family.CONTROLLER, 16), Member(Family.CONTROLLER, 17)]
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", members, World())
        specs = [
            UnitSpec(id=str(address), name=str(address), address=simulated.address, modbus_address=address)
            for address in (16, 17)
        ]
        known = Profile(family=Family.CONTROLLER, model="RNG-CTRL-RVR40", modbus_address=0xFF)
        async with bench(simulated, *specs, profile=known) as b:
            await b.wait(20)
            assert {request.address for _, request in b.air.requests} == {16, 17}

    in_virtual_time(main())


def test_what_is_read_once_does_not_stay_when_it_is_live(in_virtual_time, bench) -> None:
    """A battery's information, read once for each connection, holds its alarms, too."""

    async def main() -> None:
        simulated = only(Family.BATTERY)
        async with bench(simulated) as b:
            simulated.faults.refused_registers.add(5100)
            await b.wait(20)
            assert b.unit.states["serial_number"] is not None
            simulated.faults.silent = True
            await b.wait(60)
            assert b.unit.states["serial_number"] is not None
            for key in ("status1", "status2", "other_alarm", "problem"):
                assert b.unit.states.get(key) is None

    in_virtual_time(main())


def test_no_problem_is_no_news_while_the_faults_are_unread(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.INVERTER)
        async with bench(simulated) as b:
            await b.wait(60)
            assert b.unit.states["problem"] is False
            simulated.faults.silent_registers.add(4398)
            await b.wait(60)
            assert b.unit.states.get("fault_codes") is None
            assert b.unit.states["problem"] is None

    in_virtual_time(main())


@pytest.mark.parametrize(
    ("variant", "model", "missing"),
    [
        (None, "RBT100LFP12S-G1", None),
        ("rngpro", "RBT12500LFP-BT", "cell_voltage_alarm"),
        (None, "RBT100LFP12SH-G1", "cell_temperature_alarm"),
    ],
)
def test_alarms_that_healthy_packs_show_are_no_alarms(in_virtual_time, bench, variant, model, missing) -> None:
    async def main() -> None:
        simulated = only(Family.BATTERY)
        request, response = reply("ff0314020008", model.encode().ljust(16, b"\0"))
        simulated.members[0].replay[request] = response
        alarms = bytes.fromhex("000000aa 00000064 00000000 0006 0a00 0000 00c0".replace(" ", ""))
        request, response = reply("ff0313ec000a", alarms)
        simulated.members[0].replay[request] = response
        spec = UnitSpec(id="one", name="One", address=simulated.address, variant=variant)
        async with bench(simulated, spec) as b:
            await b.wait(30)
            states = b.unit.states
            assert states["status2"] == "fully charged"
            for key, shown in (("cell_voltage_alarm", "alarm 0xAA"), ("cell_temperature_alarm", "alarm 0x64")):
                assert states[key] == (None if key == missing else shown)

    in_virtual_time(main())


def test_a_days_total_falls_only_with_the_day(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.DCC)
        async with bench(simulated) as b:
            await b.wait(20)
            request, response = next(
                (append_crc(request.encode()[:-2]), simulated.respond(request.encode(), 0.0))
                for _, request in b.air.requests
                if request.register == 256
            )
            member = simulated.members[0]

            async def shown(watt_hours: int) -> float | None:
                data = bytearray(response[3:-2])
                data[2 * (275 - 256) : 2 * (275 - 256) + 2] = watt_hours.to_bytes(2)
                member.replay[request] = append_crc(response[:3] + bytes(data))
                await b.wait(4)
                return b.unit.states.get("energy_generated_today")

            assert [await shown(value) for value in (1500, 900, 900, 1510, 20, 30)] == [
                1.5,
                None,
                None,
                1.51,
                0.02,
                0.03,
            ]
            # a total that stays below for long is the one there is
            assert [await shown(value) for value in (1500, 900)] == [1.5, None]
            await b.wait(605)
            assert await shown(901) == 0.901
            await shown(1000)
            b.air.lose()
            b.air.unit.faults.silent = True
            await b.wait(900)
            await shown(400)
            b.air.unit.faults.silent = False
            await b.wait(120)
            assert b.unit.states["energy_generated_today"] == 0.4

    in_virtual_time(main())


def test_another_device_behind_the_same_module_is_noticed_while_connected(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.CONTROLLER)
        async with bench(simulated) as b:
            await b.wait(20)
            assert b.unit.profile.family is Family.CONTROLLER
            simulated.members = [Member(Family.DCC, 0xFF)]
            await b.wait(330)
            assert b.unit.profile.family is Family.DCC
            assert "load_voltage" not in b.unit.states

    in_virtual_time(main())


def test_signal_strength_goes_with_the_link(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            assert b.unit.rssi == -61
            b.air.unit.faults.silent = True
            shown = set()
            for _ in range(30):
                await b.wait(1)
                shown.add(b.unit.rssi)
            assert shown == {-61, None}

    in_virtual_time(main())


def test_a_battery_whose_variant_is_corrected_starts_anew(in_virtual_time, bench) -> None:
    """What was an alarm under the wrong variant is not missed under the right one."""

    async def main() -> None:
        simulated = only(Family.BATTERY)
        known = Profile(
            family=Family.BATTERY,
            variant="legacy",
            model="RBT100LFP12S-G1",
            modbus_address=0xFF,
            keys=frozenset({"cell_voltage_alarm", "status1"}),
        )
        spec = UnitSpec(id="one", name="One", address=simulated.address, variant="rngpro")
        async with bench(simulated, spec, profile=known) as b:
            await b.wait(30)
            assert "cell_voltage_alarm" not in b.unit.profile.keys
            assert b.unit.states["problem"] is False

    in_virtual_time(main())


def test_a_doubtful_alarm_is_none_without_a_model_either(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.BATTERY)
        simulated.faults.refused_registers.add(5122)
        request, response = reply(
            "ff0313ec000a", bytes.fromhex("000000aa" + "00000064" + "00000000" + "00060000000000c0")
        )
        simulated.members[0].replay[request] = response
        spec = UnitSpec(id="one", name="One", address=simulated.address, family=Family.BATTERY, variant="rngpro")
        async with bench(simulated, spec) as b:
            await b.wait(60)
            assert b.unit.profile.model is None
            assert b.unit.states["cell_voltage_alarm"] is None
            assert b.unit.states["cell_temperature_alarm"] is None
            assert b.unit.states["problem"] is False

    in_virtual_time(main())


def test_a_model_of_zeros_is_no_other_device(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.CONTROLLER)
        async with bench(simulated) as b:
            await b.wait(20)
            request, response = reply("ff03000c0008", bytes(16))
            simulated.members[0].replay[request] = response
            await b.wait(400)
            assert len(b.air.attempts) == 1
            assert b.unit.connected
            assert b.unit.states["model"] is None

    in_virtual_time(main())


def test_without_a_model_nothing_that_depends_on_it(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.INVERTER, 32)
        simulated.faults.silent_registers.add(4311)
        spec = UnitSpec(id="one", name="One", address=simulated.address, family=Family.INVERTER)
        async with bench(simulated, spec) as b:
            await b.wait(120)
            assert b.unit.profile.model is None
            assert b.unit.states["ac_output_voltage"] == 120.1
            assert b.unit.states["charging_current"] is None
            assert len(b.air.attempts) == 1

    in_virtual_time(main())


@pytest.mark.parametrize("model", [None, "SOMETHING ELSE"])
def test_no_load_switch_without_a_model_that_proves_a_controller(in_virtual_time, bench, model) -> None:
    async def main() -> None:
        simulated = only(Family.CONTROLLER)
        if model is None:
            simulated.faults.refused_registers.add(12)
        else:
            request, response = reply("ff03000c0008", model.encode().ljust(16))
            simulated.members[0].replay[request] = response
        spec = UnitSpec(id="one", name="One", address=simulated.address, family=Family.CONTROLLER, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(60)
            assert b.unit.connected
            assert not b.unit.load_switchable

    in_virtual_time(main())


def test_what_was_told_to_have_failed_does_not_happen_later(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.CONTROLLER)
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            simulated.latency_s = 30.0
            await b.wait(2)
            with pytest.raises(Exception, match="took longer than 10 s"):
                await b.poller.switch_load(b.unit, on=False)
            simulated.latency_s = 0.2
            await b.wait(60)
            assert simulated.world.load_on
            assert b.unit.connected

    in_virtual_time(main())


def test_a_switch_whose_link_is_lost_meanwhile_fails_at_once(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = only(Family.CONTROLLER)
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            simulated.latency_s = 1.0
            switching = asyncio.create_task(b.poller.switch_load(b.unit, on=False))
            await b.wait(0.5)
            b.air.lose()
            await b.wait(2)
            assert switching.done()
            assert switching.exception() is not None

    in_virtual_time(main())
