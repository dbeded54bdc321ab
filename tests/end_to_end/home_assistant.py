"""A real Home Assistant as a process of its own, in a configuration folder of its own."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any, Final

import aiohttp

ROOT: Final = Path(__file__).parents[2]
COMPANION: Final = ROOT / "companion"
HASS: Final = Path(sys.executable).with_name("hass")  # of the environment that runs this
READY_S: Final = 120.0  # 5 s on a PC; a slow machine that compiles modules for the first time takes a minute
STOP_S: Final = 30.0  # Home Assistant gives its own shutdown 100 s in the worst case, and needs 3 s
RESTART_CODE: Final = 100  # what Home Assistant ends with when a user restarts it
LOCALHOST: Final = "127.0.0.1"

# Not default_config: that looks around on the network, asks the cloud and fetches analytics.
_CONFIGURATION: Final = """\
homeassistant:
  name: {name}
  unit_system: metric
  time_zone: {time_zone}
  latitude: 52.0
  longitude: 5.0
  country: NL
  currency: EUR
config:
diagnostics:
energy:
frontend:
history:
logbook:
logger: {{default: info}}
recorder: {{commit_interval: 1}}
sun:
system_log:
zeroconf:
"""


class StartError(Exception):
    """Home Assistant did not start; the text says why."""


class HomeAssistant:
    """One Home Assistant in ``folder``; ``start`` and ``stop`` it as often as you like."""

    def __init__(self, folder: Path, *, host: str = LOCALHOST, port: int = 8123, prefix: Sequence[str] = ()) -> None:
        """Listen on ``host`` and ``port`` only; ``prefix`` is a command that runs it elsewhere, as in a namespace."""
        self.folder = folder
        self.url = f"http://{host}:{port}"
        self.output = folder / "output.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._printed_before = 0
        self._host = host
        self._port = port
        self._prefix = prefix

    def configure(
        self,
        *,
        name: str = "Test home",
        time_zone: str = "UTC",
        adapters: Sequence[str] = (),
        companion: bool = True,
        components: Sequence[Path] = (),
        more: str = "",
    ) -> None:
        """Write the configuration, once per folder; ``adapters`` are the network interfaces that it may announce on.

        ``components`` are custom integrations beside the companion, ``more`` is appended to the YAML.
        """
        storage = self.folder / ".storage"
        if storage.exists():
            return
        storage.mkdir(parents=True)
        configuration = _CONFIGURATION.format(name=name, time_zone=time_zone)
        (self.folder / "configuration.yaml").write_text(configuration + more)
        custom = self.folder / "custom_components"
        custom.mkdir()
        for component in ([COMPANION / "custom_components" / "blupow"] if companion else []) + list(components):
            (custom / component.name).symlink_to(component)
        # All steps but the user: the others add integrations that need the internet.
        self._store("onboarding", {"done": ["core_config", "analytics", "integration"]}, version=4)
        # `http:` in YAML is deprecated, and a change of it has to be confirmed within five minutes.
        settings = {
            "server_host": [self._host],
            "server_port": self._port,
            "cors_allowed_origins": ["https://cast.home-assistant.io"],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "modern",
            "use_x_frame_options": True,
            "created_at": datetime.now(UTC).isoformat(),
            "error": None,
            "error_message": None,
        }
        self._store(
            "http", {"stable": settings, "pending": None, "yaml_migration_done": True}, version=2, minor_version=2
        )
        if adapters:
            self._store("core.network", {"configured_adapters": list(adapters)})

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Start the process and return at once."""
        with self.output.open("ab") as output:
            self._printed_before = output.tell()
            self.process = subprocess.Popen(
                [*self._prefix, str(HASS), "--config", str(self.folder), "--skip-pip", "--log-no-color"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is ours: it ends the parts in order
            )

    async def start(self) -> float:
        """Start, and return the seconds until it was up and running."""
        started = time.monotonic()
        self.launch()
        async with aiohttp.ClientSession() as session:
            while not await self._is_up(session):
                if not self.running:
                    raise StartError(f"Home Assistant ended at its start:\n{self.last_lines()}")
                if time.monotonic() - started > READY_S:
                    raise StartError(f"Home Assistant did not start within {READY_S:.0f} s:\n{self.last_lines()}")
                await asyncio.sleep(0.1)
        return time.monotonic() - started

    async def stop(self) -> float:
        """End it, and return the seconds that took; nothing if it does not run."""
        started = time.monotonic()
        if self.process is None:
            return 0.0
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        while self.running:
            if time.monotonic() - started > STOP_S:
                os.killpg(self.process.pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
        self.process = None
        return time.monotonic() - started

    def last_lines(self, count: int = 12) -> str:
        """Return the end of what it has printed since its start."""
        return "\n".join(self._printed().splitlines()[-count:])

    async def _is_up(self, session: aiohttp.ClientSession) -> bool:
        """Whether everything is set up; HTTP answers long before."""
        if "Home Assistant initialized in" not in self._printed():
            return False
        try:
            async with session.get(f"{self.url}/manifest.json", timeout=aiohttp.ClientTimeout(5)) as response:
                return response.ok
        except aiohttp.ClientError, TimeoutError:
            return False

    def _printed(self) -> str:
        with self.output.open("rb") as output:
            output.seek(self._printed_before)
            return output.read().decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if (value := os.environ.get(name))}
        return {
            "LANG": "C.UTF-8",
            **kept,
            "HOME": str(self.folder),
            # this machine's Bluetooth adapters are none of its business
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.folder}/no-bus",
        }

    def _store(self, key: str, data: dict[str, Any], *, version: int = 1, minor_version: int = 1) -> None:
        content = {"version": version, "minor_version": minor_version, "key": key, "data": data}
        (self.folder / ".storage" / key).write_text(json.dumps(content))
