"""Machines on which Bluetooth can't be used: no bus, no service, or no permission; the proxy serves all the same."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from client import KEY, NAME, Client
from dbus_fast import BusType
from dbus_fast.aio import MessageBus
from ports import free_port
from private_bus import private_bus

STARTED_S = 20.0
WATCHED_S = 12.0  # two attempts, at the pace of an adapter that is missing
DENIED = "no permission to use Bluetooth: add this user to the group bluetooth"
NO_BUS = "the system's message bus (D-Bus) does not answer: is it running?"
NO_SERVICE = "the Bluetooth service does not run: start it (systemctl start bluetooth)"
DENY = '<deny send_destination="org.bluez"/>'


async def told(folder: Path, address: str) -> tuple[str, list[str]]:
    """Return what a client of the proxy is told of Bluetooth, and what the proxy has warned of."""
    port = free_port()
    config = {
        "esphome": {"name": NAME},
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
        async with Client("127.0.0.1", port) as client:
            await client.until_connected(STARTED_S)
            await asyncio.sleep(WATCHED_S)
            status = client.states["", "bluetooth_adapter_status"]
        assert process.returncode is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    return status, [line for line in log.read_text().splitlines() if " W " in line or " E " in line]


@pytest.mark.fault("R16")
async def test_there_is_no_bus(tmp_path: Path, measured) -> None:
    status, warnings = await told(tmp_path, f"unix:path={tmp_path / 'none'}")
    assert status == NO_BUS
    measured("warnings without a bus", len(warnings), 1, "")


@pytest.mark.fault("R16")
async def test_bluetooth_does_not_run(tmp_path: Path, measured) -> None:
    async with private_bus(tmp_path) as bus:
        status, warnings = await told(tmp_path, bus.address)
    assert status == NO_SERVICE
    measured("warnings without bluetoothd", len(warnings), 1, "")


@pytest.mark.fault("R16")
async def test_bluetooth_is_not_permitted(tmp_path: Path, measured) -> None:
    async with private_bus(tmp_path, DENY) as bus:
        service = await MessageBus(bus.address, bus_type=BusType.SYSTEM).connect()
        await service.request_name("org.bluez")
        status, warnings = await told(tmp_path, bus.address)
        service.disconnect()
    assert status == DENIED
    measured("warnings without permission", len(warnings), 1, "")
