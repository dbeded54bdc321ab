"""What is asked of bluetoothd, and how the bus may turn one away; tests/bluez has the real ones."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bluez_double import BluezDouble
from private_bus import private_bus
from waiting import until

from blupow_proxy.ble import Adapter, GattClient
from blupow_proxy.ble.bluez import Bluez
from blupow_proxy.errors import AdapterUnavailableError, DeadlineExceededError, LinkLostError

ADDRESS, OTHER = "C4:D3:6A:00:00:01", "C4:D3:6A:00:00:02"


@pytest.fixture
async def bluetoothd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BluezDouble]:
    async with private_bus(tmp_path) as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        double = await BluezDouble.start(bus.address)
        yield double
        double.stop()


@pytest.fixture
async def adapter(bluetoothd: BluezDouble) -> AsyncIterator[Adapter]:
    adapter = Adapter("hci0")
    running = asyncio.create_task(adapter.run())
    await until(lambda: adapter.bluez is not None)
    yield adapter
    running.cancel()
    await asyncio.wait({running})


async def test_two_that_connect_at_once_become_one_agent(bluetoothd: BluezDouble, adapter: Adapter) -> None:
    assert adapter.bluez is not None
    bluez, _ = adapter.bluez
    await asyncio.gather(bluez.offer_pairing(ADDRESS), bluez.offer_pairing(OTHER))
    asked = len(bluetoothd.asked("RegisterAgent"))
    await bluez.offer_pairing(ADDRESS)
    assert len(bluetoothd.asked("RegisterAgent")) == asked


async def test_who_gives_up_before_the_answer_leaves_an_agent_for_others(
    bluetoothd: BluezDouble, adapter: Adapter
) -> None:
    assert adapter.bluez is not None
    bluez, _ = adapter.bluez
    first = asyncio.create_task(bluez.offer_pairing(ADDRESS))
    await asyncio.sleep(0)
    first.cancel()
    await until(lambda: bool(bluetoothd.asked("RegisterAgent")))
    await bluez.offer_pairing(OTHER)


@pytest.mark.parametrize("visited", [set(), {ADDRESS}])
async def test_what_another_program_has_on_another_adapter_stays(
    bluetoothd: BluezDouble, adapter: Adapter, visited: set[str]
) -> None:
    bluetoothd.add_device("hci1", ADDRESS, connected=True)
    client = GattClient(
        adapter, ADDRESS, on_notified=lambda _handle, _value: None, on_lost=lambda _error: None, visited=visited
    )
    with pytest.raises(LinkLostError, match="another program"):
        await client.connect()
    await client.disconnect()
    await adapter.end_old_connections({ADDRESS})
    assert bluetoothd.asked("Disconnect") == []


@pytest.mark.parametrize("paired", [False, True])
async def test_what_bluetoothd_can_not_disconnect_it_has_to_forget(
    bluetoothd: BluezDouble, adapter: Adapter, monkeypatch: pytest.MonkeyPatch, *, paired: bool
) -> None:
    monkeypatch.setattr("blupow_proxy.ble.bluez.DISCONNECT_S", 0.2)
    bluetoothd.add_device("hci0", ADDRESS, connected=True, paired=paired)
    bluetoothd.unanswered = {"Disconnect", "RemoveDevice"}
    with pytest.raises(DeadlineExceededError, match="ending an old connection"):
        await adapter.end_old_connection(ADDRESS)
    assert adapter.bluez is not None
    await adapter.bluez[0].ping()
    assert bluetoothd.asked("RemoveDevice") == ([] if paired else ["/org/bluez/hci0"])


async def test_who_is_lost_with_the_adapter_is_not_welcome_any_more(bluetoothd: BluezDouble, adapter: Adapter) -> None:
    assert adapter.bluez is not None
    bluez, _ = adapter.bluez
    client = GattClient(adapter, ADDRESS, on_notified=lambda _handle, _value: None, on_lost=lambda _error: None)
    connecting = asyncio.create_task(client.connect())
    await until(lambda: bool(bluez.welcome) and client in adapter.links)
    bluetoothd.turn_off("hci0")
    await until(lambda: client not in adapter.links)
    await asyncio.wait({connecting})
    await client.disconnect()
    assert not bluez.welcome


async def test_a_user_that_the_bus_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OK 00112233445566778899aabbccddeeff\r\n")
        while b"BEGIN" not in (line := await reader.readline()):
            if b"NEGOTIATE_UNIX_FD" in line:
                writer.write(b"AGREE_UNIX_FD\r\n")
        writer.close()
        await writer.wait_closed()

    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    async with await asyncio.start_unix_server(turn_away, tmp_path / "bus"):
        with pytest.raises(AdapterUnavailableError, match=f"the user with the number {os.getuid()} away"):
            async with Bluez.opened(lambda: None):
                pass
