"""ESPHome projects that make an ESP32 an equivalent proxy, from the same register maps."""

from .boards import BOARDS, Board
from .package import CELLS, EspUnit, readable_keys, register_package
from .project import EspProject, ProjectError, write_project

__all__ = [
    "BOARDS",
    "CELLS",
    "Board",
    "EspProject",
    "EspUnit",
    "ProjectError",
    "readable_keys",
    "register_package",
    "write_project",
]
