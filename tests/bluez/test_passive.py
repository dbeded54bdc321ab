"""A passive scan over monitors of BlueZ itself, which this one has only where it is asked to."""

import pytest
from advertised import KINDS, address
from machine import UNITS
from rig import Rig
from test_advertisements import INTERVAL_MS, UNPRIVILEGED, listening

from blupow_proxy.ble.advertising_data import FLAGS, structures


@pytest.fixture(scope="module")
async def room(rig: Rig) -> Rig:
    """Everybody advertises, and BlueZ has monitors."""
    rig.bluetoothd_options = ("--experimental",)
    await rig.populate(adapters=1, units="demo")
    for number, sent in enumerate(KINDS.values()):
        await rig.room(
            "add_broadcaster",
            address=address(number, sent),
            address_type=sent.address_type,
            data=sent.data.hex(),
            scan_response=sent.scan_response.hex(),
            interval_ms=INTERVAL_MS,
            kind=sent.how,
        )
    return rig


async def test_without_the_right_all_are_heard_that_send_the_usual_flags(room: Rig) -> None:
    wanted = {
        address(number, sent).replace(":", "")
        for number, sent in enumerate(KINDS.values())
        if any(kind == FLAGS for kind, _ in structures(sent.data)) and sent.how != "directed"
    } | {unit.replace(":", "") for unit in UNITS.values()}
    async with listening(room, "monitors", "--passive", prefix=UNPRIVILEGED) as ears:
        await ears.until(lambda: wanted <= set(ears.heard))
        assert ears.states[-1] == {"state": "RUNNING", "active": False, "source": "REBUILT"}
