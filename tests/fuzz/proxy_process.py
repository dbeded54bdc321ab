"""The whole proxy on simulated units in a process of its own, whose memory, files, CPU and log can be told.

usage: proxy_process.py KEY-OR-MINUS [--units N] [--interval S] [--announce NAME]; says its port once it is ready, and
on SIGTERM what its units were asked and when, as JSON
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.simulator import SimulatedUnit, VirtualRadio, demo_units
from blupow_proxy.storage import Storage

READY_S: Final = 60.0
STOPPED_S: Final = 15.0
NAMES: Final = ("Rover", "Charger", "Battery", "Inverter", "Shunt")
_PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class ProxyProcess:
    """A running proxy on loopback: its ``port``, and what the kernel says of it."""

    def __init__(
        self, key: bytes | None, folder: Path, *options: str, environment: Sequence[str] = (), name: str = "proxy"
    ) -> None:
        """Keep its log in ``folder``; ``environment`` is a command that runs it, such as ``ip netns exec``."""
        self.port = 0
        self.report: dict[str, Any] = {}
        self._log = folder / f"{name}.log"
        self._argv = (*environment, sys.executable, __file__, b64encode(key).decode() if key else "-", *options)
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        """Start it and wait until it serves."""
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv, stdout=asyncio.subprocess.PIPE, stderr=log, limit=1 << 26
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = await self._process.stdout.readline()
        assert line, self.log
        self.port = int(line)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it in order; its report is there then."""
        if not self.is_alive:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOPPED_S):
                out, _err = await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        self.report = json.loads(out)

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    @property
    def rss_kib(self) -> int:
        return int(self._proc("statm").split()[1]) * _PAGE_KIB

    @property
    def cpu_s(self) -> float:
        user, system = self._proc("stat").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS

    @property
    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text()


async def serve(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    units = demo_units()[: args.units]
    asked: dict[str, list[tuple[float, str]]] = {unit.name: [] for unit in units}
    respond = SimulatedUnit.respond

    def note(self: SimulatedUnit, frame: bytes, now: float) -> bytes | None:
        asked[self.name].append((now, frame.hex()))
        return respond(self, frame, now)

    SimulatedUnit.respond = note  # type: ignore[method-assign]
    key = None if args.key == "-" else b64decode(args.key)
    config = ProxyConfig(
        esphome=EsphomeConfig(name=args.announce or "attacked", friendly_name="Attacked"),
        api=ApiConfig(port=0, encryption=key is not None, key=key),
        zeroconf=ZeroconfConfig(enabled=args.announce is not None),
        renogy=tuple(
            UnitConfig(
                id=name.lower(),
                address=unit.address,
                name=name,
                update_interval_s=args.interval,
                load_switch=name == "Rover",
            )
            for name, unit in zip(NAMES, units, strict=False)
        ),
    )
    host = None if args.announce else "127.0.0.1"
    async with VirtualRadio(units) as radio:
        proxy = Proxy(config, Surroundings(storage=Storage(folder), adapter=radio.adapter, host=host))
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        await proxy.all_listed()
        print(proxy.server.port, flush=True)
        await stop.wait()
        proxy.stop()
        await serving
    return {"asked": asked}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("key")
    parser.add_argument("--units", type=int, default=len(NAMES))
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--announce")
    args = parser.parse_args()
    logging.basicConfig(format="%(levelname).1s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("blupow_proxy").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="blupow-attacked-") as folder:
        print(json.dumps(asyncio.run(serve(args, Path(folder)))), flush=True)


if __name__ == "__main__":
    main()
