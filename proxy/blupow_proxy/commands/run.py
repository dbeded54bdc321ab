"""``run``: the proxy itself."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

from blupow_config import HIDDEN, ConfigErrors, ProxyConfig, load_config, secrets_exposed
from blupow_proxy.errors import ProxyError
from blupow_proxy.storage import Storage, default_folder

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_LEVELS: Final = {
    "NONE": logging.CRITICAL + 1,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "VERBOSE": logging.DEBUG,
    "VERY_VERBOSE": logging.DEBUG,
}


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``run`` and its options."""
    parser = subparsers.add_parser(
        "run",
        help="run the proxy",
        description="Read the units of a configuration and serve them until told to stop.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the YAML file")
    parser.add_argument("--state-dir", type=Path, help="where the key and what was learned is kept")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C; 78 for a mistake in the configuration, a port that is taken; 69 without D-Bus."""
    try:
        config = load_config(args.file)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return os.EX_CONFIG
    logging.basicConfig(format="%(asctime)s %(levelname).1s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("blupow_proxy").setLevel(_LEVELS[config.logger.level])
    if not config.renogy:
        logging.getLogger(__name__).warning("No units to read: list them under `renogy:` in %s", args.file)
    if secrets_exposed(args.file):
        logging.getLogger(__name__).warning("Other users can read the secrets beside %s: chmod o-r them", args.file)
    try:
        folder = args.state_dir or default_folder(config.esphome.name)
    except ProxyError as error:
        print(f"blupow-proxy run: {error}", file=sys.stderr)
        return os.EX_CONFIG
    restart, code = asyncio.run(_serve(config, folder))
    if restart:
        # a new process: nothing of what went wrong in this one is left
        os.execv(sys.executable, [sys.executable, "-m", "blupow_proxy", *sys.argv[1:]])  # noqa: S606
    return code


def taken_port(port: int | str, error: OSError) -> str:
    """Return why nothing can listen on ``port``; asyncio's own words name it, secret or not."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"can't listen on port {port}: {reason}. Another proxy or ESPHome device may use it"


async def _serve(config: ProxyConfig, folder: Path) -> tuple[bool, int]:
    from blupow_proxy.app import Outcome, Proxy, Surroundings  # noqa: PLC0415 - after the configuration is right

    proxy = Proxy(config, Surroundings(storage=Storage(folder)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, proxy.stop)
    try:
        await proxy.start()
    except OSError as error:
        port = HIDDEN if ("api", "port") in config.secret_paths else config.api.port
        print(f"blupow-proxy run: {taken_port(port, error)}: choose another `api: port:`", file=sys.stderr)
        return False, os.EX_CONFIG
    outcome = await proxy.serve()
    return outcome is Outcome.RESTART, os.EX_UNAVAILABLE if outcome is Outcome.BUS_LOST else os.EX_OK
