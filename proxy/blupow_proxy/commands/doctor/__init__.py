"""``doctor``: what keeps the proxy from its work, and what to do about it."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.errors import ProxyError
from blupow_proxy.host import service

from .bluetooth import bluez_version, check_adapter, check_bluez, check_group, check_rfkill
from .configuration import check_configuration
from .finding import Finding, Verdict, note
from .forwarding import check_connections, check_rights
from .network import check_mdns, check_port
from .system import check_clock, check_service, check_state

if TYPE_CHECKING:
    from blupow_config import ProxyConfig

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_SOMETHING_IS_WRONG: Final = 1
_MARKS: Final = {Verdict.FINE: ("✓", "green"), Verdict.NOTE: ("!", "yellow"), Verdict.WRONG: ("✗", "red")}


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``doctor`` and its options."""
    parser = subparsers.add_parser(
        "doctor",
        help="find out what is wrong here, and what to do",
        description="Check what the proxy needs on this machine, and say what to do where something is wrong.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", nargs="?", help="the YAML file (default: the service's)")
    add_substitutions(parser)
    parser.add_argument("--state-dir", type=Path, help="as given to `run`")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when something is wrong."""
    file = args.file or (service.CONFIG if service.CONFIG.exists() else None)
    findings = list(_findings(file, dict(args.substitutions), args.state_dir))
    if args.json:
        shown = [{"verdict": it.verdict, "subject": it.subject, "message": it.message} for it in findings]
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    elif sys.stdout.isatty():
        _print_table(findings)
    else:
        for finding in findings:
            print(f"{finding.verdict:<6}{finding.subject:<18}{finding.message}")
    return _SOMETHING_IS_WRONG if any(it.verdict is Verdict.WRONG for it in findings) else os.EX_OK


def _findings(file: Path | None, substitutions: Mapping[str, str], state_dir: Path | None) -> Iterator[Finding]:
    config: ProxyConfig | None = None
    if file is None:
        yield note("configuration", "none was named: `blupow-proxy doctor FILE` checks it as well")
    else:
        config, found = check_configuration(file, substitutions)
        yield from found
    yield check_bluez(bluez_version())
    yield check_group()
    blocked = check_rfkill()
    if blocked is not None:
        yield blocked
    yield asyncio.run(check_adapter(None if config is None else config.bluetooth.adapter))
    if config is not None and config.bluetooth_proxy is not None and file is not None:
        yield check_connections(config)
        yield check_rights(file)
    if config is not None and file is not None:
        yield check_port(config.api.port, config.esphome.name)
    if config is None or config.zeroconf.enabled:
        yield check_mdns()
    yield check_clock()
    if config is not None and file is not None:
        try:
            yield check_state(state_dir or service.state_folder(file, config.esphome.name))
        except ProxyError as error:
            yield Finding(Verdict.WRONG, "state", str(error))
    yield check_service()


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(Column(no_wrap=True), Column(no_wrap=True), Column(), box=None, pad_edge=False, show_header=False)
    for finding in findings:
        mark, colour = _MARKS[finding.verdict]
        table.add_row(Text(mark, colour), Text(finding.subject), Text(finding.message))
    Console().print(table)
