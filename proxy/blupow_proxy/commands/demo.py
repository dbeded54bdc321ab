"""``demo``: the whole proxy on simulated units, and what an encrypted client receives of it."""

import argparse
import asyncio
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from blupow_proxy.errors import ProxyError

from .run import taken_port
from .watch import show

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

LOOPBACK: Final = "127.0.0.1"
_MAX_PORT: Final = 0xFFFF
READY_S: Final = 60.0  # for all units to be found and read; a few seconds is usual
_NAMES: Final = ("Rover solar controller", "DC-DC charger", "House battery", "REGO inverter", "Smart shunt")


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``demo`` and its options."""
    parser = subparsers.add_parser(
        "demo",
        help="run on simulated units, without hardware",
        description="Run the proxy on one simulated unit of each family over a virtual Bluetooth link, and show what "
        "a client receives. Home Assistant and other ESPHome clients on this network can connect to it as well.",
    )
    parser.add_argument("--once", action="store_true", help="print everything once and end")
    parser.add_argument("--json", action="store_true", help="as JSON (with --once)")
    parser.add_argument("--plaintext", action="store_true", help="without encryption")
    parser.add_argument("--port", type=_port, default=6053, help="0 takes a free one (default: 6053)")
    parser.add_argument("--key", help="the encryption key to use, in base64 (default: a new one)")
    parser.add_argument("--name", default="blupow-demo", help="the node's name (default: blupow-demo)")
    parser.add_argument("--loopback", action="store_true", help="listen and announce on this machine alone")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    port = int(text)  # argparse reports the ValueError
    if not 0 <= port <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: 0 to {_MAX_PORT}")
    return port


def run(args: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C or SIGTERM; 69 when it can't start."""
    try:
        with tempfile.TemporaryDirectory(prefix="blupow-demo-") as folder:
            asyncio.run(_demo(args, Path(folder)))
    except asyncio.CancelledError:
        return os.EX_OK  # Ctrl-C or SIGTERM
    except (ProxyError, OSError) as error:
        print(f"blupow-proxy demo: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return os.EX_OK


async def _demo(args: argparse.Namespace, folder: Path) -> None:
    from blupow_config import (  # noqa: PLC0415 - the proxy's libraries take a while
        ApiConfig,
        EsphomeConfig,
        ProxyConfig,
        UnitConfig,
    )
    from blupow_proxy.app import Proxy, Surroundings  # noqa: PLC0415
    from blupow_proxy.native_api import decode_key, encode_key  # noqa: PLC0415
    from blupow_proxy.simulator import VirtualRadio, demo_units  # noqa: PLC0415
    from blupow_proxy.storage import Storage  # noqa: PLC0415

    key = None
    if not args.plaintext:
        key = decode_key(args.key.encode()) if args.key else secrets.token_bytes(32)
        if key is None:
            raise ProxyError("the key has to be 32 bytes in base64: `openssl rand -base64 32` makes one")
    units = demo_units()
    config = ProxyConfig(
        esphome=EsphomeConfig(name=args.name, friendly_name="BluPow demo", area="Shed"),
        api=ApiConfig(port=args.port, encryption=key is not None, key=key),
        renogy=tuple(
            UnitConfig(
                id=f"renogy_{unit.address.replace(':', '').lower()}",
                address=unit.address,
                name=name,
                load_switch=name.startswith("Rover"),
            )
            for unit, name in zip(units, _NAMES, strict=True)
        ),
    )
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - inside asyncio.run
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    loopback = LOOPBACK if args.loopback else None
    async with VirtualRadio(units) as radio:
        around = Surroundings(
            storage=Storage(folder),
            adapter=radio.adapter,
            host=loopback,
            interfaces=None if loopback is None else [loopback],
        )
        proxy = Proxy(config, around)
        shown_key = None if key is None else encode_key(key)
        serving = asyncio.create_task(proxy.serve())
        try:
            _say("Finding the simulated units ...")
            async with asyncio.timeout(READY_S):
                await proxy.all_listed()
            try:
                # only now: Home Assistant forgets what is missing in the list of a demo that it knows
                await proxy.start()
            except OSError as error:
                raise ProxyError(f"{taken_port(args.port, error)}: choose another --port") from error
            _say(f"Listening on port {proxy.server.port}")
            if args.once or args.json:
                await show(LOOPBACK, proxy.server.port, shown_key, once=True, as_json=args.json)
            else:
                _say(f"Key: {shown_key}" if shown_key else "Without encryption")
                await show(LOOPBACK, proxy.server.port, shown_key, once=False, as_json=False)
        finally:
            proxy.stop()
            await serving


def _say(text: str) -> None:
    """Tell progress, beside the result."""
    print(text, file=sys.stderr, flush=True)
