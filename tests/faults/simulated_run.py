"""`blupow-proxy run`, on simulated units and with a fault in it: simulated_run.py FAULT, then as blupow-proxy.

FAULT is none, loop (it wedges), reader (one wedges) or start (it raises). What it says last is how many links are left.
"""

import asyncio
import sys
import time
from dataclasses import replace

from blupow_config import ProxyConfig
from blupow_proxy import app, cli
from blupow_proxy.__main__ import main
from blupow_proxy.app import Outcome, Proxy, Surroundings
from blupow_proxy.ble import Adapter
from blupow_proxy.poller import Poller, progress
from blupow_proxy.simulator import VirtualRadio, demo_units
from blupow_proxy.simulator.backend import bind

HEALTHY_S = 2.0  # before the fault comes


class SimulatedProxy(Proxy):
    fault = "none"

    def __init__(self, config: ProxyConfig, around: Surroundings) -> None:
        self.radio = VirtualRadio(demo_units())
        client, scanner = bind(self.radio)
        adapter = Adapter("virtual", client_backend=client, scanner_backend=scanner)
        super().__init__(config, replace(around, adapter=adapter, host="127.0.0.1"))

    async def start(self) -> None:
        if self.fault == "start":
            raise ZeroDivisionError("a wheel came off")
        await self.radio.__aenter__()
        if self.fault == "loop":
            asyncio.get_running_loop().call_later(HEALTHY_S, wedge)
        await super().start()

    async def serve(self) -> Outcome:
        try:
            return await super().serve()
        finally:
            links = sum(peripheral.connection is not None for peripheral in self.radio.peripherals.values())
            print(f"links left: {links}", flush=True)
            await self.radio.__aexit__()


def wedge() -> None:
    time.sleep(3600)


async def wedged(self: Poller) -> None:
    self.progress.step(wait_s=self._connect_s)
    await asyncio.Event().wait()


if __name__ == "__main__":
    SimulatedProxy.fault = sys.argv.pop(1)
    app.Proxy = SimulatedProxy
    if SimulatedProxy.fault == "reader":
        Poller._attempt = wedged
        # a minute and three, in proportion to the watchdog's two seconds instead of sixty
        progress.STEP_S, app.ATTEMPT_S = 1.0, 1.0
    assert cli
    main()
