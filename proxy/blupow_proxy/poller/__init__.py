"""Reads the units behind one link, on schedule, for ever."""

from .loop import Poller
from .polling import UnitLink
from .unit import Profile, Unit, UnitSpec

__all__ = ["Poller", "Profile", "Unit", "UnitLink", "UnitSpec"]
