"""When a unit counts as connected."""

from blupow_proxy.poller import Profile, Unit, UnitSpec
from blupow_proxy.poller.unit import SLOW_FRESH_S, UNREADABLE
from blupow_proxy.renogy import Family


def unit() -> Unit:
    spec = UnitSpec(id="rover", name="Rover", address="C4:D3:6A:00:00:09")
    return Unit(spec, Profile(family=Family.CONTROLLER, model="RNG-CTRL-RVR40"))


def test_no_live_reading_for_three_intervals_is_no_connection() -> None:
    rover = unit()
    rover.update({"battery_voltage": 13.2}, 6.0, now=0.0)
    rover.expire(5.9)
    assert rover.connected
    rover.expire(6.0)
    assert not rover.connected
    assert rover.status == UNREADABLE
    assert rover.states.get("battery_voltage") is None


def test_what_is_read_seldom_is_no_sign_of_life() -> None:
    rover = unit()
    rover.update({"battery_voltage": 13.2}, 6.0, now=0.0)
    last = rover.last_reading
    rover.expire(6.0)
    rover.update({"float_voltage": 13.8}, SLOW_FRESH_S, now=7.0)
    assert not rover.connected
    assert rover.last_reading == last
    rover.update({"battery_voltage": 13.1}, 6.0, now=8.0)
    assert rover.connected


def test_a_device_is_known_by_what_is_read_once_before_it_is_read_live() -> None:
    rover = unit()
    rover.update({"model": "RNG-CTRL-RVR40"}, float("inf"), now=0.0)
    assert rover.connected
