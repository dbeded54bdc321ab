"""Reads the units behind one link, on schedule, for ever."""

from .loop import Poller, UnitLink
from .unit import Profile, Unit, UnitSpec

__all__ = ["Poller", "Profile", "Unit", "UnitLink", "UnitSpec"]
