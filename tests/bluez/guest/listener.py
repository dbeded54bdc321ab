"""Hears all that is on the air, as the proxy forwards it.

usage: listener.py [--adapter hci0] [--passive] [--find ADDRESS]

Says a line of JSON for each change of state, each advertisement, and the device that was found.
"""

import argparse
import asyncio
import json
import logging
from contextlib import suppress

from blupow_proxy.ble import Adapter, RawAdvertisement


async def main(name: str | None, passive: bool, find: str | None) -> None:
    adapter = Adapter(name)
    watching = asyncio.create_task(adapter.run())
    await adapter.ready()
    scan = adapter.scan

    def say(**what: object) -> None:
        print(json.dumps(what), flush=True)

    def heard(one: RawAdvertisement) -> None:
        say(address=f"{one.address:012X}", random=int(one.address_type), rssi=one.rssi, data=one.data.hex())

    forwarding = scan.forward(heard, lambda: say(state=scan.state.name, active=scan.active, source=scan.source.name))
    forwarding.active = not passive
    if find is not None:
        found = await adapter.finder.find(find, 20.0)
        say(found=found and found[1].name)
    with suppress(asyncio.CancelledError):
        await watching


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapter")
    parser.add_argument("--passive", action="store_true")
    parser.add_argument("--find")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(options.adapter, options.passive, options.find))
