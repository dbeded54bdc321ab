"""A machine with a real BlueZ: a small Linux that runs on this machine's files, beside it on a network of their own."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
GUEST: Final = Path(__file__).resolve().with_name("guest")
ADDRESS: Final = "10.77.9.2"
GATEWAY: Final = "10.77.9.1"
AGENT_PORT: Final = 7000
ROOM_PORT: Final = 7001
READY_S: Final = 60.0  # it takes five on a PC
POWERED_OFF_S: Final = 10.0
MEMORY: Final = "512M"
BLUETOOTHD: Final = ("/usr/libexec/bluetooth/bluetoothd", "/usr/lib/bluetooth/bluetoothd")
_IP: Final = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ip"


class NoRigError(Exception):
    """This machine can't have the guest; the text says why."""


def bluetoothd() -> str:
    """Return the real bluetoothd; NoRigError."""
    for path in BLUETOOTHD:
        if os.access(path, os.X_OK):
            return path
    raise NoRigError("there is no bluetoothd: install bluez")


def kernel() -> str:
    """Return the guest's kernel, which is built when there is none; NoRigError."""
    if os.geteuid():
        raise NoRigError("it needs root")
    done = subprocess.run([GUEST / "kernel"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise NoRigError("its kernel could not be built")
    return done.stdout.strip()


class Rig:
    """The guest, its adapters and the units around it; everything in it is a process that can be signalled by name."""

    def __init__(self, folder: Path) -> None:
        """Keep everything in ``folder``, which the guest sees as well."""
        self.folder = folder
        self.pids: dict[str, int] = {}
        self._namespace = f"blupow-{os.getpid()}-rig"
        self._guest: asyncio.subprocess.Process | None = None
        self._outside = -1

    async def __aenter__(self) -> Self:
        """Boot, and be at the other end of the guest's cable until the end: this thread, and whatever it starts."""
        bluetoothd()
        linux = kernel()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_network()
        options = {"folder": self.folder, "python": sys.executable, "address": ADDRESS, "gateway": GATEWAY}
        with (self.folder / "console.log").open("wb") as console:
            self._guest = await asyncio.create_subprocess_exec(
                *(_IP, "netns", "exec", self._namespace, linux, f"mem={MEMORY}"),
                *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={GUEST / 'init'}"),
                *("con=null", "con0=null,fd:1", "ssl=null", "vec0:transport=tap,ifname=rig,depth=64,gro=0"),
                *(f"guest.{name}={value}" for name, value in options.items()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        try:
            await self._ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Power off."""
        if self._guest is not None:
            with contextlib.suppress(OSError):
                await self.agent("end")
            try:
                await asyncio.wait_for(self._guest.wait(), POWERED_OFF_S)
            except TimeoutError:
                os.killpg(self._guest.pid, signal.SIGKILL)
                await self._guest.wait()
        if self._outside >= 0:
            os.setns(self._outside, os.CLONE_NEWNET)
            os.close(self._outside)
        _ip("netns", "del", self._namespace, check=False)

    # what the guest does

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
        await self.start(
            "room", sys.executable, GUEST / "room.py", "--adapters", adapters, "--units", units, "--speed", speed
        )
        await self.until(lambda: self._has_printed("room", "ready"), "that the room is there")
        await self.start_bluetoothd()
        for number in range(adapters):
            await self.until(lambda number=number: self.is_powered(f"hci{number}"), f"that hci{number} is powered")

    async def start_bus(self) -> None:
        """Start D-Bus, for the first time or again."""
        await self.start("dbus", "dbus-daemon", "--system", "--nofork", "--nopidfile")

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

    async def _ready(self) -> None:
        async def answers() -> bool:
            assert self._guest is not None
            if self._guest.returncode is not None:
                raise NoRigError(f"the guest did not start; see {self.folder / 'console.log'}")
            try:
                await self.agent("run", argv=["true"], timeout=5.0)
            except OSError:
                return False
            return True

        await self.until(answers, "that the guest answers")

    async def _tell(self, port: int, op: str, order: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(3.0):
            reader, writer = await asyncio.open_connection(ADDRESS, port)
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

    def _make_network(self) -> None:
        name = self._namespace
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "tuntap", "add", "dev", "rig", "mode", "tap")
        _ip("-n", name, "addr", "add", f"{GATEWAY}/24", "dev", "rig")
        _ip("-n", name, "link", "set", "rig", "up", "multicast", "on")
        _ip("-n", name, "route", "add", "default", "dev", "rig")  # what multicast leaves by
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/run/netns/{name}", os.O_RDONLY)
        os.setns(inside, os.CLONE_NEWNET)
        os.close(inside)


@contextlib.asynccontextmanager
async def booted(folder: Path) -> AsyncIterator[Rig]:
    """A guest for tests, with nothing in it yet; they are skipped where there can be none, unless in CI."""
    rig = Rig(folder)
    try:
        await rig.__aenter__()
    except NoRigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no real BlueZ here: {error}")
    try:
        yield rig
    finally:
        await rig.__aexit__()


def _ip(*arguments: str, check: bool = True) -> None:
    try:
        subprocess.run([_IP, *arguments], check=check, capture_output=True, text=True)
    except FileNotFoundError:
        raise NoRigError("there is no `ip` command: install iproute2") from None
    except subprocess.CalledProcessError as error:
        raise NoRigError(f"`ip {' '.join(arguments)}` says: {error.stderr.strip()}") from None
