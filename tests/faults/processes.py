"""The real proxy as a process of its own, on simulated units, on whatever host and within whatever limits."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from client import KEY, NAME, Client
from control import tell
from machine import UNITS
from waiting import until

from blupow_proxy.app import RELIST_AFTER_S

ROOT: Final = Path(__file__).resolve().parents[2]
PROGRAM: Final = ROOT / ".venv" / "bin" / "blupow-proxy"
SIMULATED: Final = ROOT / "tests" / "end_to_end" / "simulated_proxy.py"  # what PROGRAM does, on simulated units
PORT: Final = 6053
LISTENING_S: Final = 30.0
FOUND_S: Final = 60.0
ENDED_S: Final = 15.0
ESTABLISHED: Final = "01"  # of /proc/net/tcp


class ProxyProcess:
    """One proxy; what it keeps and logs is in ``folder``."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = NAME,
        key: str = KEY,
        units: dict[str, str] = UNITS,
        prefix: Sequence[str] = (),
        options: Sequence[str] = (),
        interval: str = "2s",
        state: Path | None = None,
        port: int = PORT,
        announce: bool = True,
        controlled: bool = True,
    ) -> None:
        """Read ``units``, address by name; ``prefix`` is what runs a command where this one is to run.

        Only one that is ``controlled`` can be told something; that takes a socket in ``folder``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        self.state = state or folder / f"{name}.state"
        self.file = folder / f"{name}.yaml"
        self.prefix = prefix
        config: dict[str, Any] = {
            "esphome": {"name": name},
            "api": {"port": port, "encryption": {"key": key}},
            "zeroconf": {"disabled": not announce},
            "renogy": [
                {"address": address, "name": unit, "update_interval": interval} for unit, address in units.items()
            ],
        }
        self.file.write_text(json.dumps(config))  # which is YAML
        self.file.chmod(0o600)
        self._port = port
        self._units = list(units)
        self._control = folder / f"{name}.socket"
        self._options = (*options, *(("--control", str(self._control)) if controlled else ()))
        self.process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End, whatever has become of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            await self.stop()

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last."""
        assert self.process is not None
        return self.process.pid

    @property
    def open_files(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def connections(self) -> int:
        """How many clients' connections its host has."""
        lines = Path(f"/proc/{self.pid}/net/tcp").read_text("ascii").splitlines()[1:]
        return sum(
            fields[3] == ESTABLISHED and fields[1].endswith(f":{self._port:04X}") for fields in map(str.split, lines)
        )

    def lines(self, *levels: str) -> list[str]:
        """Return what it has logged at these levels."""
        return [line for line in self.text.splitlines() if any(f" {level} " in line for level in levels)]

    @property
    def text(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def start(self) -> float:
        """Start it, and return the seconds until it listened."""
        started, before = time.monotonic(), len(self.text)
        command = (*self.prefix, sys.executable, SIMULATED, self.file, "--state-dir", self.state)
        self.process = spawned((*command, *self._options), self.log)
        while "Listening on port" not in self.text[before:]:
            if self.process.poll() is not None or time.monotonic() > started + LISTENING_S:
                raise RuntimeError(f"{self.name} does not listen: {self.text[before:]}")
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and return how it has ended; TimeoutError when it has not."""
        assert self.process is not None
        self.process.send_signal(number)
        return await ended(self.process)

    async def settle(self, client: Client) -> None:
        """Wait until it knows all its units, which ends its clients' sessions once or twice, and ``client`` is back."""
        await until(lambda: all(f" {unit}: " in self._listed for unit in self._units), FOUND_S)
        await asyncio.sleep(RELIST_AFTER_S + 1.0)
        await client.until_read(*self._units, timeout_s=FOUND_S)

    @property
    def _listed(self) -> str:
        return "\n".join(line for line in self.text.splitlines() if line.endswith(" readings"))

    async def tell(self, **order: Any) -> dict[str, Any]:
        """Return what each simulated unit holds, by address, once ``order`` is carried out."""
        return await tell(self._control, **order)


def spawned(command: Sequence[object], log: Path) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Return how a process has ended; it is killed when it has not in time, and TimeoutError."""
    end = time.monotonic() + ENDED_S
    while process.poll() is None:
        if time.monotonic() > end:
            process.kill()
            process.wait()
            raise TimeoutError(f"it has not ended in {ENDED_S:g} s")
        await asyncio.sleep(0.02)
    return process.wait()
