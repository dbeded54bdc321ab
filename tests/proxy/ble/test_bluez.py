"""A bus that turns away whom it does not know, as dbus-daemon does: by closing the connection without a word."""

import asyncio
import os
from pathlib import Path

import pytest

from blupow_proxy.ble.bluez import Bluez
from blupow_proxy.errors import AdapterUnavailableError


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
