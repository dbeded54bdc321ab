"""A D-Bus of the tests' own, in the place of the system's."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from waiting import until

CONFIG = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/>{rule}
</policy></busconfig>"""


@dataclass(frozen=True)
class PrivateBus:
    """A bus that runs: its address, and the process."""

    address: str
    daemon: asyncio.subprocess.Process


@asynccontextmanager
async def private_bus(folder: Path, rule: str = "") -> AsyncIterator[PrivateBus]:
    """Run a bus, with one more ``rule``; the test is skipped where there is no dbus-daemon."""
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("there is no dbus-daemon")
    path, config = folder / "bus", folder / "bus.conf"
    config.write_text(CONFIG.format(socket=path, rule=rule))
    daemon = await asyncio.create_subprocess_exec(program, f"--config-file={config}", "--nofork")
    try:
        await until(lambda: _accepts(path), 5.0)
        yield PrivateBus(f"unix:path={path}", daemon)
    finally:
        if daemon.returncode is None:
            daemon.terminate()
        await daemon.wait()


def _accepts(path: Path) -> bool:
    """Whether the bus can be connected to, which is a moment after its socket is there."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
