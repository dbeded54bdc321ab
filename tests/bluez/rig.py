"""A machine with a real BlueZ: a small Linux that runs on this machine's files, beside it on a network of their own."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, Self

import pytest
from machine import GUEST, PYTHON, Machine, NoRigError, bluetoothd

ROOT: Final = Path(__file__).resolve().parents[2]
ADDRESS: Final = "10.77.9.2"
GATEWAY: Final = "10.77.9.1"
POWERED_OFF_S: Final = 10.0
MEMORY: Final = "512M"
_IP: Final = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ip"


def kernel() -> list[str]:
    """Return the words that start the guest's kernel, which is built when there is none; NoRigError."""
    if os.geteuid():
        raise NoRigError("it needs root")
    done = subprocess.run([GUEST / "kernel"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise NoRigError("its kernel could not be built")
    return done.stdout.splitlines()


class Rig(Machine):
    """The guest, booted and reached from outside."""

    def __init__(self, folder: Path) -> None:
        """Keep everything in ``folder``, which the guest sees as well."""
        super().__init__(folder, ADDRESS)
        self._namespace = f"blupow-{os.getpid()}-rig"
        self._guest: asyncio.subprocess.Process | None = None
        self._outside = -1

    async def __aenter__(self) -> Self:
        """Boot, and be at the other end of the guest's cable until the end: this thread, and whatever it starts."""
        bluetoothd()
        linux = kernel()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_network()
        self._guest = await _boot(
            self.folder,
            *("vec0:transport=tap,ifname=rig,depth=64,gro=0", f"guest.address={ADDRESS}", f"guest.gateway={GATEWAY}"),
            launcher=(_IP, "netns", "exec", self._namespace),
            linux=linux,
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

    async def _ready(self) -> None:
        async def answers() -> bool:
            assert self._guest is not None
            if self._guest.returncode is not None:
                raise NoRigError(f"the guest did not start; see {self.folder / 'console.log'}")
            return await self.answers()

        await self.until(answers, "that the guest answers")

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


async def run_inside(folder: Path, *program: object, virtual_time: bool) -> int:
    """Run a Python program in a guest without a network, until it ends; return how. In ``virtual_time`` no one idles.

    What it prints goes to ``main.log`` of ``folder``, which has to be there; NoRigError.
    """
    bluetoothd()
    linux = kernel()
    warp = ("time-travel",) if virtual_time else ()
    words = [str(word) for word in program]
    (folder / "main.args").write_text("\n".join(words))
    guest = await _boot(folder, *warp, f"guest.main={folder / 'main.args'}", launcher=(), linux=linux)
    try:
        await guest.wait()
    finally:
        if guest.returncode is None:
            os.killpg(guest.pid, signal.SIGKILL)
            await guest.wait()
    return int((folder / "main.code").read_text())


async def _boot(
    folder: Path, *options: str, launcher: Sequence[str], linux: Sequence[str]
) -> asyncio.subprocess.Process:
    with (folder / "console.log").open("wb") as console:
        return await asyncio.create_subprocess_exec(
            *(*launcher, *linux, f"mem={MEMORY}"),
            *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={GUEST / 'init'}"),
            *("con=null", "con0=null,fd:1", "ssl=null", f"guest.folder={folder}", f"guest.python={PYTHON}"),
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )


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
