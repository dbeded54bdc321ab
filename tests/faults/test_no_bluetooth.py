"""Machines on which Bluetooth can't be used: no bus, no service, or no permission; the proxy serves all the same."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aioesphomeapi import APIClient
from dbus_fast import BusType
from dbus_fast.aio import MessageBus

KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
WATCHED_S = 12.0  # two attempts, at the pace of an adapter that is missing
DENIED = "no permission to use Bluetooth: add this user to the group bluetooth"
NO_BUS = "the system's message bus (D-Bus) does not answer: is it running?"
NO_SERVICE = "the Bluetooth service does not run: start it (systemctl start bluetooth)"
BUS = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/>{rule}
</policy></busconfig>"""
DENY = '<deny send_destination="org.bluez"/>'


@asynccontextmanager
async def bus(folder: Path, rule: str) -> AsyncIterator[str]:
    """Run a bus with a rule, and org.bluez on it; yields its address."""
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("there is no dbus-daemon")
    path = folder / "bus"
    (folder / "bus.conf").write_text(BUS.format(socket=path, rule=rule))
    process = await asyncio.create_subprocess_exec(daemon, f"--config-file={folder / 'bus.conf'}", "--nofork")
    try:
        while not path.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
        yield f"unix:path={path}"
    finally:
        process.terminate()
        await process.wait()


async def told(folder: Path, address: str) -> tuple[str, list[str]]:
    """Return what a client of the proxy is told of Bluetooth, and what the proxy has warned of."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "esphome": {"name": "shed"},
        "api": {"port": port, "encryption": {"key": KEY}},
        "zeroconf": {"disabled": True},
        "renogy": [{"address": f"C4:D3:6A:00:00:0{number}", "name": f"Unit {number}"} for number in (1, 2)],
    }
    (folder / "proxy.yaml").write_text(json.dumps(config))
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "blupow_proxy", "run", folder / "proxy.yaml", "--state-dir", folder / "state"),
            stderr=output,
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": address},
        )
    try:
        status = await _status(port)
        assert process.returncode is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    return status, [line for line in log.read_text().splitlines() if " W " in line or " E " in line]


async def _status(port: int) -> str:
    client = APIClient("127.0.0.1", port, None, noise_psk=KEY)
    async with asyncio.timeout(20.0):
        while True:
            try:
                await client.connect(login=True)
            except Exception:  # noqa: BLE001 - it is starting
                await asyncio.sleep(0.1)
            else:
                break
    entities, _ = await client.list_entities_services()
    (key,) = [entity.key for entity in entities if entity.object_id == "bluetooth_adapter_status"]
    said: list[str] = []
    client.subscribe_states(lambda state: said.append(state.state) if state.key == key else None)
    await asyncio.sleep(WATCHED_S)
    await client.disconnect()
    return said[-1]


@pytest.mark.fault("R16")
async def test_there_is_no_bus(tmp_path: Path, measured) -> None:
    status, warnings = await told(tmp_path, f"unix:path={tmp_path / 'none'}")
    assert status == NO_BUS
    measured("warnings without a bus", len(warnings), 1, "")


@pytest.mark.fault("R16")
async def test_bluetooth_does_not_run(tmp_path: Path, measured) -> None:
    async with bus(tmp_path, "") as address:
        status, warnings = await told(tmp_path, address)
    assert status == NO_SERVICE
    measured("warnings without bluetoothd", len(warnings), 1, "")


@pytest.mark.fault("R16")
async def test_bluetooth_is_not_permitted(tmp_path: Path, measured) -> None:
    async with bus(tmp_path, DENY) as address:
        service = await MessageBus(address, bus_type=BusType.SYSTEM).connect()
        await service.request_name("org.bluez")
        status, warnings = await told(tmp_path, address)
        service.disconnect()
    assert status == DENIED
    measured("warnings without permission", len(warnings), 1, "")
