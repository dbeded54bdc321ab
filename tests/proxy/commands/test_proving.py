"""What is found behind a Bluetooth address."""

import pytest
from waiting import until

from blupow_proxy.ble import link
from blupow_proxy.commands.setup import proving
from blupow_proxy.commands.setup.proving import Proof, prove
from blupow_proxy.errors import DeadlineExceededError, DeviceNotFoundError, UnexpectedResponseError
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, VirtualRadio, World, demo_units

ADDRESS = "C4:D3:6A:00:00:0A"
ROVER, BATTERY, INVERTER = "RNG-CTRL-RVR40", "RBT100LFP12S-G1", "RIV1230RCH-SPS"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses that real devices need, shorter."""
    for name, value in (("WAKE_S", 0.0), ("QUIET_S", 0.1), ("LATE_S", 0.2), ("FIND_S", 0.5)):
        monkeypatch.setattr(link, name, value)
    monkeypatch.setattr(proving, "REPLY_S", 0.2)
    monkeypatch.setattr(proving, "GAP_S", 0.0)


def module(*members: Member) -> SimulatedUnit:
    return SimulatedUnit(ADDRESS, "BT-TH-6A00000A", members, World(), latency_s=0.0)


@pytest.mark.parametrize(
    ("unit", "proof"),
    [
        (0, Proof(Family.CONTROLLER, ROVER)),
        (1, Proof(Family.DCC, "RBC50D1S-G1")),
        (2, Proof(Family.BATTERY, BATTERY)),
        (3, Proof(Family.INVERTER, INVERTER)),
        (4, Proof(Family.SHUNT300)),
    ],
)
async def test_a_device_alone(unit: int, proof: Proof) -> None:
    units = demo_units()
    for one in units:
        one.latency_s = 0.0
    async with VirtualRadio(units) as radio:
        assert await prove(radio.adapter, units[unit].address) == [proof]
        await until(lambda: not any(peripheral.connection for peripheral in radio.peripherals.values()))


async def test_the_members_of_a_hub() -> None:
    members = [Member(Family.CONTROLLER, 96), Member(Family.INVERTER, 32)]
    members += [Member(Family.BATTERY, address, own_reply=True) for address in (48, 49, 50)]
    async with VirtualRadio([module(*members)]) as radio:
        found = await prove(radio.adapter, ADDRESS)
    assert {(proof.family, proof.model, proof.modbus_address) for proof in found} == {
        (Family.CONTROLLER, ROVER, 96),
        (Family.INVERTER, INVERTER, 32),
        *((Family.BATTERY, BATTERY, address) for address in (48, 49, 50)),
    }


async def test_batteries_behind_a_hub() -> None:
    batteries = [Member(Family.BATTERY, address, own_reply=True) for address in (48, 49)]
    async with VirtualRadio([module(*batteries)]) as radio:
        found = await prove(radio.adapter, ADDRESS)
    assert [proof.modbus_address for proof in found] == [48, 49]


async def test_one_device_that_has_the_address_of_a_member() -> None:
    async with VirtualRadio([module(Member(Family.CONTROLLER, 16))]) as radio:
        assert await prove(radio.adapter, ADDRESS) == [Proof(Family.CONTROLLER, ROVER)]


async def test_a_device_that_answers_at_addresses_of_others_is_one() -> None:
    rover = Member(Family.CONTROLLER, 16)
    echo = Member(Family.CONTROLLER, 17)
    unit = module(rover, echo)
    unit.faults.overrides = {26: 16}  # it says so at either
    async with VirtualRadio([unit]) as radio:
        assert await prove(radio.adapter, ADDRESS) == [Proof(Family.CONTROLLER, ROVER)]


async def test_a_device_that_is_not_there_or_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = module(Member(Family.CONTROLLER, 1))
    unit.faults.silent = True
    async with VirtualRadio([unit]) as radio:
        with pytest.raises(DeviceNotFoundError):
            await prove(radio.adapter, "AA:BB:CC:DD:EE:FF")
        with pytest.raises(UnexpectedResponseError, match="answers no request"):
            await prove(radio.adapter, ADDRESS)
        monkeypatch.setattr(proving, "PROVE_S", 0.5)
        with pytest.raises(DeadlineExceededError, match="finding out what it is took longer"):
            await prove(radio.adapter, ADDRESS)
        await until(lambda: radio.peripherals[ADDRESS].connection is None)


def test_what_a_person_is_told() -> None:
    assert Proof(Family.CONTROLLER, ROVER).label == "Rover 40 A (RNG-CTRL-RVR40)"
    assert Proof(Family.BATTERY, "X").label == "battery (X)"
    assert Proof(Family.SHUNT300).label == "Smart Shunt 300"
