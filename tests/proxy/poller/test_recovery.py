"""Never stuck: what breaks comes back by itself, soon, and at the cost of nobody else."""

import asyncio

import pytest

from blupow_proxy.errors import AdapterUnavailableError, DeviceNotFoundError, LinkLostError
from blupow_proxy.poller import UnitSpec
from blupow_proxy.poller.loop import ADAPTER_S
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, World, demo_units

CONTROLLER, DCC, BATTERY, INVERTER, SHUNT = range(5)


def test_an_adapter_that_was_long_away_is_used_at_once(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.error = AdapterUnavailableError(b.air.unit.address, "off")
            b.air.lose()
            await b.wait(600)
            b.air.error = None
            await b.wait(ADAPTER_S + 3)
            assert b.unit.connected
            assert b.adapter[-1] is None

    in_virtual_time(main())


def test_who_has_listened_in_vain_has_an_adapter(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.error = AdapterUnavailableError(b.air.unit.address, "off")
            await b.wait(10)
            assert isinstance(b.adapter[-1], AdapterUnavailableError)
            b.air.error = DeviceNotFoundError(b.air.unit.address, "not heard")
            await b.wait(10)
            assert b.adapter[-1] is None

    in_virtual_time(main())


def test_a_link_is_given_back_whoever_cancels_and_how_often(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.disconnect_s = 2.0
            await b.wait(10)
            for _ in range(3):
                b.poller.release(released=True)
                await b.wait(0.5)
            await b.wait(2)
            assert b.air.link is None
            b.poller.release(released=False)
            await b.wait(5)
            assert b.unit.connected
            b.poller.release(released=True)
            await b.wait(0.5)
        # leaving stops the poller in the middle of the disconnection, and sees that the link was given back

    in_virtual_time(main())


def test_a_device_that_can_not_be_told_is_left_in_peace(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [Member(Family.INVERTER, 32)], World())
        simulated.faults.refused_registers |= {12, 4311, 5122}
        async with bench(simulated) as b:
            await b.wait(3600)
            assert len(b.air.attempts) <= 65
            assert "family" in b.unit.status

    in_virtual_time(main())


def test_blocks_that_were_never_answered_do_not_end_the_link(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[INVERTER]
        simulated.faults.silent_registers |= {4327, 4408, 4398, 4543, 4550, 4109}
        async with bench(simulated) as b:
            await b.wait(3600)
            assert len(b.air.attempts) == 1
            assert b.unit.states["ac_output_voltage"] is not None

    in_virtual_time(main())


def test_a_lost_reply_after_a_probe_of_an_absent_member_is_no_outage(in_virtual_time, bench) -> None:
    async def main() -> None:
        hub = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [Member(Family.BATTERY, 48)], World())
        specs = [
            UnitSpec(id=str(address), name=str(address), address=hub.address, modbus_address=address)
            for address in (48, 49)
        ]
        async with bench(hub, *specs) as b:
            count = iter(range(10**6))
            b.air.drop = lambda: next(count) % 7 == 6
            await b.wait(900)
            assert len(b.air.attempts) == 1

    in_virtual_time(main())


def test_a_refresh_while_released_says_so_at_once(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.poller.release(released=True)
            await b.wait(1)
            with pytest.raises(LinkLostError, match="released"):
                await b.poller.refresh()

    in_virtual_time(main())


def test_a_refresh_that_nobody_waits_for_is_forgotten(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        async with bench(simulated) as b:
            await b.wait(10)
            simulated.faults.silent = True
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await b.poller.refresh()
            simulated.faults.silent = False
            await b.wait(60)
            await b.poller.refresh()

    in_virtual_time(main())


def test_a_switch_of_a_member_that_was_set_aside_says_why(in_virtual_time, bench) -> None:
    async def main() -> None:
        members = [Member(Family.CONTROLLER, 16), Member(Family.CONTROLLER, 17)]
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", members, World())
        specs = [
            UnitSpec(
                id=str(address), name=str(address), address=simulated.address, modbus_address=address, load_switch=True
            )
            for address in (16, 17)
        ]
        async with bench(simulated, *specs) as b:
            await b.wait(30)
            silenced = simulated.members.pop(0)
            outcomes = []
            for _ in range(6):
                with pytest.raises(Exception) as raised:
                    await b.poller.switch_load(b.unit, on=False)
                outcomes.append(str(raised.value))
                await b.wait(1)
            assert "not switched" in outcomes[-1]
            assert b.units[1].connected
            simulated.members.append(silenced)
            await b.wait(90)
            await b.poller.switch_load(b.unit, on=False)
            assert not simulated.world.load_on

    in_virtual_time(main())
