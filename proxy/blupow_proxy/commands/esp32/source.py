"""What a project is made of: the options of the command line, or a Pi's configuration."""

import argparse
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from blupow_config import EsphomeConfig, ProxyConfig, UnitConfig, area_id, default_id, load_config
from blupow_config.esp32 import EspProject, EspUnit, ProjectError, left_out, readable_keys, wishes_for
from blupow_config.language.nodes import dotted
from blupow_config.language.problems import did_you_mean
from blupow_config.schema import fields
from blupow_proxy import __version__
from blupow_proxy.host.service import state_folder
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.poller import Profile
from blupow_proxy.profiles import Profiles
from blupow_proxy.renogy import Family
from blupow_proxy.storage import Storage

TITLES: Final = {
    Family.CONTROLLER: "Charge controller",
    Family.DCC: "DC-DC charger",
    Family.BATTERY: "Battery",
    Family.INVERTER: "Inverter",
}
_INTERVAL_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A configuration, in ``file`` if it is a Pi's, and what that Pi has found out of its units."""

    config: ProxyConfig
    file: Path | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)

    def project(self, args: argparse.Namespace) -> EspProject:
        """Return the project that is as equivalent as a board can be; ProjectError."""
        config = self.config
        project = EspProject(
            board=args.board,
            name=config.esphome.name,
            friendly_name=config.esphome.friendly_name,
            area=config.esphome.area,
            areas={area_id(unit.area): unit.area for unit in config.renogy if unit.area},
            units=tuple(self._units(args)),
            key=config.api.key,
            version=__version__,
            port=config.api.port,
            log_level=config.logger.level,
            is_name_secret=("esphome", "name") in config.secret_paths,
            forwarding=config.bluetooth_proxy,
        )
        project.check()
        return project

    def left_out(self, project: EspProject) -> Iterator[str]:
        """Yield a line for all that was written for the Pi and is not in the project."""
        for path, why in left_out(self.config, project):
            yield f"{dotted(path)}: {why}"
        if self.file is not None and self.config.api.encryption and project.key is None:
            yield "api.encryption.key: the Pi has none yet, so the board has one of its own, in its secrets.yaml"

    def _units(self, args: argparse.Namespace) -> Iterator[EspUnit]:
        families = []
        for number, unit in enumerate(self.config.renogy):
            title = f"renogy.{number}" if ("renogy", number, "name") in self.config.secret_paths else unit.name
            made = self._unit(unit, title, args)
            families.append(made.family)
            yield made
        readable = {key for family in families for key in readable_keys(family)}
        for key in args.hide:
            if key not in readable:
                what = f"a {families[0]} has" if len(set(families)) == 1 else "these units have"
                raise ProjectError(f"--hide: {what} no reading {key!r}{did_you_mean(key, readable)}")

    def _unit(self, unit: UnitConfig, title: str, args: argparse.Namespace) -> EspUnit:
        profile = self.profiles.get(unit.id)
        if unit.family == "auto" and profile is None:
            raise ProjectError(f"{title}: set its family in {self.file}, an ESP32 does not find it out")
        family = profile.family if profile is not None else Family(unit.family)
        if family not in TITLES:
            raise ProjectError(f"{title}: a {family} pushes its readings, which only the Pi understands so far")
        variant = unit.variant or (None if profile is None else profile.variant)
        if family is Family.BATTERY and variant is None:
            where = "--variant" if self.file is None else f"`variant` in {self.file}:"
            raise ProjectError(
                f"{title}: say which battery it is, or its current would be wrong: {where} pro if `scan` shows "
                "it as RNGRBP... or RNGC..., rngpro as RNGPRO..., legacy as anything else"
            )
        return EspUnit(
            id=unit.id,
            name=unit.name,
            address=unit.address,
            family=family,
            variant=variant,
            modbus_address=unit.modbus_address,
            update_interval_s=unit.update_interval_s,
            area_id=area_id(unit.area) if unit.area else "",
            load_switch=unit.load_switch,
            cells=args.cells,
            keys=None if profile is None or not profile.keys else profile.keys,
            shown=unit.entities,
            wishes=wishes_for(self.config, unit.id),
            hide=frozenset(args.hide),
            title=title,
        )


def from_pi(file: Path, substitutions: dict[str, str]) -> Source:
    """Return a Pi's configuration with the key that it has in use, and what it has found out of its units.

    ConfigErrors, ProxyError, ProjectError, and OSError where that may not be read.
    """
    config = load_config(file, substitutions)
    storage = Storage(state_folder(file, config.esphome.name))
    with suppress(FileNotFoundError):  # it has never run
        list(storage.folder.iterdir())  # or the key would be another, and nobody had said why
    known = Profiles(storage)
    profiles = {unit.id: profile for unit in config.renogy if (profile := known.get(unit.id)) is not None}
    keys = FileKeyStore(storage, encryption=config.api.encryption, configured=config.api.key)
    if keys.damaged:
        raise ProjectError(f"the key that the Pi has stored can't be read: run `blupow-proxy pair {file} --forget`")
    return Source(
        config=replace(config, api=replace(config.api, key=keys.key)),
        file=file,
        profiles=profiles,
    )


def from_arguments(args: argparse.Namespace) -> Source:
    """Return what the command line says; ProjectError."""
    node = args.node or re.sub(r"[^a-z0-9]+", "-", args.folder.resolve().name.lower()).strip("-") or "blupow"
    esphome = EsphomeConfig(name=node[: fields.NAME_LENGTH].strip("-"), friendly_name=node.replace("-", " ").title())
    if args.plain:
        return Source(config=ProxyConfig(esphome=esphome))
    if args.load_switch and args.family is not Family.CONTROLLER:
        raise ProjectError("only a controller has a load output: leave out --load-switch")
    if args.family is None:
        raise ProjectError(f"say what the unit is: --family {' | '.join(TITLES)} (`blupow-proxy scan` tells)")
    unit = UnitConfig(
        id=args.id or default_id(args.unit, args.modbus_address),
        address=args.unit,
        name=args.name or TITLES[args.family],
        family=args.family,
        variant=args.variant,
        modbus_address=args.modbus_address,
        update_interval_s=args.update_interval or _INTERVAL_S,
        area=args.area or "",
        load_switch=bool(args.load_switch),
    )
    return Source(config=ProxyConfig(esphome=esphome, renogy=(unit,)))
