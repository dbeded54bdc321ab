"""What users are told of the Bluetooth proxy, on an adapter of the simulator."""

from waiting import until

from blupow_proxy.errors import AdapterLostError
from blupow_proxy.forwarding import heard_how, scanner_mac
from blupow_proxy.simulator import VirtualRadio


async def test_whoever_looks_for_units_forwards_nothing() -> None:
    async with VirtualRadio([]) as radio:
        adapter = radio.adapter
        told = [heard_how(adapter)]
        assert await adapter.finder.find("00:00:00:00:00:09", 0.05) is None
        told.append(heard_how(adapter))
        forwarding = adapter.scan.forward(lambda _: None, lambda: told.append(heard_how(adapter)))
        await until(lambda: told[-1] == "rebuilt")
        adapter.scan.start_anew(AdapterLostError("adapter", "gone"))
        await until(lambda: told.count("rebuilt") == 2)
        forwarding.stop()
        told.append(heard_how(adapter))
    assert [how for how in told if how is not None] == ["not listening"] * 2 + ["rebuilt"] * 2 + ["not listening"]


async def test_in_safe_mode_nothing_is_heard() -> None:
    async with VirtualRadio([]) as radio:
        radio.adapter.left_alone = True
        forwarding = radio.adapter.scan.forward(lambda _: None, lambda: None)
        assert heard_how(radio.adapter) == "not listening"
        forwarding.stop()


def test_the_scanner_is_another_than_the_proxy() -> None:
    assert scanner_mac("02:00:00:00:00:FE") == "02:00:00:00:00:FF"
    assert scanner_mac("02:00:00:00:00:FF") == "02:00:00:00:00:FE"
