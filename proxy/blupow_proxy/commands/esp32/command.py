"""``esp32``: make an ESPHome project, whose board is an equivalent proxy."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from probatio import Invalid

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, area_id, default_id, load_config
from blupow_config.esp32 import BOARDS, CELLS, EspProject, EspUnit, ProjectError, readable_keys, write_project
from blupow_config.schema import fields
from blupow_proxy import __version__
from blupow_proxy.errors import ProxyError
from blupow_proxy.host.service import state_folder
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.poller import Profile
from blupow_proxy.profiles import Profiles
from blupow_proxy.renogy import Family, Variant
from blupow_proxy.storage import Storage

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_TITLES: Final = {
    Family.CONTROLLER: "Charge controller",
    Family.DCC: "DC-DC charger",
    Family.BATTERY: "Battery",
    Family.INVERTER: "Inverter",
}


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``esp32 new`` and its options."""
    parser = subparsers.add_parser("esp32", help="make ESPHome firmware", description="Make ESPHome firmware.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser(
        "new",
        help="write an ESPHome project",
        description="Write an ESPHome project that makes a board a proxy which reads a unit, as the Pi does.",
        epilog=f"Boards: {', '.join(f'{name} ({board.title})' for name, board in BOARDS.items())}.",
    )
    new.add_argument("folder", type=Path, metavar="FOLDER", help="where to write it")
    new.add_argument("--board", required=True, choices=BOARDS, metavar="BOARD", help="the board, see below")
    what = new.add_mutually_exclusive_group(required=True)
    what.add_argument("--unit", type=_value(fields.mac_address), metavar="ADDRESS", help="the unit: `scan` shows it")
    what.add_argument("--from", dest="source", type=Path, metavar="FILE", help="all units of a Pi's configuration")
    what.add_argument("--plain", action="store_true", help="no unit: a Bluetooth proxy for Home Assistant alone")
    new.add_argument("--family", choices=list(_TITLES), type=Family, help="what the unit is")
    new.add_argument("--variant", choices=list(Variant), type=Variant, help="the kind of battery")
    new.add_argument("--name", type=_value(fields.label), help="what the unit is called in Home Assistant")
    new.add_argument("--id", type=_value(fields.identifier), help="its id; the Pi's keeps the history")
    new.add_argument("--area", type=_value(fields.label), help="where the unit is")
    new.add_argument("--modbus-address", type=_value(fields.modbus_address), help="if others share its bus")
    new.add_argument("--update-interval", type=_value(fields.interval_s), default=2.0, help="such as 2s")
    new.add_argument("--load-switch", action="store_true", help="let a controller's load be switched")
    new.add_argument("--cells", type=int, choices=range(1, 17), default=CELLS, metavar="N", help="of a battery")
    new.add_argument("--hide", action="append", default=[], metavar="KEY", help="do not list this reading")
    new.add_argument("--node", type=_value(fields.node_name), help="the board's name on the network")
    new.add_argument("--overwrite", action="store_true", help="replace files that differ; secrets stay")
    new.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the project; 64 for what does not fit together, 73 when it can not be written."""
    try:
        config, profiles = _from_pi(args.source) if args.source else (_from_arguments(args), {})
        project = _project(args, config, profiles)
    except (ProjectError, ProxyError) as error:
        print(f"blupow-proxy esp32: {error}", file=sys.stderr)
        return os.EX_USAGE
    try:
        write_project(args.folder, project, overwrite=args.overwrite)
    except ProjectError as error:
        print(f"blupow-proxy esp32: {error}", file=sys.stderr)
        return os.EX_CANTCREAT
    network = f" after writing your network into {args.folder}/secrets.yaml" if project.needs_network else ""
    print(f"Flash it{network}: esphome run {args.folder / project.main_file}")
    return os.EX_OK


def _value(check: Any) -> Any:
    def value(text: str) -> Any:
        try:
            return check(text)
        except Invalid as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


def _from_arguments(args: argparse.Namespace) -> ProxyConfig:
    node = args.node or re.sub(r"[^a-z0-9]+", "-", args.folder.resolve().name.lower()).strip("-") or "blupow"
    esphome = EsphomeConfig(name=node[: fields.NAME_LENGTH].strip("-"), friendly_name=node.replace("-", " ").title())
    if args.plain:
        return ProxyConfig(esphome=esphome)
    if args.load_switch and args.family is not Family.CONTROLLER:
        raise ProjectError("only a controller has a load output: leave out --load-switch")
    if args.family is None:
        raise ProjectError(f"say what the unit is: --family {' | '.join(_TITLES)} (`blupow-proxy scan` tells)")
    unit = UnitConfig(
        id=args.id or default_id(args.unit, args.modbus_address),
        address=args.unit,
        name=args.name or _TITLES[args.family],
        family=args.family,
        variant=args.variant,
        modbus_address=args.modbus_address,
        update_interval_s=args.update_interval,
        area=args.area or "",
        load_switch=args.load_switch,
    )
    return ProxyConfig(esphome=esphome, renogy=(unit,))


def _from_pi(file: Path) -> tuple[ProxyConfig, dict[str, Profile]]:
    """Return a Pi's configuration with the key that it has in use, and what it has found out of its units."""
    config = load_config(file)
    storage = Storage(state_folder(file, config.esphome.name))
    known = Profiles(storage)
    profiles = {unit.id: profile for unit in config.renogy if (profile := known.get(unit.id)) is not None}
    keys = FileKeyStore(storage, encryption=True, configured=config.api.key)
    return replace(config, api=ApiConfig(key=keys.key)), profiles


def _project(args: argparse.Namespace, config: ProxyConfig, profiles: dict[str, Profile]) -> EspProject:
    areas = {area_id(unit.area): unit.area for unit in config.renogy if unit.area}
    return EspProject(
        board=args.board,
        name=config.esphome.name,
        friendly_name=config.esphome.friendly_name,
        area=config.esphome.area,
        areas=areas,
        units=tuple(_units(args, config, profiles)),
        key=config.api.key,
        version=__version__,
    )


def _units(args: argparse.Namespace, config: ProxyConfig, profiles: dict[str, Profile]) -> Iterator[EspUnit]:
    for unit in config.renogy:
        profile = profiles.get(unit.id)
        if unit.family == "auto" and profile is None:
            raise ProjectError(f"{unit.name}: set its family in {args.source}, an ESP32 does not find it out")
        family = profile.family if profile is not None else Family(unit.family)
        if family not in _TITLES:
            raise ProjectError(f"{unit.name}: a {family} pushes its readings, which only the Pi understands so far")
        variant = unit.variant or (None if profile is None else profile.variant)
        if family is Family.BATTERY and variant is None:
            raise ProjectError(
                f"{unit.name}: say which battery it is, or its current would be wrong: --variant pro if `scan` shows "
                "it as RNGRBP... or RNGC..., rngpro as RNGPRO..., legacy as anything else"
            )
        for key in args.hide:
            if len(config.renogy) == 1 and key not in readable_keys(family):
                close = get_close_matches(key, readable_keys(family), 3)
                hint = f", did you mean {' or '.join(close)}?" if close else ""
                raise ProjectError(f"{unit.name}: a {family} has no reading {key!r}{hint}")
        keys = None if profile is None or not profile.keys else profile.keys
        yield EspUnit(
            id=unit.id,
            name=unit.name,
            address=unit.address,
            family=family,
            variant=variant,
            modbus_address=unit.modbus_address,
            update_interval_s=unit.update_interval_s,
            area_id=area_id(unit.area),
            load_switch=unit.load_switch,
            cells=args.cells,
            keys=keys,
            hide=frozenset(args.hide),
        )
