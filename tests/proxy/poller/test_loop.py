import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from blupow_proxy.ble.link import FIND_S
from blupow_proxy.errors import (
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    ExceptionResponseError,
    LinkLostError,
    UnexpectedResponseError,
)
from blupow_proxy.modbus import ReadRequest, WriteRequest
from blupow_proxy.poller import Profile, UnitSpec
from blupow_proxy.poller.loop import RELEASE_S
from blupow_proxy.poller.orders import REFRESH_EVERY_S
from blupow_proxy.poller.plan import LEFT_OUT_S
from blupow_proxy.poller.polling import IDENTIFY_AGAIN_S
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, World, demo_units

CONTROLLER, DCC, BATTERY, INVERTER, SHUNT = range(5)
LIVE = 256


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("number", "family", "model", "keys"),
    [
        (CONTROLLER, Family.CONTROLLER, "RNG-CTRL-RVR40", {"battery_voltage", "solar_power", "load_status", "problem"}),
        (DCC, Family.DCC, "RBC50D1S-G1", {"alternator_voltage", "charging_power_total"}),
        (BATTERY, Family.BATTERY, "RBT100LFP12S-G1", {"cell_voltage_4", "battery_power", "capacity"}),
        (INVERTER, Family.INVERTER, "RIV1230RCH-SPS", {"ac_output_voltage", "load_active_power"}),
        (SHUNT, Family.SHUNT300, None, {"soc", "power", "current"}),
    ],
)
def test_every_family_is_identified_and_read(in_virtual_time, bench, number, family, model, keys) -> None:
    async def main() -> None:
        async with bench(demo_units()[number]) as b:
            await b.wait(40)
            profile = b.unit.profile
            assert (profile.family, profile.model) == (family, model)
            assert keys <= profile.keys
            assert b.unit.connected
            assert b.unit.status == "connected"
            assert b.unit.rssi == -61
            assert all(b.unit.states[key] is not None for key in keys)
            assert (datetime.now(UTC) - b.unit.last_reading).total_seconds() < 60
            assert "cell_voltage_5" not in profile.keys

    in_virtual_time(main())


def test_a_legacy_battery_is_asked_at_the_address_that_it_answers_from(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[BATTERY]) as b:
            await b.wait(20)
            assert b.unit.profile.modbus_address == 48
            assert {request.address for at, request in b.air.requests[-10:]} == {48}

    in_virtual_time(main())


