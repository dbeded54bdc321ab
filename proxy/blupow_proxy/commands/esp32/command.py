"""``esp32 new`` as a command: its options, and what of them goes together."""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Any, Final

from probatio import Invalid

from blupow_config.esp32 import BOARDS, CELLS, OWN_FILE, EspProject, ProjectError, write_project
from blupow_config.schema import fields
from blupow_proxy.commands.complaint import complain
from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.errors import ProxyError
from blupow_proxy.renogy import Family, Variant

from .source import TITLES, Source, from_arguments, from_pi

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_complain: Final = partial(complain, "esp32")

_OF_UNIT: Final = ("family", "variant", "name", "id", "area", "modbus_address", "update_interval", "load_switch")
_NOT_WITH: Final = {  # options that would say nothing
    "--from": (*_OF_UNIT, "node"),
    "--plain": (*_OF_UNIT, "cells", "hide", "substitutions"),
    "--unit": ("substitutions",),
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
    new.add_argument("--family", choices=list(TITLES), type=Family, help="what the unit is")
    new.add_argument("--variant", choices=list(Variant), type=Variant, help="the kind of battery")
    new.add_argument("--name", type=_value(fields.label), help="what the unit is called in Home Assistant")
    new.add_argument("--id", type=_value(fields.identifier), help="its id; the Pi's keeps the history")
    new.add_argument("--area", type=_value(fields.label), help="where the unit is")
    new.add_argument("--modbus-address", type=_value(fields.modbus_address), help="if others share its bus")
    new.add_argument("--update-interval", type=_value(fields.interval_s), help="such as 2s")
    new.add_argument("--load-switch", action="store_true", default=None, help="let a controller's load be switched")
    new.add_argument("--cells", type=int, choices=range(1, 17), metavar="N", help="of a battery")
    new.add_argument("--hide", action="append", default=[], metavar="KEY", help="do not list this reading")
    new.add_argument("--node", type=_value(fields.node_name), help="the board's name on the network")
    new.add_argument("--overwrite", action="store_true", help="replace files that differ; secrets stay")
    add_substitutions(new)
    new.set_defaults(run=run, refuse=new.error)


def run(args: argparse.Namespace) -> int:
    """Write the project; 64 for what does not fit together, 73 when it can't be written.

    77 is what the Pi knows and may not be read, 66 what can't be, 78 a mistake in FILE.
    """
    _check_options(args)
    args.cells = args.cells or CELLS
    try:
        source = from_pi(args.source, dict(args.substitutions)) if args.source else from_arguments(args)
        project = source.project(args)
    except (ProjectError, ProxyError) as error:
        return _complain(str(error), os.EX_USAGE)
    except PermissionError as error:
        return _complain(f"can't read what the Pi knows of its units: {error.strerror}, use sudo", os.EX_NOPERM)
    except OSError as error:
        return _complain(f"can't read what the Pi knows of its units: {error.strerror}", os.EX_NOINPUT)
    had_own_file = (args.folder / OWN_FILE).exists()
    try:
        write_project(args.folder, project, overwrite=args.overwrite)
    except ProjectError as error:
        return _complain(str(error), os.EX_CANTCREAT)
    except OSError as error:
        return _complain(_not_written(error, args.folder, project), os.EX_CANTCREAT)
    _tell(args.folder, source, project, had_own_file=had_own_file)
    return os.EX_OK


def _check_options(args: argparse.Namespace) -> None:
    """Refuse an option that would say nothing."""
    source = "--from" if args.source else "--plain" if args.plain else "--unit"
    for option in _NOT_WITH[source]:
        if getattr(args, option):
            flag = "-s" if option == "substitutions" else "--" + option.replace("_", "-")
            why = {"--from": "FILE says it", "--plain": "there is no unit", "--unit": "there is no FILE"}[source]
            args.refuse(f"{flag} does not go with {source}: {why}")


def _not_written(error: OSError, folder: Path, project: EspProject) -> str:
    """Return why nothing or not all was written, and what to do."""
    if folder.exists() and not folder.is_dir():
        return f"{folder} is no folder: choose another name"
    where = folder if project.is_name_secret or error.filename is None else error.filename
    return f"can't write {where}: {error.strerror}. Choose another folder, or make this one yours"


def _tell(folder: Path, source: Source, project: EspProject, *, had_own_file: bool) -> None:
    """Say what the Pi does that the board will not, and what to do next."""
    for line in source.left_out(project):
        _complain(f"not taken over: {line}", os.EX_OK)
    if had_own_file and "level" in (source.config.given.get("logger") or {}):
        _complain(f"not taken over: logger.level: {folder / OWN_FILE} is yours, write it there", os.EX_OK)
    network = f" after writing your network into {folder}/secrets.yaml" if project.needs_network else ""
    file = folder / ("NAME.yaml, NAME being its `esphome: name`" if project.is_name_secret else project.main_file)
    print(f"Flash it{network}: esphome run {file}")


def _value(check: Any) -> Any:
    def value(text: str) -> Any:
        try:
            return check(text)
        except Invalid as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value
