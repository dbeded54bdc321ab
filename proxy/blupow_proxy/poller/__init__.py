"""Reads the units behind one link, on schedule, for ever."""

from .identification import MODEL_REGISTERS, MODEL_WORDS, identify
from .loop import ATTEMPT_S, Poller
from .polling import UnitLink
from .progress import Progress
from .unit import Profile, Unit, UnitSpec

__all__ = [
    "ATTEMPT_S",
    "MODEL_REGISTERS",
    "MODEL_WORDS",
    "Poller",
    "Profile",
    "Progress",
    "Unit",
    "UnitLink",
    "UnitSpec",
    "identify",
]
