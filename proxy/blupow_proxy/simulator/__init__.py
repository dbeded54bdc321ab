"""Simulated Renogy units, and a virtual Bluetooth link to put them on."""

from .radio import VirtualRadio
from .unit import Faults, Member, SimulatedUnit, demo_units
from .world import World

__all__ = ["Faults", "Member", "SimulatedUnit", "VirtualRadio", "World", "demo_units"]
