"""``run``: the proxy itself."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blupow_config import HIDDEN, ConfigErrors, ProxyConfig, load_config, secrets_exposed
from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.errors import ProxyError
from blupow_proxy.host import Boots, Notifier
from blupow_proxy.storage import Storage, default_folder

if TYPE_CHECKING:
    from blupow_proxy.app import Outcome, Proxy

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


NO_CONNECTIONS: Final = (
    "lets no client connect while `api: encryption:` is false: turn that on, or write `active: false` to do without"
)

_LOGGER = logging.getLogger(__name__)


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``run`` and its options."""
    parser = subparsers.add_parser(
        "run",
        help="run the proxy",
        description="Read the units of a configuration and serve them until told to stop.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the YAML file")
    add_substitutions(parser)
    parser.add_argument("--state-dir", type=Path, help="where the key and what was learned is kept")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C; 78 for a mistake in the configuration, a port that is taken; 69 without D-Bus."""
    notifier = Notifier()
    try:
        config = load_config(args.file, dict(args.substitutions))
    except ConfigErrors as errors:
        notifier.status(str(errors.errors[0]))
        raise
    _prepare_log(args.file, config)
    try:
        folder = args.state_dir or default_folder(config.esphome.name)
    except ProxyError as error:
        notifier.status(str(error))
        print(f"blupow-proxy run: {error}", file=sys.stderr)
        return os.EX_CONFIG

    from blupow_proxy.app import Outcome  # noqa: PLC0415 - after the configuration is right

    storage = Storage(folder)
    with Boots(storage, notifier.status) as boots:
        outcome = asyncio.run(_serve(args, config, storage, boots, notifier))
        if outcome is Outcome.SAFE_MODE_OVER:
            boots.on_probation()
    match outcome:
        case None:
            return os.EX_CONFIG
        case Outcome.RESTART | Outcome.SAFE_MODE_OVER:
            # a new process with the same number: nothing of what went wrong in this one is left
            os.execv(sys.executable, [sys.executable, "-m", "blupow_proxy", *sys.argv[1:]])  # noqa: S606
        case Outcome.BUS_LOST:
            return os.EX_UNAVAILABLE
    return os.EX_OK


def _prepare_log(file: Path, config: ProxyConfig) -> None:
    """Have logged what the configuration asks for, beginning with what is odd about it."""
    logging.basicConfig(format="%(asctime)s %(levelname).1s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("blupow_proxy").setLevel(_LEVELS[config.logger.level])
    for part, level in config.logger.logs.items():
        logging.getLogger(f"blupow_proxy.{part}").setLevel(_LEVELS[level])
    if config.bluetooth_proxy is not None and config.bluetooth_proxy.active and not config.api.encryption:
        _LOGGER.warning("`bluetooth_proxy:` %s", NO_CONNECTIONS)
    if not config.renogy and config.bluetooth_proxy is None:
        _LOGGER.warning("No units to read: list them under `renogy:` in %s", file)
    if secrets_exposed(file):
        _LOGGER.warning("Other users can read the secrets beside %s: chmod o-r them", file)


def taken_port(port: int | str, error: OSError) -> str:
    """Return why nothing can listen on ``port``; asyncio's own words name it, secret or not."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"can't listen on port {port}: {reason}. Another proxy or ESPHome device may use it"


async def _serve(
    args: argparse.Namespace, config: ProxyConfig, storage: Storage, boots: Boots, notifier: Notifier
) -> "Outcome | None":
    """Serve until the end, and return why; None when nothing can listen on the port."""
    from blupow_proxy.app import Outcome, Proxy, Surroundings  # noqa: PLC0415

    around = Surroundings(
        storage=storage,
        notifier=notifier,
        safe_mode=boots.safe_mode,
        on_good=boots.good,
        read_config=lambda: load_config(args.file, dict(args.substitutions)),
    )
    proxy = Proxy(config, around)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, proxy.stop)
    # without a service manager a hang-up means that the terminal was closed
    served = notifier.is_heard or not sys.stdin.isatty()
    reload = partial(_reload, args.file, proxy, Outcome.RESTART)
    loop.add_signal_handler(signal.SIGHUP, reload if served else proxy.stop)
    try:
        await proxy.start()
    except OSError as error:
        port = HIDDEN if ("api", "port") in config.secret_paths else config.api.port
        complaint = f"{taken_port(port, error)}: choose another `api: port:`"
        notifier.status(complaint)
        print(f"blupow-proxy run: {complaint}", file=sys.stderr)
        return None
    return await proxy.serve()


def _reload(file: Path, proxy: "Proxy", restart: "Outcome") -> None:
    """Take the configuration anew: one with mistakes changes nothing, another one is started with."""
    config = proxy.config_again("reloaded")
    if config is None:
        return
    if config == proxy.config:
        _LOGGER.info("%s has not changed", file)
        return
    _LOGGER.info("%s has changed: starting anew with it", file)
    proxy.stop(restart)
