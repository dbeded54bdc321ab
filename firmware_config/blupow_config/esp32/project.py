"""An ESPHome project for a board: what to write where, and writing it without losing anything."""

import os
import re
import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from .boards import BOARDS
from .package import EspUnit, flow, register_package

SECRETS_FILE: Final = "secrets.yaml"
OWN_FILE: Final = "own.yaml"
_KEY_BYTES: Final = 32
_COMPONENTS: Final = ("renogy", "renogy_bt")
_OWN: Final = """\
# Your own settings: kept when the project is written again. What stands here counts more than the rest.
logger:
  level: INFO
"""
_IGNORED: Final = f"/.esphome/\n/{SECRETS_FILE}\n__pycache__/\n"


class ProjectError(Exception):
    """Why a project can't be made, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EspProject:
    """An ESP32: without ``units`` it is a plain Bluetooth proxy; ``areas`` are names by id."""

    board: str
    name: str
    friendly_name: str
    area: str = ""
    areas: dict[str, str]
    units: Sequence[EspUnit] = ()
    key: bytes | None = None
    version: str = ""

    @property
    def main_file(self) -> str:
        """The file to give to ``esphome``."""
        return f"{self.name}.yaml"

    @property
    def needs_network(self) -> bool:
        """Whether the user has to say which network to join."""
        return BOARDS[self.board].network == "wifi"

    def files(self) -> dict[str, str]:
        """Return the content of every file but the user's own, by its path."""
        self._check()
        board = _static(f"boards/{self.board}.yaml")
        content = {self.main_file: self._main(), ".gitignore": _IGNORED, "board.yaml": board}
        for package in self._packages():
            content[f"packages/{package}.yaml"] = _static(f"packages/{package}.yaml")
        for unit in self.units:
            content[f"packages/{unit.id}.yaml"] = register_package(unit)
        if self.units:
            content |= {path: text for name in _COMPONENTS for path, text in _tree(f"components/{name}")}
        return content

    def secrets(self) -> str:
        """Return the secrets, with a fresh key unless there is one already."""
        key = b64encode(self.key or secrets.token_bytes(_KEY_BYTES)).decode()
        lines = ["# Known to you alone: neither show it nor publish it.", f'api_encryption_key: "{key}"']
        if self.needs_network:
            lines += ['wifi_ssid: "your network"', 'wifi_password: "its password"']
        return "\n".join(lines) + "\n"

    def _check(self) -> None:
        board = BOARDS[self.board]
        if self.units and not board.owns_units:
            raise ProjectError(f"{board.title} can't read units itself: choose an ESP32, or --plain")
        if len(self.units) > board.links:
            raise ProjectError(f"{board.title} holds {board.links} links at once, these are {len(self.units)} units")
        for attribute in ("id", "address"):
            values = [getattr(unit, attribute) for unit in self.units]
            if twice := next((value for value in values if values.count(value) > 1), None):
                raise ProjectError(f"two units have the {attribute} {twice}: an ESP32 reads one unit over each link")

    def _packages(self) -> Iterator[str]:
        board = BOARDS[self.board]
        yield from ("base", "node", board.network)
        if not board.owns_units:
            return
        yield "bluetooth"
        if len(self.units) < board.links:
            yield "bluetooth_proxy"
        if self.units:
            yield from ("blupow", "link")

    def _main(self) -> str:
        board = BOARDS[self.board]
        packages = [f"  {name}: !include packages/{name}.yaml" for name in self._packages() if name != "link"]
        for unit in self.units:
            include = flow({"file": "packages/link.yaml", "vars": {"unit": unit.id, "address": unit.address}})
            packages += [f"  {unit.id}: !include packages/{unit.id}.yaml", f"  {unit.id}_link: !include {include}"]
        esphome = {"name": self.name, "friendly_name": self.friendly_name} | ({"area": self.area} if self.area else {})
        lines = [
            f"# {self.friendly_name}: {board.title}. Made by `blupow-proxy esp32 new`; your own goes into {OWN_FILE}.",
            "substitutions:",
            f"  project_version: {flow(self.version)}",
            f'  links: "{board.links}"',
            f'  free_links: "{board.links - len(self.units)}"',
            "esphome:",
            *(f"  {option}: {flow(value)}" for option, value in esphome.items()),
        ]
        if self.areas:
            lines += ["  areas:", *(f"    - {flow({'id': key, 'name': name})}" for key, name in self.areas.items())]
        if self.units:
            lines += ["external_components:", "  - source: components"]
        if self.units:
            refresh = [f"        - renogy.refresh: {unit.id}_unit" for unit in self.units]
            lines += ["api:", "  actions:", "    - action: refresh", "      then:", *refresh, "        - api.respond:"]
        packages = ["  board: !include board.yaml", *packages, f"  own: !include {OWN_FILE}"]
        return "\n".join([*lines, "packages:", *packages]) + "\n"


def write_project(folder: Path, project: EspProject, *, overwrite: bool = False) -> None:
    """Write the project but the user's own files that are there; ProjectError, and nothing is, when others differ."""
    content = project.files()
    differing = [path for path, text in content.items() if _differs(folder / path, text)]
    if differing and not overwrite:
        raise ProjectError(
            f"{folder} has other contents in {', '.join(sorted(differing))}: choose another folder, or --overwrite"
        )
    kept = folder / SECRETS_FILE
    wanted = project.secrets()
    if kept.exists():
        missing = set(_names(wanted)) - set(_names(kept.read_text("utf-8")))
        if missing:
            raise ProjectError(f"{kept} lacks {', '.join(sorted(missing))}: add it, or choose another folder")
    for path, text in content.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    if not (folder / OWN_FILE).exists():
        (folder / OWN_FILE).write_text(_OWN, "utf-8")
    if not kept.exists():
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(wanted)


def _differs(path: Path, text: str) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != text.encode())


def _names(content: str) -> list[str]:
    return re.findall(r"^(\w+):", content, re.MULTILINE)


def _static(path: str) -> str:
    return files(__package__).joinpath("static", path).read_text("utf-8")


def _tree(path: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder of ``static``, and what is in them."""
    for entry in _sorted(files(__package__).joinpath("static", path)):
        if entry.is_file():
            yield f"{path}/{entry.name}", entry.read_text("utf-8")


def _sorted(folder: Traversable) -> list[Traversable]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)
