"""Announcing the proxy by zeroconf, as itself and as an ESPHome device."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import ifaddr
from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException, NotRunningException, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from blupow_proxy.native_api import KeyStore, Mode, NodeInfo

BLUPOW_TYPE: Final = "_blupow._tcp.local."
ESPHOME_TYPE: Final = "_esphomelib._tcp.local."
NOISE: Final = "Noise_NNpsk0_25519_ChaChaPoly_SHA256"
NAME_LENGTH: Final = 31  # ESPHome's limit of a device name
NAMES: Final = 9  # how many names are tried: more than two proxies of one name is a configuration mistake
TXT_BYTES: Final = 255  # of "key=value": its length is one byte
ADDRESSES_S: Final = 5.0  # how soon a new address is announced, or the first one
RETRY_S: Final = 60.0  # with the same addresses as when it failed: zeroconf itself logs each attempt
STOP_S: Final = 2.0  # a goodbye is three packets within half a second
INTERFACES: Final = Path("/sys/class/net")
ROUTES: Final = Path("/proc/self/net")  # not /proc/net: the service's unit leaves nothing but processes in /proc

_LOGGER = logging.getLogger(__name__)

type EsphomePolicy = Literal["auto", "always", "never"]
type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type HostAddress = tuple[str, Address]
"""An address and the interface that has it."""


class Announcer:
    """Keeps the announcements true: of addresses, of encryption, of who may find the ESPHome device."""

    def __init__(
        self,
        info: NodeInfo,
        keys: KeyStore,
        *,
        port: int,
        esphome: EsphomePolicy,
        config_hash: int | None = None,
        companion_seen: bool = False,
        interfaces: Sequence[str] | None = None,
        on_renamed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Announce on ``interfaces`` (addresses; None is all of them), with the hash of the file's configuration.

        Under "auto" the ESPHome device is announced until a companion was seen. When the name is taken on the
        network, ``on_renamed`` gets the one that was taken instead.
        """
        self.port = port
        self.name = info.name
        self._info = info
        self._config_hash = config_hash
        self._keys = keys
        self._esphome = esphome == "always" or (esphome == "auto" and not companion_seen)
        self._withdrawable = esphome == "auto"
        self._interfaces = interfaces
        self._on_renamed = on_renamed
        self._zeroconf: AsyncZeroconf | None = None
        self._announced: dict[str, ServiceInfo] = {}
        self._host: list[HostAddress] = []
        self._addresses: list[str] = []
        self._news = asyncio.Event()
        self._told_name = info.name
        self._warned = False

    async def run(self) -> None:
        """Announce for ever, and keep it true; what nobody foresaw ends it, and it may be run again then."""
        # it warns, with a traceback, of each interface that is not up yet or has no route, and complains of a port that
        # is taken at each attempt: everyday things, which we look after ourselves, and say once
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
        await self._close()  # what a breakdown has left
        loop = asyncio.get_running_loop()
        retry_at = 0.0
        moved = False
        while True:
            self._news.clear()
            # zeroconf skips an IPv6 address that is in its first second, and does not come back to it
            settling = moved
            moved = False
            try:
                moved = self._look()
            except OSError as error:  # for want of a file, say: what is announced stays so
                _LOGGER.debug("Can't look at this host's addresses: %s", error)
            if self._zeroconf is not None or moved or loop.time() >= retry_at:
                retry_at = loop.time() + RETRY_S
                try:
                    await self._make_true(rescan=moved or settling)
                except (OSError, NotRunningException) as error:
                    await self._give_up(_reason(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ADDRESSES_S):
                    await self._news.wait()

    async def stop(self) -> None:
        """Say goodbye once ``run`` was cancelled; takes 2 s at most."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(STOP_S):
                await self._close()

    def update(self) -> None:
        """Announce soon what has changed of the encryption; returns at once, many calls are one announcement."""
        self._news.set()

    def companion_authenticated(self) -> None:
        """Withdraw the ESPHome device soon, if that is the policy: the companion shows everything."""
        if self._withdrawable:
            self._esphome = False
            self._news.set()

    def _look(self) -> bool:
        """Take note of the host's addresses; returns whether they have changed."""
        host = _host_addresses()
        self._addresses = _announceable(host) if self._interfaces is None else list(self._interfaces)
        moved, self._host = host != self._host, host
        return moved

    async def _make_true(self, *, rescan: bool) -> None:
        """Let the network know what is true now."""
        if not self._addresses:
            # zeroconf would fail without any interface, and clients can do nothing with a name that has no address
            await self._give_up("there is none")
        elif self._zeroconf is None:
            # on every interface, also on those whose addresses are not announced: a container hears of us over its
            # bridge, and reaches our address on the network
            self._zeroconf = AsyncZeroconf(
                interfaces=InterfaceChoice.All if self._interfaces is None else list(self._interfaces),
                ip_version=IPVersion.All if self._interfaces is None else IPVersion.V4Only,
            )
            await self._register()
        else:
            if rescan and self._interfaces is None:
                await self._zeroconf.async_update_interfaces()
            await self._refresh()

    async def _give_up(self, why: str) -> None:
        """Wait for a better network, and say so once."""
        if not self._warned:
            self._warned = True
            _LOGGER.warning("Can't announce on this network (%s): add the proxy by its address meanwhile", why)
        await self._close()

    async def _register(self) -> None:
        """Register under the first name that nobody else has."""
        for number in range(1, NAMES + 1):
            self.name = self._info.name if number == 1 else _numbered(self._info.name, number)
            # at once: each takes a second, and clients wait for the one or the other
            outcomes = await asyncio.gather(*map(self._register_type, self._types()), return_exceptions=True)
            failures = [outcome for outcome in outcomes if outcome is not None]
            if any(isinstance(failure, NonUniqueNameException) for failure in failures):
                await self._unregister()
                continue
            if failures:
                raise failures[0]
            self._warned = False
            _LOGGER.info("Announced as %s at %s", self.name, ", ".join(self._addresses))
            if self.name != self._told_name:
                self._told_name = self.name
                if number > 1:
                    _LOGGER.warning("The name %s is taken on this network: using %s", self._info.name, self.name)
                self._on_renamed(self.name)
            return
        await self._give_up(f"the name {self._info.name} and its variants are taken")

    async def _register_type(self, kind: str) -> None:
        assert self._zeroconf is not None  # noqa: S101 - called while announcing
        service = self._service(kind)
        broadcast = await self._zeroconf.async_register_service(service)
        self._announced[kind] = service
        await broadcast

    async def _unregister(self) -> None:
        await asyncio.gather(*map(self._unregister_type, list(self._announced)))

    async def _unregister_type(self, kind: str) -> None:
        assert self._zeroconf is not None  # noqa: S101 - called while announcing
        await (await self._zeroconf.async_unregister_service(self._announced.pop(kind)))

    async def _refresh(self) -> None:
        """Announce anew what differs from what is announced, and nothing else."""
        for kind in self._announced.keys() - self._types():
            await self._unregister_type(kind)
            _LOGGER.info("A companion is connected: the ESPHome device is no longer announced")
        await asyncio.gather(*map(self._refresh_type, list(self._announced)))

    async def _refresh_type(self, kind: str) -> None:
        assert self._zeroconf is not None  # noqa: S101 - called while announcing
        service, before = self._service(kind), self._announced[kind]
        addresses = service.parsed_addresses()
        if service.text == before.text and addresses == before.parsed_addresses():
            return
        _LOGGER.info("Announced anew: %s at %s", kind.removesuffix(".local."), ", ".join(addresses))
        self._announced[kind] = service
        await (await self._zeroconf.async_update_service(service))

    async def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        self._announced.clear()
        if zeroconf is not None:
            await zeroconf.async_close()  # with a goodbye

    def _types(self) -> list[str]:
        return [BLUPOW_TYPE, *([ESPHOME_TYPE] if self._esphome else [])]

    def _service(self, kind: str) -> ServiceInfo:
        return ServiceInfo(
            kind,
            f"{self.name}.{kind}",
            port=self.port,
            properties={key: _txt_value(key, value) for key, value in self._properties().items()},
            server=f"{self.name}.local.",
            parsed_addresses=self._addresses,
        )

    def _properties(self) -> dict[str, str]:
        info = self._info
        properties = {
            "friendly_name": info.friendly_name,
            "version": info.esphome_version,
            **({} if self._config_hash is None else {"config_hash": f"{self._config_hash:08x}"}),
            "mac": info.mac_digits,
            "platform": "host",
            "board": "host",
            "network": _network(),
            "project_name": info.project_name,
            "project_version": info.project_version,
        }
        match self._keys.mode:
            case Mode.ENCRYPTED:
                properties["api_encryption"] = NOISE
            case Mode.PROVISIONING:
                properties["api_encryption_supported"] = NOISE
                properties["api_provisioning"] = "zero-psk"
            case Mode.CLOSED:
                properties["api_encryption_supported"] = NOISE
            case Mode.PLAINTEXT:
                pass
        return properties


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "another program has UDP port 5353 for itself; of Avahi, that is disallow-other-stacks=yes"
    return str(error) or type(error).__name__


def _numbered(name: str, number: int) -> str:
    suffix = f"-{number}"
    return name[: NAME_LENGTH - len(suffix)].rstrip("-") + suffix


def _txt_value(key: str, value: str) -> str:
    """Return as much of ``value`` as a TXT record holds beside ``key``."""
    room = TXT_BYTES - len(f"{key}=".encode())
    return value.encode(errors="replace")[:room].decode(errors="ignore")


def _host_addresses() -> list[HostAddress]:
    """Return every address of this host, IPv4 first."""
    found = {
        # an IPv4 address may have a label for its interface's name, such as eth0:1
        (adapter.name.split(":")[0], ipaddress.ip_address(str(ip.ip if ip.is_IPv4 else ip.ip[0])))
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    return sorted(found, key=lambda item: (item[1].version, int(item[1]), item[0]))


def _announceable(host: Sequence[HostAddress], interfaces: Path = INTERFACES, routes: Path = ROUTES) -> list[str]:
    """Return the addresses of ``host`` at which the network reaches it; every one if there are only virtual interfaces.

    Home Assistant takes whichever it hears last: that of a container bridge or a VPN would lead it nowhere.
    """
    default = _default_interfaces(routes)
    outside = [item for item in host if not item[1].is_loopback]
    chosen = [item for item in outside if item[0] in default or _is_physical(interfaces / item[0])] or outside
    addresses = list(dict.fromkeys(address for _, address in chosen))
    # A link-local address holds on one interface only, and an AAAA record can't say on which: Home Assistant skips it,
    # aioesphomeapi tries it first and fails. Without any other it is all there is, as on a cable between two hosts.
    routable = [address for address in addresses if not address.is_link_local]
    return [str(address) for address in routable or addresses]


def _is_physical(interface: Path) -> bool:
    """Whether an interface is hardware, or a bridge, bond or VLAN on top of it."""
    return (interface / "device").exists() or any(
        _is_physical(interface.parent / lower.name.removeprefix("lower_")) for lower in interface.glob("lower_*")
    )


def _default_interfaces(routes: Path) -> set[str]:
    """Return the interfaces that have a default route."""
    found = set()
    with contextlib.suppress(OSError):
        for line in (routes / "route").read_text("ascii").splitlines()[1:]:
            interface, destination, *_, mask = line.split()[:8]
            if destination == mask == "00000000":  # a VPN's 0.0.0.0/1 is none
                found.add(interface)
    with contextlib.suppress(OSError):
        for line in (routes / "ipv6_route").read_text("ascii").splitlines():
            destination, prefix, *_, interface = line.split()
            if destination.strip("0") == "" and prefix == "00":
                found.add(interface)
    return found


def _network(interfaces: Path = INTERFACES, routes: Path = ROUTES) -> str:
    """Return "wifi" when a default route goes over Wi-Fi."""
    wireless = any((interfaces / interface / "wireless").exists() for interface in _default_interfaces(routes))
    return "wifi" if wireless else "ethernet"
