"""Ten minutes of a weak signal, in the guest and in virtual time: of every unit, how many intervals brought a reading.

usage: weak_signal.py MINUTES    (leaves share.json)
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from machine import Machine

from blupow_config import ApiConfig, BluetoothConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.storage import Storage

UNITS = {
    "Rover": "C4:D3:6A:00:00:01",
    "Charger": "C4:D3:6A:00:00:02",
    "Battery": "C4:D3:6A:00:00:03",
    "Inverter": "D8:B6:73:00:00:04",
}
INTERVAL_S = 10.0
LOSS = 0.3  # of the fragments that units send
TOLERANCE_V = 0.25


async def weak_signal(minutes: float) -> dict[str, Any]:
    machine = Machine(Path.cwd())
    await machine.until(machine.answers, "that the agent is there")
    await machine.populate(adapters=1, units="demo")
    config = ProxyConfig(
        esphome=EsphomeConfig(name="weak", friendly_name="Weak"),
        api=ApiConfig(port=0, encryption=False),
        bluetooth=BluetoothConfig(adapter="hci0"),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=tuple(
            UnitConfig(id=name.lower(), address=address, name=name, update_interval_s=INTERVAL_S)
            for name, address in UNITS.items()
        ),
    )
    proxy = Proxy(config, Surroundings(storage=Storage(machine.folder / "state"), host="127.0.0.1"))
    await proxy.start()
    serving = asyncio.create_task(proxy.serve())
    await proxy.all_listed()
    await machine.room("air", fragment_loss=LOSS)
    wrong, fresh, windows = [], 0, int(minutes * 60 / INTERVAL_S)
    for window in range(windows):
        before = [unit.last_reading for unit in proxy.units]
        if window % round(60 / INTERVAL_S) == 0:
            address = list(UNITS.values())[window // round(60 / INTERVAL_S) % len(UNITS)]
            await machine.room("drop", address=address)
        end = time.monotonic() + INTERVAL_S
        while time.monotonic() < end:
            await asyncio.sleep(0.5)
            truth = (await machine.room("world"))["battery_v"]
            for unit in proxy.units:
                shown = unit.states.get("battery_voltage", unit.states.get("house_battery_voltage"))
                if isinstance(shown, float) and abs(shown - truth) > TOLERANCE_V:
                    wrong.append(f"{unit.spec.name}: {shown} V where it is {truth} V")
        fresh += sum(unit.last_reading != last for unit, last in zip(proxy.units, before, strict=True))
    proxy.stop()
    await serving
    return {"share": fresh / (windows * len(UNITS)), "wrong": wrong}


if __name__ == "__main__":
    result = asyncio.run(weak_signal(float(sys.argv[1])))
    Path("share.json").write_text(json.dumps(result))
