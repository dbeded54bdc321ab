"""Announcing the proxy by zeroconf, as itself and as an ESPHome device."""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import ifaddr
from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from blupow_proxy.native_api import KeyStore, Mode, NodeInfo

BLUPOW_TYPE: Final = "_blupow._tcp.local."
ESPHOME_TYPE: Final = "_esphomelib._tcp.local."
NOISE: Final = "Noise_NNpsk0_25519_ChaChaPoly_SHA256"
NAME_LENGTH: Final = 31  # ESPHome's limit of a device name
NAMES: Final = 9  # how many names are tried: more than two proxies of one name is a configuration mistake
ADDRESSES_S: Final = 5.0  # how soon a new address is announced
RETRY_S: Final = 60.0  # without a network
STOP_S: Final = 2.0  # a goodbye is three packets within half a second

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
        companion_seen: bool = False,
        interfaces: Sequence[str] | None = None,
        on_renamed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Announce on ``interfaces`` (addresses; None is all of them).

        Under "auto" the ESPHome device is announced until a companion was seen. When the name is taken on the
        network, ``on_renamed`` gets the one that was taken instead.
        """
        self.port = port
        self.name = info.name
        self._info = info
        self._keys = keys
        self._esphome = esphome == "always" or (esphome == "auto" and not companion_seen)
        self._withdrawable = esphome == "auto"
        self._interfaces = interfaces
        self._on_renamed = on_renamed
        self._zeroconf: AsyncZeroconf | None = None
        self._announced: dict[str, ServiceInfo] = {}
        self._addresses: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._warned = False
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Announce, and keep doing so; without a network, try again each minute."""
        async with self._lock:
            await self._announce()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Say goodbye; takes 2 s at most."""
        if self._task is not None:
            self._task.cancel()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(STOP_S):
                await self._close()

    async def update(self) -> None:
        """Announce what has changed of the encryption."""
        async with self._lock:
            await self._refresh()

    async def companion_authenticated(self) -> None:
        """Withdraw the ESPHome device, if that is the policy: the companion shows everything."""
        async with self._lock:
            if not self._withdrawable or not self._esphome:
                return
            self._esphome = False
            announced = self._announced.pop(ESPHOME_TYPE, None)
            if announced is not None and self._zeroconf is not None:
                await (await self._zeroconf.async_unregister_service(announced))
                _LOGGER.info("A companion is connected: the ESPHome device is no longer announced")

    async def _announce(self) -> None:
        self._addresses = _addresses(self._interfaces)
        try:
            self._zeroconf = AsyncZeroconf(
                interfaces=InterfaceChoice.All if self._interfaces is None else list(self._interfaces),
                ip_version=IPVersion.All if self._interfaces is None else IPVersion.V4Only,
            )
            await self._register()
        except OSError as error:
            if not self._warned:
                self._warned = True
                _LOGGER.warning("Can't announce on this network (%s): add the proxy by its address meanwhile", error)
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
            if number > 1:
                _LOGGER.warning("The name %s is taken on this network: using %s", self._info.name, self.name)
                self._on_renamed(self.name)
            return
        _LOGGER.warning("The name %s and its variants are taken on this network: not announced", self._info.name)

    async def _register_type(self, kind: str) -> None:
        assert self._zeroconf is not None  # noqa: S101 - called while announcing
        service = self._service(kind)
        broadcast = await self._zeroconf.async_register_service(service)
        self._announced[kind] = service
        await broadcast

    async def _unregister(self) -> None:
        announced = list(self._announced.values())
        self._announced.clear()
        for service in announced:
            if self._zeroconf is not None:
                await (await self._zeroconf.async_unregister_service(service))

    async def _refresh(self) -> None:
        if self._zeroconf is None:
            return
        for kind in list(self._announced):
            service = self._service(kind)
            self._announced[kind] = service
            await (await self._zeroconf.async_update_service(service))

    async def _follow(self) -> None:
        """Announce new addresses; announce at all once there is a network."""
        while True:
            await asyncio.sleep(RETRY_S if self._zeroconf is None else ADDRESSES_S)
            async with self._lock:
                try:
                    if self._zeroconf is None:
                        await self._announce()
                    elif (current := _addresses(self._interfaces)) != self._addresses:
                        self._addresses = current
                        _LOGGER.info("Addresses changed: %s", ", ".join(current) or "none")
                        if self._interfaces is None:
                            await self._zeroconf.async_update_interfaces()
                        await self._refresh()
                except OSError as error:
                    _LOGGER.debug("%s", error)

    async def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        self._announced.clear()
        if zeroconf is not None:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()

    def _types(self) -> list[str]:
        return [BLUPOW_TYPE, *([ESPHOME_TYPE] if self._esphome else [])]

    def _service(self, kind: str) -> ServiceInfo:
        return ServiceInfo(
            kind,
            f"{self.name}.{kind}",
            port=self.port,
            properties=dict(self._properties()),
            server=f"{self.name}.local.",
            parsed_addresses=self._addresses,
        )

    def _properties(self) -> dict[str, str]:
        info = self._info
        properties = {
            "friendly_name": info.friendly_name,
            "version": info.esphome_version,
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


def _numbered(name: str, number: int) -> str:
    suffix = f"-{number}"
    return name[: NAME_LENGTH - len(suffix)].rstrip("-") + suffix


def _addresses(interfaces: Sequence[str] | None) -> list[str]:
    return _announceable(_host_addresses()) if interfaces is None else list(interfaces)


def _host_addresses() -> list[HostAddress]:
    """Return every address of this host, IPv4 first."""
    found = {
        # an IPv4 address may have a label for its interface's name, such as eth0:1
        (adapter.name.split(":")[0], ipaddress.ip_address(str(ip.ip if ip.is_IPv4 else ip.ip[0])))
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    return sorted(found, key=lambda item: (item[1].version, int(item[1]), item[0]))


def _announceable(
    host: Sequence[HostAddress], interfaces: Path = Path("/sys/class/net"), routes: Path = Path("/proc/net")
) -> list[str]:
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


def _network(interfaces: Path = Path("/sys/class/net"), routes: Path = Path("/proc/net")) -> str:
    """Return "wifi" when a default route goes over Wi-Fi."""
    wireless = any((interfaces / interface / "wireless").exists() for interface in _default_interfaces(routes))
    return "wifi" if wireless else "ethernet"
