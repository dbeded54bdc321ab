"""Hosts on a network of their own: namespaces, each with a cable to one switch, and no way out."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import subprocess
from typing import Final, Self

PREFIX: Final = "blupow"
_RUN: Final = Path("/run/netns")
_IP: Final = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ip"


class NoNetworkError(Exception):
    """This machine can't make network namespaces; the text says why."""


class Network:
    """A switch, which the host "home" is at the same time, and further hosts that are plugged into it."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._hosts = 0

    def __enter__(self) -> Self:
        """Make the switch."""
        _remove_leftovers()
        home = self._add("home")
        _ip("-n", home, "link", "add", "switch", "type", "bridge")
        self._configure("home", "switch")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everything."""
        for name in self._names.values():
            _ip("netns", "del", name)

    def add(self, host: str) -> str:
        """Plug in another host and return its address."""
        name, home = self._add(host), self._names["home"]
        _ip("-n", home, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", home, "link", "set", host, "master", "switch", "up")
        return self._configure(host, "eth0")

    def command(self, host: str) -> list[str]:
        """Return what runs a command on ``host`` when put before it."""
        return [_IP, "netns", "exec", self._names[host]]

    def set(self, host: str, *arguments: str) -> None:
        """Run `ip` on ``host``."""
        _ip("-n", self._names[host], *arguments)

    def move(self, before: dict[str, str], after: dict[str, str]) -> None:
        """Let hosts have other addresses, at once, as a DHCP server does; the cables stay."""
        for host, address in before.items():
            self.set(host, "addr", "del", f"{address}/24", "dev", "eth0")
        for host, address in after.items():
            self.set(host, "addr", "add", f"{address}/24", "dev", "eth0")
            self.set(host, "route", "replace", "default", "dev", "eth0")  # it goes with the last address
        for name in self._names.values():  # who takes an address tells everybody
            _ip("-n", name, "neigh", "flush", "all")

    def put_behind_a_router(self, host: str) -> str:
        """Take ``host`` from the switch to a network of its own, whose router "home" is; return its new address."""
        home = self._names["home"]
        _ip("-n", home, "link", "set", host, "nomaster")
        _ip("-n", home, "addr", "add", "10.79.0.1/24", "dev", host)
        self.set(host, "addr", "flush", "dev", "eth0")
        self.set(host, "addr", "add", "10.79.0.2/24", "dev", "eth0")
        self.set(host, "route", "replace", "default", "via", "10.79.0.1")
        return "10.79.0.2"

    def cut(self, host: str) -> None:
        """Pull the cable of ``host`` out of the switch."""
        _ip("-n", self._names["home"], "link", "set", host, "down")

    def mend(self, host: str) -> None:
        """Put it in again."""
        _ip("-n", self._names["home"], "link", "set", host, "up")

    @contextmanager
    def entered(self, host: str) -> Iterator[None]:
        """Let this thread, and whatever it starts, be on ``host`` meanwhile."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        namespace = os.open(_RUN / self._names[host], os.O_RDONLY)
        try:
            os.setns(namespace, os.CLONE_NEWNET)
            yield
        finally:
            os.setns(before, os.CLONE_NEWNET)
            os.close(namespace)
            os.close(before)

    def _add(self, host: str) -> str:
        name = f"{PREFIX}-{os.getpid()}-{host}"
        _ip("netns", "add", name)
        self._names[host] = name
        return name

    def _configure(self, host: str, interface: str) -> str:
        self._hosts += 1
        name, address = self._names[host], f"10.77.0.{self._hosts}"
        for family in ("all", "default"):  # one family is enough, and its addresses are there at once
            subprocess.run(
                [*self.command(host), "sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{family}/disable_ipv6"],
                check=False,
                capture_output=True,
            )
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", interface)
        _ip("-n", name, "link", "set", interface, "up")
        _ip("-n", name, "route", "add", "default", "dev", interface)  # what multicast leaves by
        return address


def _ip(*arguments: str) -> None:
    try:
        subprocess.run([_IP, *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise NoNetworkError("there is no `ip` command: install iproute2") from None
    except subprocess.CalledProcessError as error:
        raise NoNetworkError(f"`ip {' '.join(arguments)}` says: {error.stderr.strip()}") from None


def _remove_leftovers() -> None:
    """Remove the hosts of a run that was killed."""
    for path in _RUN.glob(f"{PREFIX}-*-*"):
        pid = path.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            _ip("netns", "del", path.name)
