"""An ESPHome project for a board: what is in which file."""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from blupow_config.model import BluetoothProxyConfig

from .boards import BOARDS
from .marks import marked
from .names import TAKEN, free_name, part_ids, stems
from .package import EspUnit, flow, register_package

SECRETS_FILE: Final = "secrets.yaml"
OWN_FILE: Final = "own.yaml"
_KEY_BYTES: Final = 32
_COMPONENTS: Final = ("renogy", "renogy_bt")
KEY_NAME: Final = "api_encryption_key"
_BOARD_FILE: Final = "board.yaml"
_FILES: Final = (SECRETS_FILE, OWN_FILE, _BOARD_FILE)
_PORT: Final = 6053
_IGNORED: Final = f"/.esphome/\n/{SECRETS_FILE}\n__pycache__/\n"


class ProjectError(Exception):
    """Why a project can't be made, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EspProject:
    """An ESP32: without ``units`` it is a plain Bluetooth proxy; ``areas`` are names by id.

    ``is_name_secret``: no message shows ``name``. ``forwarding`` is a Pi's; None is all that the board can.
    """

    board: str
    name: str
    friendly_name: str
    area: str = ""
    areas: dict[str, str]
    units: Sequence[EspUnit] = ()
    key: bytes | None = None
    version: str = ""
    port: int = _PORT
    log_level: str = "INFO"
    is_name_secret: bool = False
    forwarding: BluetoothProxyConfig | None = None

    @property
    def main_file(self) -> str:
        """The file to give to ``esphome``."""
        return free_name(self.name, {name.removesuffix(".yaml") for name in _FILES}, "-board") + ".yaml"

    @property
    def shown_main_file(self) -> str:
        """How messages call it."""
        return "the main file" if self.is_name_secret else self.main_file

    @property
    def needs_network(self) -> bool:
        """Whether the user has to say which network to join."""
        return BOARDS[self.board].network == "wifi"

    @property
    def free_links(self) -> int:
        """How many links no unit takes."""
        return BOARDS[self.board].links - len(self.units)

    @property
    def lends_links(self) -> bool:
        """Whether Home Assistant can connect through the board."""
        return self.free_links > 0 and (self.forwarding is None or self.forwarding.active)

    @property
    def lent_links(self) -> int:
        """How many connections of Home Assistant the board holds, if it lends any."""
        wanted = self.free_links if self.forwarding is None else self.forwarding.connection_slots
        return min(wanted, self.free_links)

    def files(self) -> dict[str, str]:
        """Return the content of every file but the user's own, by its path."""
        board = _static(f"boards/{self.board}.yaml")
        content = {self.main_file: self._main(), ".gitignore": _IGNORED, _BOARD_FILE: board}
        for package in self._packages():
            content[f"packages/{package}.yaml"] = _static(f"packages/{package}.yaml")
        area_ids = self._area_ids()
        stem_of = self._stems()
        for number, unit in enumerate(self.units, 1):
            placed = replace(unit, area_id=area_ids.get(unit.area_id, ""))
            content[f"packages/unit_{number}.yaml"] = register_package(placed, stem_of[unit.id])
        if self.units:
            content |= {path: text for name in _COMPONENTS for path, text in _tree(f"components/{name}")}
        return {path: marked(path, text) for path, text in content.items()}

    def own(self) -> str:
        """Return what the user's own file begins with."""
        return (
            "# Your own settings: kept when the project is written again. What stands here counts more than the rest.\n"
            f"logger:\n  level: {self.log_level}\n"
        )

    def secrets(self) -> str:
        """Return the secrets, with a fresh key unless there is one already."""
        key = b64encode(self.key or secrets.token_bytes(_KEY_BYTES)).decode()
        lines = ["# Known to you alone: neither show it nor publish it.", f'{KEY_NAME}: "{key}"']
        if self.needs_network:
            lines += ['wifi_ssid: "your network"', 'wifi_password: "its password"']
        return "\n".join(lines) + "\n"

    def check(self) -> None:
        """ProjectError when the board or ESPHome can't have it so."""
        board = BOARDS[self.board]
        if self.units and not board.owns_units:
            raise ProjectError(f"{board.title} is a plain proxy and can't read units: choose an ESP32, or --plain")
        if len(self.units) > board.links:
            raise ProjectError(f"{board.title} holds {board.links} links at once, these are {len(self.units)} units")
        for attribute in ("id", "address"):
            first: dict[str, EspUnit] = {}
            for unit in self.units:
                other = first.setdefault(getattr(unit, attribute), unit)
                if other is not unit:
                    both = f"{other.called} and {unit.called}"
                    raise ProjectError(f"{both} have one {attribute}: an ESP32 reads one unit over each link")
        for unit in self.units:
            if unit.id in TAKEN:
                raise ProjectError(f"{unit.called}: ESPHome keeps its id for itself: choose another, of two words")
        names = [(unit.called, unit.name) for unit in self.units]
        names += [("an area", area) for area in (self.area, *self.areas.values())]
        for what, text in [*names, ("the friendly name", self.friendly_name)]:
            if "/" in text:
                raise ProjectError(f"{what}: ESPHome allows no / in names: write another sign")

    def _stems(self) -> dict[str, str]:
        return stems([unit.id for unit in self.units])

    def _area_ids(self) -> dict[str, str]:
        """Return the id that each area has here: its own, unless something else has that."""
        taken = {*TAKEN, *(unit.id for unit in self.units)}.union(*map(part_ids, self._stems().values()))
        found: dict[str, str] = {}
        for area in self.areas:
            others = {*taken, *found.values(), *(self.areas.keys() - {area})}
            found[area] = free_name(area, others, "_area")
        return found

    def _packages(self) -> Iterator[str]:
        board = BOARDS[self.board]
        yield from ("base", "node", board.network)
        if not board.owns_units:
            return
        yield "bluetooth"
        if self.free_links or self.forwarding is not None:
            yield "bluetooth_proxy"
        if self.units:
            yield from ("blupow", "link")

    def _main(self) -> str:
        board = BOARDS[self.board]
        packages = [f"  {name}: !include packages/{name}.yaml" for name in self._packages() if name != "link"]
        stem_of = self._stems()
        for number, unit in enumerate(self.units, 1):
            link = {"unit": unit.id, "stem": stem_of[unit.id], "address": unit.address}
            include = flow({"file": "packages/link.yaml", "vars": link})
            packages += [
                f"  unit_{number}: !include packages/unit_{number}.yaml",
                f"  link_{number}: !include {include}",
            ]
        esphome = {"name": self.name, "friendly_name": self.friendly_name} | ({"area": self.area} if self.area else {})
        lines = [
            f"# {self.friendly_name}: {board.title}. Your own settings go into {OWN_FILE}.",
            "substitutions:",
            f"  project_version: {flow(self.version)}",
            f'  links: "{board.links}"',
            f"  lends_links: {str(self.lends_links).lower()}",
            f'  lent_links: "{max(self.lent_links, 1)}"',  # ESPHome knows no none
            f'  api_port: "{self.port}"',
            "esphome:",
            *(f"  {option}: {flow(value)}" for option, value in esphome.items()),
        ]
        if self.areas:
            area_ids = self._area_ids()
            areas = [{"id": area_ids[key], "name": name} for key, name in self.areas.items()]
            lines += ["  areas:", *(f"    - {flow(area)}" for area in areas)]
        if self.units:
            lines += ["external_components:", "  - source: components"]
        if self.units:
            refresh = [f"        - renogy.refresh: {stem_of[unit.id]}_unit" for unit in self.units]
            lines += ["api:", "  actions:", "    - action: refresh", "      then:", *refresh, "        - api.respond:"]
        packages = [f"  board: !include {_BOARD_FILE}", *packages, f"  own: !include {OWN_FILE}"]
        return "\n".join([*lines, "packages:", *packages]) + "\n"


def _static(path: str) -> str:
    return files(__package__).joinpath("static", path).read_text("utf-8")


def _tree(path: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder of ``static``, and what is in them."""
    for entry in _sorted(files(__package__).joinpath("static", path)):
        if entry.is_file():
            yield f"{path}/{entry.name}", entry.read_text("utf-8")


def _sorted(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)
