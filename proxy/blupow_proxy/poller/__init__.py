"""Reads the units behind one link, on schedule, for ever."""

from .loop import ATTEMPT_S, Poller
from .polling import UnitLink
from .progress import Progress
from .unit import Profile, Unit, UnitSpec

__all__ = ["ATTEMPT_S", "Poller", "Profile", "Progress", "Unit", "UnitLink", "UnitSpec"]
