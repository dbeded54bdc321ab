"""What can be asked of the guest, from outside or inside: processes to start and signal, faults to happen around it."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any, Final

GUEST: Final = Path(__file__).resolve().with_name("guest")
PYTHON: Final = GUEST.parents[2] / ".venv" / "bin" / "python"
"""Of the proxy: whoever asks may run in another environment."""
AGENT_PORT: Final = 7000
ROOM_PORT: Final = 7001
ANSWER_BYTES: Final = 16 << 20  # a peripheral tells all that was ever written to it
READY_S: Final = 60.0  # it takes five on a PC
UNITS: Final = {
    "Rover": "C4:D3:6A:00:00:01",
    "Charger": "C4:D3:6A:00:00:02",
    "Battery": "C4:D3:6A:00:00:03",
    "Inverter": "D8:B6:73:00:00:04",
    "Shunt": "4C:E1:74:00:00:05",
}
"""The demo's, address by name."""
ADAPTER: Final = "B8:27:EB:00:00:01"  # the first
KEY: Final = "dGhlIGtleSBvZiB0aGUgcmVhbCBCbHVlWiEhISEhISE="
BLUETOOTHD: Final = ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd")


class NoRigError(Exception):
    """This machine can't have the guest; the text says why."""


def bluetoothd() -> str:
    """Return the real bluetoothd; NoRigError."""
    for path in BLUETOOTHD:
        if os.access(path, os.X_OK):
            return path
    raise NoRigError("there is no bluetoothd: install bluez")


class Machine:
    """The guest, its adapters and the units around it; everything in it is a process that can be signalled by name."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        """Keep everything in ``folder``; reach the guest at ``host``."""
        self.folder = folder
        self.pids: dict[str, int] = {}
        self._host = host

    async def answers(self) -> bool:
        """Whether the agent is there."""
        try:
            await self.agent("run", argv=["true"], timeout=5.0)
        except OSError:
            return False
        return True

    async def agent(self, op: str, **order: Any) -> dict[str, Any]:
        """Let the agent start, signal or watch a process."""
        return await self._tell(AGENT_PORT, op, order)

    async def room(self, op: str, **order: Any) -> dict[str, Any]:
        """Change what is around the guest, or ask about it."""
        return await self._tell(ROOM_PORT, op, order)

    async def start(self, name: str, *argv: object, **env: str) -> None:
        """Start a process; what it prints is in ``log(name)``."""
        self.pids[name] = (await self.agent("start", name=name, argv=[str(one) for one in argv], env=env))["pid"]

    async def signal(self, name: str, number: int) -> None:
        """Signal a process."""
        await self.agent("signal", name=name, number=number)

    async def wait(self, name: str, timeout_s: float) -> int | None:
        """Return how a process has ended; None when it has not in time."""
        code: int | None = (await self.agent("wait", name=name, timeout=timeout_s))["code"]
        return code

    async def run(self, *argv: object, timeout_s: float = 10.0) -> str:
        """Return what a command prints."""
        output: str = (await self.agent("run", argv=[str(one) for one in argv], timeout=timeout_s))["output"]
        return output

    def log(self, name: str) -> str:
        """Return what a process has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    async def populate(self, *, adapters: int, units: str, speed: float = 1.0) -> None:
        """Bring up the bus, adapters, units and bluetoothd, until every adapter is powered."""
        await self.start_bus()
        await self.start("room", PYTHON, GUEST / "room.py", "--adapters", adapters, "--units", units, "--speed", speed)
        await self.until(lambda: self._has_printed("room", "ready"), "that the room is there")
        await self.start_bluetoothd()
        for number in range(adapters):
            await self.until(lambda number=number: self.is_powered(f"hci{number}"), f"that hci{number} is powered")

    async def adapter_of(self, address: str) -> str:
        """Return what the adapter of this address is called now."""
        adapters = (await self.room("state"))["adapters"]
        return next(name for name, adapter in adapters.items() if adapter["address"] == address)

    async def start_bus(self) -> None:
        """Start D-Bus, for the first time or again."""
        await self.start("dbus", "dbus-daemon", "--system", "--nofork", "--nopidfile")
        await self.until(self._bus_answers, "for the bus")

    async def _bus_answers(self) -> bool:
        return "org.freedesktop.DBus" in await self.run("busctl", "--system", "list", "--no-pager")

    async def start_bluetoothd(self) -> None:
        """Start bluetoothd, for the first time or again."""
        await self.start("bluetoothd", bluetoothd(), "-n")

    async def is_powered(self, adapter: str) -> bool:
        """Whether an adapter is known to bluetoothd and powered, which is asked for."""
        where = ("org.bluez", f"/org/bluez/{adapter}", "org.bluez.Adapter1", "Powered")
        answer = await self.run("busctl", "--system", "get-property", *where)
        if "false" in answer:
            await self.run("busctl", "--system", "set-property", *where, "b", "true")
        return "true" in answer

    async def until(self, condition: Any, what: str, timeout_s: float = READY_S) -> None:
        """Wait for a condition, which may be asked anew; TimeoutError says ``what`` did not come."""
        end = time.monotonic() + timeout_s
        while not await condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:.0f} s in vain {what}; see {self.folder}")
            await asyncio.sleep(0.1)

    async def _has_printed(self, name: str, text: str) -> bool:
        return text in self.log(name)

    async def _tell(self, port: int, op: str, order: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(3.0):
            reader, writer = await asyncio.open_connection(self._host, port, limit=ANSWER_BYTES)
        try:
            writer.write(json.dumps({"op": op} | order).encode() + b"\n")
            async with asyncio.timeout(order.get("timeout", 10.0) + 5.0):
                line = await reader.readline()
        finally:
            writer.close()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{op} {order}: {answer['error']}")
        return answer
