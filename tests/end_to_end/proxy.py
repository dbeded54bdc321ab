"""The real proxy as a process of its own, on simulated units."""

import asyncio
from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import signal
import subprocess
import time
from typing import Any, Final

import yaml

from control import tell
from home_assistant import ROOT

PYTHON: Final = ROOT / ".venv" / "bin" / "python"
PROGRAM: Final = Path(__file__).with_name("simulated_proxy.py")
LISTENING_S: Final = 30.0
STOP_S: Final = 10.0
FOUND_S: Final = 60.0
UNITS: Final = {
    "Rover": "C4:D3:6A:00:00:01",
    "Charger": "C4:D3:6A:00:00:02",
    "Battery": "C4:D3:6A:00:00:03",
    "Inverter": "D8:B6:73:00:00:04",
    "Shunt": "4C:E1:74:00:00:05",
}
SPARE: Final = ("Spare battery", "C4:D3:6A:00:00:06")


class ProxyStartError(Exception):
    """The proxy did not start; the text says why."""


class Proxy:
    """One proxy of the name ``name``, at ``address``; its configuration is ``config``, taken at each start."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        address: str,
        prefix: Sequence[str] = (),
        key: str | None = None,
        units: Mapping[str, str] = UNITS,
        options: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.address = address
        self.config: dict[str, Any] = {
            "esphome": {"name": name},
            "api": {"encryption": {"key": key}} if key else {},
            "renogy": [
                {"name": unit, "address": address} | ({"load_switch": True} if unit.startswith("Rover") else {})
                for unit, address in units.items()
            ],
        }
        self.log = folder / f"{name}.log"
        self._folder = folder
        self._control = folder / f"{name}.socket"
        self._prefix = prefix
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> str | None:
        """The key in its configuration."""
        key: str | None = self.config["api"].get("encryption", {}).get("key")
        return key

    @property
    def title(self) -> str:
        """What it is called where people read it."""
        return self.name.replace("-", " ").capitalize()

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def last_lines(self, count: int = 12) -> str:
        """Return the end of what it has logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    async def start(self) -> float:
        """Start it, and return the seconds until it listened."""
        file = self._folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(self.config))
        file.chmod(0o600)
        started = time.monotonic()
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *(str(PYTHON), str(PROGRAM), str(file)),
                    *("--state-dir", str(self._folder / self.name), "--control", str(self._control)),
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder), "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        while b"Listening on port" not in self.log.read_bytes()[before:]:
            if self._process.poll() is not None or time.monotonic() - started > LISTENING_S:
                raise ProxyStartError(f"{self.name} did not start:\n{self.last_lines()}")
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def knows_its_units(self) -> None:
        """Wait until it has found out, once in its life, what each unit is."""
        async with asyncio.timeout(FOUND_S):
            while not all(f" {unit['name']}: ".encode() in self._news(b" readings") for unit in self.config["renogy"]):
                await asyncio.sleep(0.1)

    def _news(self, of: bytes) -> bytes:
        return b"\n".join(line for line in self.log.read_bytes().splitlines() if line.endswith(of))

    async def stop(self, number: int = signal.SIGTERM) -> float:
        """End it by a signal, and return the seconds that took; nothing if it does not run."""
        process, self._process = self._process, None
        started = time.monotonic()
        if process is None:
            return 0.0
        process.send_signal(number)
        while process.poll() is None:
            if time.monotonic() - started > STOP_S:
                process.kill()
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def units(self, **order: Any) -> dict[str, Any]:
        """Return what each simulated unit holds, by address, once ``order`` is carried out."""
        return await tell(self._control, **order)
