"""Eight units and two adapters: every link is kept, by whichever adapter the configuration names."""

import asyncio

from rig import Rig

from proxy import Proxy, Watcher

UNITS = {f"Inverter {number}": f"D8:B6:73:00:01:{number:02X}" for number in range(1, 9)}
LINKED_S = 90.0
KEPT_S = 30.0


async def test_eight_links_of_the_second_adapter(rig: Rig) -> None:
    await rig.populate(adapters=2, units=str(len(UNITS)))
    proxy = Proxy(rig, UNITS, adapter="hci1")
    await proxy.start()
    async with Watcher() as watcher:
        await watcher.until_linked(UNITS, LINKED_S)
        watcher.lost = 0
        await asyncio.sleep(KEPT_S)
        assert watcher.lost == 0
        assert watcher.linked == set(UNITS)
    adapters = (await rig.room("state"))["adapters"]
    assert {name: adapter["links"] for name, adapter in adapters.items()} == {"hci0": 0, "hci1": 8}
    assert await proxy.stop() == 0
    state = await rig.room("state")
    assert {unit["connected"] for unit in state["units"].values()} == {False}
