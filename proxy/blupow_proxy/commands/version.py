"""``version``: what runs here, for a report."""

import argparse
import json
import os
import platform
from typing import Final

from blupow_proxy import __version__
from blupow_proxy.commands.doctor.bluetooth import bluez_version

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_PACKAGES: Final = ("bleak", "aioesphomeapi", "zeroconf")


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``version`` and its options."""
    parser = subparsers.add_parser("version", help="show versions, for a report")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the versions."""
    versions = {
        "blupow-proxy": __version__,
        "Python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "platform": platform.platform(),
        "BlueZ": bluez_version(),
    }
    if args.json:
        print(json.dumps(versions))
    else:
        for name, value in versions.items():
            print(f"{name:<14}{value or 'not found'}")
    return os.EX_OK


def _version(package: str) -> str | None:
    from importlib import metadata  # noqa: PLC0415 - a megabyte that no other command needs

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
