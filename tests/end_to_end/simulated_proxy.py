"""What `blupow-proxy run FILE` does, on simulated units instead of a Bluetooth adapter.

usage: simulated_proxy.py FILE --state-dir FOLDER [--control SOCKET] [--loopback] [--speed N] [--clock HOURS]

A line of JSON to the control socket changes the faults of a unit ({"address": ..., "silent": true}); each line, an
empty object too, is answered with what all units hold. SIGTERM ends the proxy.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
from pathlib import Path
import signal
import sys
import time
from typing import Any

from blupow_config import ConfigErrors, load_config
from blupow_proxy.app import Outcome, Proxy, Surroundings
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import Member, SimulatedUnit, VirtualRadio, World, demo_units
from blupow_proxy.storage import Storage

LOOPBACK = "127.0.0.1"
LOAD_SWITCH = 0x010A
WRITE = 0x06


def units(world: World) -> list[SimulatedUnit]:
    """The demo's units, and another battery, all in reach: the configuration chooses."""
    spare = SimulatedUnit("C4:D3:6A:00:00:06", "BT-TH-6A000006", [Member(Family.BATTERY, 48, own_reply=True)], world)
    return [*demo_units(world), spare]


def held(unit: SimulatedUnit) -> dict[str, Any]:
    """What a unit can tell of itself: registers that matter here, every write it saw lately, and how many requests."""
    registers: dict[str, int] = {}
    for member in unit.members:
        if member.family is Family.CONTROLLER and (data := member.image.read(LOAD_SWITCH, 1)) is not None:
            registers["load_switch"] = int.from_bytes(data)
    writes = [frame.hex() for frame in unit.requests if len(frame) > 1 and frame[1] == WRITE]
    return {
        "registers": registers,
        "load_on": unit.world.load_on,
        "writes": writes,
        "requests": unit.request_count,
    }


async def control(radio: VirtualRadio, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        order = json.loads(line)
        if address := order.pop("address", None):
            unit = radio.peripherals[address].unit
            for name, value in order.items():
                setattr(unit.faults, name, value)
        answer = {address: held(peripheral.unit) for address, peripheral in radio.peripherals.items()}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


def advanced(world: World, state: Path) -> World:
    """Let the world go on from where it would be, had this program never been stopped: no counter may go back."""
    file, now = state / "simulated_world.json", time.monotonic()
    begun = json.loads(file.read_text())["begun"] if file.exists() else now
    if begun >= now:  # new, or the machine has started anew since
        with contextlib.suppress(OSError):  # a disk that is full or read-only is a test of its own
            state.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"begun": now}))
        begun = now
    world.advance(begun)
    world.advance(now)
    return world


async def serve(args: argparse.Namespace) -> Outcome:
    config = load_config(args.file)
    world = advanced(World(speed=args.speed, clock_s=args.clock * 3600), args.state_dir)
    async with VirtualRadio(units(world)) as radio:
        if args.control:
            args.control.unlink(missing_ok=True)
            await asyncio.start_unix_server(lambda *both: control(radio, *both), args.control)
        host = LOOPBACK if args.loopback else None
        proxy = Proxy(config, Surroundings(storage=Storage(args.state_dir), adapter=radio.adapter, host=host))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, proxy.stop)
        await proxy.start()
        print(f"Listening on port {proxy.server.port}", flush=True)
        return await proxy.serve()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--control", type=Path)
    parser.add_argument("--loopback", action="store_true", help="listen on this machine alone")
    parser.add_argument("--speed", type=float, default=60.0, help="simulated seconds per second")
    parser.add_argument("--clock", type=float, default=10.0, help="simulated hour of the day at the start")
    args = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("blupow_proxy").setLevel(logging.INFO)
    try:
        outcome = asyncio.run(serve(args))
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return os.EX_CONFIG
    except OSError as error:
        print(f"simulated_proxy: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    if outcome is Outcome.RESTART:
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - as `run` does
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
