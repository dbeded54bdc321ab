"""Never stuck: what breaks comes back by itself, soon, and at the cost of nobody else."""

import asyncio
import logging

import pytest

from blupow_proxy.errors import AdapterLostError, AdapterUnavailableError, DeviceNotFoundError, LinkLostError
from blupow_proxy.modbus import append_crc
from blupow_proxy.poller import UnitSpec
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
            await b.wait(8)
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


def test_a_time_in_which_the_process_was_stopped_is_no_silence(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[SHUNT]
        async with bench(simulated) as b:
            await b.wait(10)
            simulated.faults.silent = True
            asyncio.get_running_loop().advance(75)
            await b.wait(10)
            assert len(b.air.attempts) == 1
            await b.wait(10)
            assert len(b.air.attempts) == 2

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


def test_a_member_that_comes_back_has_its_signal_again(in_virtual_time, bench) -> None:
    async def main() -> None:
        members = [Member(Family.BATTERY, 48), Member(Family.BATTERY, 49)]
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", members, World())
        specs = [
            UnitSpec(id=str(address), name=str(address), address=simulated.address, modbus_address=address)
            for address in (48, 49)
        ]
        async with bench(simulated, *specs) as b:
            await b.wait(30)
            silenced = simulated.members.pop(0)
            await b.wait(60)
            assert (b.unit.connected, b.unit.rssi) == (False, None)
            simulated.members.append(silenced)
            await b.wait(90)
            assert (b.unit.connected, b.unit.rssi, b.unit.status) == (True, -61, "connected")

    in_virtual_time(main())


def test_each_member_is_told_its_own_trouble(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [], World())
        specs = [
            UnitSpec(id=str(address), name=f"Bat{address}", address=simulated.address, modbus_address=address)
            for address in (48, 49)
        ]
        async with bench(simulated, *specs) as b:
            told: list[set[str]] = [set(), set()]
            for _ in range(300):
                await b.wait(1)
                for unit, statuses in zip(b.units, told, strict=True):
                    statuses.add(unit.status[:5])
            assert told == [{"linke", "Bat48"}, {"linke", "Bat49"}]

    in_virtual_time(main())


def test_a_device_that_has_nothing_to_show_says_so(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = SimulatedUnit("C4:D3:6A:00:00:09", "BT-TH-6A000009", [Member(Family.CONTROLLER, 1)], World())
        simulated.faults.refused_registers |= {12, 20, 26, 256, 289, 57347, 57348, 57373}
        known_model = simulated.members[0]
        request = bytes.fromhex("ff03000c000891d1")
        known_model.replay[request] = append_crc(b"\xff\x03\x10" + b"RNG-CTRL-RVR40".ljust(16))
        async with bench(simulated) as b:
            await b.wait(30)
            assert "no readings" in b.unit.status or b.unit.connected

    in_virtual_time(main())


def test_a_refresh_is_no_longer_waited_for_than_needed(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.disconnect_s = 2.0
            b.air.error = DeviceNotFoundError(b.air.unit.address, "not heard")
            b.air.lose()
            await b.wait(400)  # by now it tries once a minute
            attempts = len(b.air.attempts)
            while len(b.air.attempts) == attempts:
                await b.wait(0.25)
            await b.wait(1)  # it gives the link back, and would pause then
            b.air.error = None
            started = asyncio.get_running_loop().time()
            await b.poller.refresh()
            assert asyncio.get_running_loop().time() - started < 10

    in_virtual_time(main())


def test_a_switch_that_a_release_overtakes_fails_at_once(in_virtual_time, bench) -> None:
    async def main() -> None:
        simulated = demo_units()[CONTROLLER]
        spec = UnitSpec(id="one", name="One", address=simulated.address, load_switch=True)
        async with bench(simulated, spec) as b:
            await b.wait(10)
            simulated.latency_s = 1.5
            switching = asyncio.create_task(b.poller.switch_load(b.unit, on=False))
            await b.wait(0.5)
            b.poller.release(released=True)
            await b.wait(0.5)
            assert isinstance(switching.exception(), LinkLostError)

    in_virtual_time(main())


def test_an_adapter_that_has_heard_the_device_works(in_virtual_time, bench) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            b.air.error = AdapterUnavailableError(b.air.unit.address, "off")
            await b.wait(10)
            b.air.error = LinkLostError(b.air.unit.address, "connect failed")
            await b.wait(10)
            assert b.adapter[-1] is None

    in_virtual_time(main())


def test_the_log_tells_each_trouble_once_and_its_end(in_virtual_time, bench, caplog) -> None:
    async def main() -> None:
        with caplog.at_level(logging.INFO, "blupow_proxy.poller"):
            async with bench(demo_units()[CONTROLLER]) as b:
                await b.wait(10)
                b.air.unit.faults.silent = True
                await b.wait(600)
                b.air.unit.faults.silent = False
                await b.wait(120)
                told = [record.getMessage() for record in caplog.records]
                assert told[0] == "One: connected"
                assert told[-1] == "One: connected"
                assert "One: no valid reply to 5 requests in a row" in told
                assert len(told) <= 5

    in_virtual_time(main())


def test_an_adapter_that_is_back_is_used_without_waiting(in_virtual_time, bench, caplog) -> None:
    async def main() -> None:
        async with bench(demo_units()[CONTROLLER]) as b:
            await b.wait(10)
            b.air.error = AdapterUnavailableError("adapter", "off")
            b.air.link.end = AdapterLostError("adapter", "off")
            b.air.lose()
            await b.wait(7)
            assert b.unit.status == "off"
            b.air.error = None
            b.poller.adapter_back()
            await b.wait(2)
            assert b.unit.connected
            assert [record for record in caplog.records if record.levelname == "WARNING"] == []

    in_virtual_time(main())


def test_a_loss_of_seconds_is_no_warning(in_virtual_time, bench, caplog) -> None:
    async def main() -> None:
        with caplog.at_level(logging.INFO, "blupow_proxy.poller"):
            async with bench(demo_units()[CONTROLLER]) as b:
                await b.wait(10)
                b.air.lose()
                await b.wait(10)
                assert b.unit.connected
        told = [(record.levelname, record.getMessage()) for record in caplog.records]
        assert told == [
            ("INFO", "One: connected"),
            ("INFO", "One: connected again; before: the device ended the connection"),
        ]

    in_virtual_time(main())