def test_live_blocks_keep_their_interval(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(30)
            times = [at for at, request in b.air.requests if request.register == LIVE and at > now() - 20]
            assert {round(later - earlier, 3) for earlier, later in pairwise(times)} == {2.0}

    in_virtual_time(main())


def test_a_full_live_cycle_takes_the_replies_and_the_gaps(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[INVERTER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, interval_s=0.5)
        async with bench(simulated, spec) as b:
            await b.wait(60)
            times = [at for at, request in b.air.requests if request.register == 4000 and at > now() - 30]
            cycle = (times[-1] - times[0]) / (len(times) - 1)
            assert cycle <= 1.1 * 4 * (simulated.latency_s + 0.3)

    in_virtual_time(main())


def test_what_is_stale_is_not_shown(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.unit.faults.silent = True
            await b.wait(3)
            assert b.unit.states["battery_voltage"] is not None
            await b.wait(4)
            assert "battery_voltage" not in b.unit.states
            assert b.unit.states["model"] == "RNG-CTRL-RVR40"
            assert "battery_voltage" in b.unit.profile.keys

    in_virtual_time(main())


def test_a_silent_device_is_reconnected_and_comes_back(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.unit.faults.silent = True
            await b.wait(40)
            assert len(b.air.attempts) >= 2
            assert not b.unit.connected
            assert "no request" in b.unit.status or "no reply" in b.unit.status
            b.air.unit.faults.silent = False
            await b.wait(60)
            assert b.unit.connected
            assert b.unit.states["battery_voltage"] is not None

    in_virtual_time(main())


def test_a_link_over_which_something_comes_is_kept_longer_but_not_for_ever(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.unit.faults.corrupt = True
            await b.wait(20)
            assert len(b.air.attempts) == 1
            await b.wait(20)
            assert len(b.air.attempts) >= 2

    in_virtual_time(main())


def test_a_lost_link_is_back_in_seconds(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.lose()
            await b.wait(0.5)
            assert b.unit.status == "the device ended the connection"
            await b.wait(3)
            assert b.unit.connected
            assert b.unit.states["battery_voltage"] is not None

    in_virtual_time(main())


def test_attempts_slow_down_to_one_a_minute(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.error = DeviceNotFoundError(b.air.unit.address, "not heard: held by another central")
            b.air.connect_s = FIND_S
            await b.wait(600)
            assert len([at for at in b.air.attempts if at > now() - 300]) <= 5
            assert b.unit.status == "not heard: held by another central"
            b.air.error = None
            b.air.connect_s = 0.5  # it is heard again
            await b.wait(60)
            assert b.unit.connected

    in_virtual_time(main())


def test_adapter_trouble_is_reported_and_its_end_too(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            error = b.air.error = AdapterUnavailableError(b.air.unit.address, "no adapter")
            await b.wait(5)
            assert b.adapter[-1] is error
            b.air.error = None
            await b.wait(20)
            assert b.adapter[-1] is None

    in_virtual_time(main())


def test_a_block_that_the_device_refuses_is_left_out_for_an_hour(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.unit.faults.refused_registers.add(289)
            await b.wait(LEFT_OUT_S - 100)
            assert b.registers().count(289) == 1
            assert b.unit.connected
            b.air.unit.faults.refused_registers.clear()
            await b.wait(200)
            assert b.registers().count(289) > 10
            assert b.unit.states["problem"] is False

    in_virtual_time(main())


def test_a_block_that_is_never_answered_costs_three_timeouts(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.unit.faults.silent_registers.add(289)
            await b.wait(600)
            assert b.registers().count(289) == 3
            assert len(b.air.attempts) == 1
            assert b.unit.failed_requests == 3

    in_virtual_time(main())


def test_link_quality_is_of_the_last_100_requests(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            count = iter(range(10**6))
            b.air.drop = lambda: next(count) % 10 == 9
            await b.wait(600)
            assert b.unit.link_quality == 90
            b.air.drop = lambda: False
            await b.wait(300)
            assert b.unit.link_quality == 100
            assert len(b.air.attempts) == 1

    in_virtual_time(main())


def test_a_third_of_the_replies_lost_is_no_outage(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            count = iter(range(10**6))
            b.air.drop = lambda: next(count) % 3 == 2
            await b.wait(600)
            assert b.unit.connected
            assert len(b.air.attempts) == 1
            assert b.unit.states["battery_voltage"] is not None

    in_virtual_time(main())


def test_nothing_corrupt_is_ever_shown(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.unit.faults.corrupt = True
            await b.wait(300)
            assert b.unit.profile is None
            assert not b.unit.states

    in_virtual_time(main())


def test_released_for_the_phone_app_and_taken_back(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.poller.release(released=True)
            await b.wait(1)
            assert b.air.link is None
            assert b.unit.status.startswith("released")
            await b.wait(60)
            assert len(b.air.attempts) == 1
            b.poller.release(released=False)
            await b.wait(5)
            assert b.unit.connected

    in_virtual_time(main())


def test_a_release_during_a_connection_attempt_is_immediate(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.connect_s = 50.0
            await b.wait(5)
            b.poller.release(released=True)
            await b.wait(0.5)
            assert b.unit.status.startswith("released")

    in_virtual_time(main())


def test_a_forgotten_release_ends_by_itself(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.poller.release(released=True)
            await b.wait(RELEASE_S + 10)
            assert not b.poller.released
            assert b.unit.connected

    in_virtual_time(main())


def test_the_load_is_switched_and_read_back(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            assert b.unit.states["load_status"] is True
            await b.poller.switch_load(b.unit, on=False)
            assert b.unit.states["load_status"] is False
            assert [r for _, r in b.air.requests if isinstance(r, WriteRequest)] == [WriteRequest(0xFF, 0x010A, 0)]

    in_virtual_time(main())


def test_a_refused_load_switch_shows_what_is_read(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            simulated.faults.refused_registers.add(0x010A)
            with pytest.raises(ExceptionResponseError, match="refused"):
                await b.poller.switch_load(b.unit, on=False)
            assert b.unit.states["load_status"] is True
            simulated.faults.silent_registers.add(0x010A)
            simulated.faults.refused_registers.clear()
            with pytest.raises(LinkLostError, match="no reply"):
                await b.poller.switch_load(b.unit, on=False)

    in_virtual_time(main())


def test_no_load_switch_unless_enabled_proven_and_connected(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        async with bench(simulated) as b:
            await b.wait(10)
            with pytest.raises(UnexpectedResponseError):
                await b.poller.switch_load(b.unit, on=False)
        inverter = demo_units()[INVERTER]
        spec = UnitSpec(id="one", name="One", address=inverter.address, load_switch=True)
        async with bench(inverter, spec) as b:
            await b.wait(20)
            with pytest.raises(UnexpectedResponseError):
                await b.poller.switch_load(b.unit, on=False)
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            b.poller.release(released=True)
            await b.wait(1)
            with pytest.raises(LinkLostError, match="released"):
                await b.poller.switch_load(b.unit, on=False)
        assert not any(isinstance(request, WriteRequest) for _, request in b.air.requests)

    in_virtual_time(main())


def test_a_write_that_is_overtaken_by_a_silent_device_fails_in_time(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            simulated.faults.silent = True
            started = now()
            with pytest.raises((LinkLostError, DeadlineExceededError)):
                await b.poller.switch_load(b.unit, on=False)
            assert now() - started <= 10

    in_virtual_time(main())


@pytest.mark.parametrize("number", [CONTROLLER, SHUNT])
def test_refresh_reads_everything_now(in_virtual_time, bench, number) -> None:
    async def main() -> None:
        simulated = demo_units()[number]
        spec = UnitSpec(id="one", name="One", address=simulated.address, interval_s=60.0)
        async with bench(simulated, spec) as b:
            await b.wait(30)
            before, started = b.unit.last_reading, now()
            await b.poller.refresh()
            assert now() - started < 5
            assert b.unit.last_reading > before

    in_virtual_time(main())


def test_refresh_fails_when_the_link_does(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.error = DeviceNotFoundError(b.air.unit.address, "not heard")
            await b.wait(3)
            with pytest.raises(LinkLostError):
                await b.poller.refresh()

    in_virtual_time(main())


@pytest.mark.parametrize("turns", range(8))
def test_a_refresh_and_a_release_at_once(in_virtual_time, bench, turns) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.error = DeviceNotFoundError(b.air.unit.address, "not heard")
            await b.wait(3)
            refresh = asyncio.create_task(b.poller.refresh())
            for _ in range(turns):
                await asyncio.sleep(0)
            b.poller.release(released=True)
            await b.wait(1)
            with pytest.raises(BleError):
                await refresh
            assert b.unit.status.startswith("released")

    in_virtual_time(main())


def test_refreshes_are_joined_and_a_minute_apart(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, interval_s=60.0)
        async with bench(simulated, spec) as b:
            await b.wait(30)
            asked = len(b.air.requests)
            await b.poller.refresh()
            alone = len(b.air.requests) - asked
            await b.wait(REFRESH_EVERY_S)
            asked = len(b.air.requests)
            await asyncio.gather(*(b.poller.refresh() for _ in range(20)))
            assert len(b.air.requests) - asked <= alone + 2
            await b.wait(10)
            with pytest.raises(BleError, match=r"was begun 1. s ago: try again in 4. s"):
                await b.poller.refresh()
            await b.wait(REFRESH_EVERY_S - 10)
            await b.poller.refresh()

    in_virtual_time(main())


def test_of_many_orders_for_the_load_the_last_is_done(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(30)
            orders = [b.poller.switch_load(b.unit, on=on) for on in (True, False) * 10]
            await asyncio.gather(*orders)
            writes = [request for _, request in b.air.requests if isinstance(request, WriteRequest)]
            assert [request.value for request in writes] == [0]
            assert not simulated.world.load_on

    in_virtual_time(main())


def test_hub_members_share_a_link_and_one_may_be_silent(in_virtual_time, bench) -> None:
    async def main() -> None:
        world = World()
        members = [Member(Family.BATTERY, 49), Member(Family.BATTERY, 50), Member(Family.CONTROLLER, 96)]
        hub = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", members, world)
        specs = [
            UnitSpec(id=f"m{address}", name=f"Member {address}", address=hub.address, modbus_address=address)
            for address in (49, 50, 51, 96)
        ]
        async with bench(hub, *specs) as b:
            await b.wait(60)
            first, second, absent, controller = b.units
            assert first.profile.family is second.profile.family is Family.BATTERY
            assert controller.profile.family is Family.CONTROLLER
            assert controller.states["battery_voltage"] is not None
            assert not absent.connected
            assert "modbus_address" in absent.status
            assert all(request.address != 0xFF for _, request in b.air.requests)
            hub.members.append(Member(Family.BATTERY, 51))
            await b.wait(70)
            assert absent.connected

    in_virtual_time(main())


def two_controllers(world: World) -> tuple[SimulatedUnit, list[UnitSpec]]:
    """A hub with one of two controllers, and both of them as units."""
    hub = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [Member(Family.CONTROLLER, 96)], world)
    return hub, [
        UnitSpec(id=f"m{address}", name=f"Member {address}", address=hub.address, modbus_address=address)
        for address in (96, 97)
    ]


@pytest.mark.parametrize("lost", range(4))
def test_one_lost_reply_behind_a_hub_blanks_nothing(in_virtual_time, bench, lost) -> None:
    async def main() -> None:
        hub, specs = two_controllers(World())
        hub.members.append(Member(Family.CONTROLLER, 97))
        async with bench(hub, *specs) as b:
            await b.wait(60)
            drops = iter([False] * lost + [True])
            b.air.drop = lambda: next(drops, False)
            for second in range(20):
                await b.wait(1)
                assert all(unit.states["battery_voltage"] is not None for unit in b.units), second
            assert sum(unit.failed_requests for unit in b.units) == 1

    in_virtual_time(main())


def test_a_member_that_is_looked_for_blanks_no_other(in_virtual_time, bench) -> None:
    async def main() -> None:
        hub, specs = two_controllers(World())
        async with bench(hub, *specs) as b:
            there, absent = b.units
            while there.states.get("battery_voltage") is None:
                await b.wait(0.25)
            for quarter in range(4 * 120):
                await b.wait(0.25)
                assert there.states["battery_voltage"] is not None, quarter / 4
            assert not absent.connected

    in_virtual_time(main())


@pytest.mark.parametrize("family", [Family.BATTERY, None])
def test_a_member_that_falls_silent_costs_the_others_nothing(in_virtual_time, bench, family) -> None:
    async def main() -> None:
        members = [Member(Family.BATTERY, address) for address in (48, 49, 50)]
        hub = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", members, World())
        specs = [
            UnitSpec(id=f"m{address}", name=str(address), address=hub.address, modbus_address=address, family=family)
            for address in (48, 49, 50)
        ]
        async with bench(hub, *specs) as b:
            await b.wait(60)
            silent, *others = b.units
            silenced = hub.members.pop(0)
            for second in range(300):
                await b.wait(1)
                assert all(unit.states["battery_voltage"] is not None for unit in others), second
            assert not silent.connected
            assert "no request" in silent.status
            assert silent.states.get("battery_voltage") is None
            hub.members.append(silenced)
            await b.wait(IDENTIFY_AGAIN_S + 15)
            assert silent.connected
            assert silent.states["battery_voltage"] is not None
            assert len(b.air.attempts) == 1

    in_virtual_time(main())


def test_a_member_that_was_never_there_costs_the_others_nothing(in_virtual_time, bench) -> None:
    async def main() -> None:
        hub = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [Member(Family.BATTERY, 48)], World())
        specs = [
            UnitSpec(id=f"m{address}", name=str(address), address=hub.address, modbus_address=address)
            for address in (48, 49, 50)
        ]
        async with bench(hub, *specs) as b:
            await b.wait(60)
            for second in range(300):
                await b.wait(1)
                assert b.unit.states["battery_voltage"] is not None, second

    in_virtual_time(main())


def test_another_device_on_the_same_module_is_noticed(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[BATTERY]
        known = Profile(
            family=Family.CONTROLLER, model="RNG-CTRL-RVR40", modbus_address=0xFF, keys=frozenset({"pv_power"})
        )
        async with bench(simulated, profile=known) as b:
            await b.wait(120)
            assert b.unit.profile.family is Family.BATTERY
            assert "pv_power" not in b.unit.profile.keys

    in_virtual_time(main())


def test_a_known_unit_needs_one_request_before_its_readings(in_virtual_time, bench) -> None:
    async def main() -> None:
        known = Profile(family=Family.INVERTER, model="RIV1230RCH-SPS", modbus_address=32, keys=frozenset({"model"}))
        async with bench(demo_units()[INVERTER], profile=known) as b:
            await b.wait(3)
            assert b.air.requests[0][1] == ReadRequest(32, 4311, 8)
            assert b.air.requests[1][1].register == 4000
            assert b.unit.connected

    in_virtual_time(main())


def test_the_configured_family_yields_to_the_proven_one(in_virtual_time, bench, caplog) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, family=Family.DCC)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            assert b.unit.profile.family is Family.CONTROLLER
            assert "configured as dcc" in caplog.text

    in_virtual_time(main())


def test_an_unknown_model_needs_the_users_word(in_virtual_time, bench, monkeypatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("blupow_proxy.poller.identification.identify_model", lambda _: None)
        simulated = demo_units()[CONTROLLER]
        async with bench(simulated) as b:
            await b.wait(20)
            assert "set its family" in b.unit.status
            assert not b.unit.states
        spec = UnitSpec(id="one", name="One", address=simulated.address, family=Family.CONTROLLER)
        async with bench(simulated, spec) as b:
            await b.wait(20)
            assert b.unit.connected

    in_virtual_time(main())


def test_a_shunt_that_stops_pushing_is_reconnected(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[SHUNT]) as b:
            await b.wait(10)
            b.air.unit.faults.silent = True
            await b.wait(17)
            assert not b.unit.connected
            assert "soc" not in b.unit.states
            b.air.unit.faults.silent = False
            await b.wait(10)
            assert b.unit.connected
            b.air.lose()
            await b.wait(5)
            assert b.unit.connected

    in_virtual_time(main())


def test_two_hours_with_the_gaps_kept(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[INVERTER]) as b:
            await b.wait(7200)
            assert b.unit.failed_requests == 0
            assert len(b.air.attempts) == 1

    in_virtual_time(main())
