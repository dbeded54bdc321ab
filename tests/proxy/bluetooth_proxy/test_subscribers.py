"""Who hears advertisements, and what of the scanner."""

import pytest
from aioesphomeapi import api_pb2
from bluetooth_bench import LAMP, LOCK, OWN, TOY, Bench, device_request, told
from bluetooth_doubles import Recorder, State

from blupow_proxy.bluetooth_proxy import address_number

SUBSCRIBE = api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1)
UNSUBSCRIBE = api_pb2.UnsubscribeBluetoothLEAdvertisementsRequest()
PASSIVE, ACTIVE = (api_pb2.BluetoothScannerSetModeRequest(mode=mode) for mode in (0, 1))


async def test_each_subscription_is_answered_with_the_scanners_state_at_once(bench: Bench) -> None:
    bench.proxy.asked(bench.client, SUBSCRIBE)
    assert told(bench.client)[-1] == "scanner 0 mode 1"
    bench.proxy.asked(bench.client, SUBSCRIBE)
    assert told(bench.client) == ["scanner 0 mode 1"]
    assert len(bench.air.runs) == 1


async def test_each_change_of_state_or_mode_is_told_once(bench: Bench) -> None:
    await bench.subscribed()
    bench.air.become(State.RUNNING)
    bench.air.become(State.RUNNING)
    assert told(bench.client) == ["scanner 2 mode 1"]
    assert await bench.ask(PASSIVE) == ["scanner 2 mode 0"]
    assert await bench.ask(PASSIVE) == []
    bench.air.become(State.RUNNING, active=True)  # someone else needs that
    assert told(bench.client) == ["scanner 2 mode 1"]


async def test_what_a_client_wanted_of_the_scanner_was_its_own_affair(bench: Bench) -> None:
    await bench.subscribed()
    await bench.ask(PASSIVE)
    await bench.ask(SUBSCRIBE)
    assert not bench.air.run.active  # the same client's
    second = Recorder()
    await bench.subscribed(second)
    assert bench.air.run.active
    assert await bench.ask(PASSIVE) == []  # of the former one
    assert bench.air.run.active


async def test_advertisements_but_of_our_own_and_of_the_denied(bench: Bench) -> None:
    await bench.subscribed()
    for address in (OWN, TOY, LOCK, *[LAMP] * 15):
        bench.air.say(address_number(address))
    assert told(bench.client) == ["heard " + " ".join(["02", *["03"] * 15])]


async def test_the_newest_subscriber_wins_and_the_former_hears_nothing_more(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    bench.air.say(address_number(LAMP))
    second = Recorder("10.0.0.2")
    assert await bench.ask(SUBSCRIBE, second) == ["scanner 0 mode 1"]
    assert told(bench.client) == ["disconnected 02 error 22", "slots 01 of 3"]
    assert device.disconnects == 1
    bench.air.become(State.RUNNING)
    for _ in range(16):
        bench.air.say(address_number(LAMP))
    assert told(second) == ["scanner 2 mode 1", "heard " + " ".join(["03"] * 16)]
    assert told(bench.client) == []
    bench.proxy.gone(bench.client)
    assert bench.air.run is not None


@pytest.mark.parametrize("how", ["gone", "unsubscribed"])
async def test_without_a_subscriber_nothing_runs(bench: Bench, how: str) -> None:
    await bench.subscribed()
    device = await bench.connected()
    bench.air.say(address_number(LAMP))
    if how == "gone":
        bench.proxy.gone(bench.client)
    else:
        bench.proxy.asked(bench.client, UNSUBSCRIBE)
    await bench.settle()
    assert bench.air.run is None
    assert device.disconnects == 1
    assert told(bench.client) == ["disconnected 02 error 22"] + ["slots 01 of 3"] * (how != "gone")
    bench.air.become(State.IDLE)
    await bench.subscribed()
    assert bench.air.run is not None
    assert (await bench.ask(device_request(4)))[1] == "connected 02 mtu 247"


async def test_who_has_not_subscribed_can_not_unsubscribe_another(bench: Bench) -> None:
    await bench.subscribed()
    await bench.ask(UNSUBSCRIBE, Recorder())
    bench.proxy.gone(Recorder())
    assert bench.air.run is not None


async def test_slots_are_told_at_once_and_on_each_change_to_all_who_asked(bench: Bench) -> None:
    second = Recorder()
    assert await bench.ask(api_pb2.SubscribeBluetoothConnectionsFreeRequest(), second) == ["slots 01 of 3"]
    await bench.subscribed()
    await bench.connected()
    assert told(second) == ["slots 01 02 of 3"]
    await bench.ask(device_request(1))
    assert told(second) == ["slots 01 of 3"]
    bench.proxy.gone(second)
    await bench.connected()
    assert told(second) == []


async def test_after_the_end_nothing_is_answered(bench: Bench) -> None:
    await bench.subscribed()
    device = await bench.connected()
    await bench.proxy.stop()
    assert device.disconnects == 1
    assert told(bench.client) == ["disconnected 02 error 22", "slots 01 of 3"]
    assert await bench.ask(SUBSCRIBE) == []
    assert await bench.ask(device_request(4)) == []
    assert bench.air.run is None


async def test_many_refusals_of_one_kind_hide_no_other_in_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.subscribed()
    for _ in range(100):
        bench.proxy.asked(bench.client, device_request(4, OWN))
    bench.proxy.asked(bench.client, device_request(4, LOCK))
    told_of = [line for line in caplog.messages if line.startswith("Not connecting")]
    assert told_of[-1] == (
        f"Not connecting {LOCK} for {bench.client.peer}: "
        "this device is kept from clients by `allow` or `deny` of bluetooth_proxy"
    )
    assert len(told_of) == 9


async def test_who_takes_over_is_told_by_name(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Home Assistant's integrations come from one address."""
    await bench.subscribed()
    caplog.set_level("INFO")
    second = Recorder()
    second.label = "other (10.0.0.1)"
    await bench.subscribed(second)
    assert "Client other (10.0.0.1) takes Bluetooth over from test (10.0.0.1)" in caplog.messages
