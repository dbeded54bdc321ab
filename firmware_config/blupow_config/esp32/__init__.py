"""ESPHome projects that make an ESP32 an equivalent proxy, from the same register maps."""

from .boards import BOARDS, Board
from .left_out import left_out, wishes_for
from .package import CELLS, EspUnit, readable_keys, register_package
from .project import OWN_FILE, EspProject, ProjectError
from .writing import write_project

__all__ = [
    "BOARDS",
    "CELLS",
    "OWN_FILE",
    "Board",
    "EspProject",
    "EspUnit",
    "ProjectError",
    "left_out",
    "readable_keys",
    "register_package",
    "wishes_for",
    "write_project",
]
