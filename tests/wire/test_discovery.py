"""The announcements as real zeroconf, and the real client, see them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from aioesphomeapi import APIClient
from aioesphomeapi.reconnect_logic import ReconnectLogic
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from blupow_proxy import discovery
from blupow_proxy.discovery import BLUPOW_TYPE, ESPHOME_TYPE, NOISE, Announcer
from blupow_proxy.native_api import Mode, Node, NodeInfo
from blupow_proxy.server import ApiServer

LOOPBACK = ["127.0.0.1"]
SEEN_S = 8.0
INFO = NodeInfo(
    name="disco-shed",
    friendly_name="Disco shed",
    mac="02:AA:BB:CC:DD:EE",
    model="Raspberry Pi",
    manufacturer="BluPow",
    esphome_version="2026.10.0",
    project_name="blupow.renogy-proxy",
    project_version="0.1.0",
)


class Keys:
    """A key store whose mode the test sets."""

    def __init__(self, mode: Mode = Mode.PLAINTEXT) -> None:
        self.mode = mode
        self.key = bytes(range(32)) if mode is Mode.ENCRYPTED else None
        self.changeable = mode is not Mode.PLAINTEXT

    def store(self, _: bytes | None) -> bool:
        return False


class Listener:
    """What a browser on this machine sees."""

    def __init__(self, browser: AsyncZeroconf) -> None:
        self.zeroconf = browser
        self.seen: set[tuple[str, str]] = set()
        self._news = asyncio.Event()

    def changed(self, zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        item = (service_type, name.removesuffix("." + service_type))
        if state_change is ServiceStateChange.Removed:
            self.seen.discard(item)
        else:
            self.seen.add(item)
        self._news.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(SEEN_S):
            while not condition(self.seen):
                self._news.clear()
                await self._news.wait()

    async def service(self, kind: str, name: str) -> AsyncServiceInfo:
        info = AsyncServiceInfo(kind, f"{name}.{kind}")
        assert await info.async_request(self.zeroconf.zeroconf, 3000)
        return info


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    zeroconf = AsyncZeroconf(interfaces=LOOPBACK)
    listener = Listener(zeroconf)
    browser = AsyncServiceBrowser(zeroconf.zeroconf, [BLUPOW_TYPE, ESPHOME_TYPE], handlers=[listener.changed])
    try:
        yield listener
    finally:
        await browser.async_cancel()
        await zeroconf.async_close()


@asynccontextmanager
async def announced(name: str, keys: Keys | None = None, **options) -> AsyncIterator[Announcer]:
    options.setdefault("esphome", "auto")
    announcer = Announcer(
        replace(INFO, name=name), keys or Keys(), port=options.pop("port", 6053), interfaces=LOOPBACK, **options
    )
    await announcer.start()
    try:
        yield announcer
    finally:
        await announcer.stop()


async def test_records_withdrawal_and_goodbye() -> None:
    async with listening() as listener:
        async with announced("disco-one", port=6077) as announcer:
            both = {(BLUPOW_TYPE, "disco-one"), (ESPHOME_TYPE, "disco-one")}
            await listener.until(lambda seen: both <= seen)
            for kind in (BLUPOW_TYPE, ESPHOME_TYPE):
                service = await listener.service(kind, "disco-one")
                assert service.port == 6077
                assert service.server == "disco-one.local."
                assert service.parsed_addresses() == LOOPBACK
                assert service.decoded_properties == {
                    "friendly_name": "Disco shed",
                    "version": "2026.10.0",
                    "mac": "02aabbccddee",
                    "platform": "host",
                    "board": "host",
                    "network": service.decoded_properties["network"],
                    "project_name": "blupow.renogy-proxy",
                    "project_version": "0.1.0",
                }
                assert service.decoded_properties["network"] in ("wifi", "ethernet")
            await announcer.companion_authenticated()
            await listener.until(lambda seen: seen & both == {(BLUPOW_TYPE, "disco-one")})
            await announcer.companion_authenticated()
        await listener.until(lambda seen: not seen & both)


@pytest.mark.parametrize(
    ("policy", "companion_seen", "esphome"),
    [("auto", True, False), ("never", False, False), ("always", True, True)],
)
async def test_policies(policy: str, companion_seen: bool, esphome: bool) -> None:
    name = f"disco-{policy}"
    async with listening() as listener, announced(name, esphome=policy, companion_seen=companion_seen) as announcer:
        await listener.until(lambda seen: (BLUPOW_TYPE, name) in seen)
        if esphome:
            await listener.until(lambda seen: (ESPHOME_TYPE, name) in seen)
            await announcer.companion_authenticated()
        assert ((ESPHOME_TYPE, name) in listener.seen) is esphome


async def test_what_is_said_of_encryption_follows_the_key() -> None:
    keys = Keys(Mode.PROVISIONING)
    expected = {
        Mode.PROVISIONING: {"api_encryption_supported": NOISE, "api_provisioning": "zero-psk"},
        Mode.CLOSED: {"api_encryption_supported": NOISE},
        Mode.ENCRYPTED: {"api_encryption": NOISE},
    }
    async with announced("disco-key", keys) as announcer:
        for mode, properties in expected.items():
            keys.mode = mode
            await announcer.update()
            async with listening() as listener:
                service = await listener.service(BLUPOW_TYPE, "disco-key")
                found = {key: value for key, value in service.decoded_properties.items() if key.startswith("api_")}
                assert found == properties


async def test_a_taken_name_is_changed_and_said(caplog: pytest.LogCaptureFixture) -> None:
    names: list[str] = []
    async with (
        announced("disco-a-name-of-thirty-one-char", esphome="never"),
        announced("disco-a-name-of-thirty-one-char", on_renamed=names.append) as second,
        listening() as listener,
    ):
        assert names == [second.name] == ["disco-a-name-of-thirty-one-ch-2"]
        assert "is taken on this network" in caplog.text
        await listener.until(lambda seen: (ESPHOME_TYPE, second.name) in seen)


async def test_a_new_address_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ADDRESSES_S", 0.05)
    addresses = ["127.0.0.1"]
    monkeypatch.setattr(discovery, "_addresses", lambda _: list(addresses))
    async with listening() as listener, announced("disco-move"):
        first = await listener.service(BLUPOW_TYPE, "disco-move")
        assert first.parsed_addresses() == ["127.0.0.1"]
        listener.seen.clear()
        addresses.append("127.0.0.2")
        await listener.until(lambda seen: (BLUPOW_TYPE, "disco-move") in seen)
        moved = await listener.service(BLUPOW_TYPE, "disco-move")
        assert sorted(moved.parsed_addresses()) == addresses


async def test_without_a_network_it_warns_once_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "RETRY_S", 0.01)
    real, failures = discovery.AsyncZeroconf, iter(range(3))

    def unreachable(**options):
        if next(failures, None) is not None:
            raise OSError(101, "Network is unreachable")
        return real(**options)

    monkeypatch.setattr(discovery, "AsyncZeroconf", unreachable)
    async with announced("disco-late"), listening() as listener:
        await listener.until(lambda seen: (BLUPOW_TYPE, "disco-late") in seen)
    assert caplog.text.count("Can't announce") == 1


IPV6_ROUTE = (
    "{destination} {prefix} " + "0" * 32 + " 00 " + "0" * 32 + " 00000400 00000001 00000000 00000001 {name:>8}\n"
)


@pytest.fixture
def host(tmp_path: Path) -> "Host":
    return Host(tmp_path)


class Host:
    """Interfaces and routes as Linux shows them."""

    def __init__(self, folder: Path) -> None:
        self.interfaces, self.routes = folder / "net", folder / "proc"
        self.interfaces.mkdir()
        self.routes.mkdir()
        self.addresses: list[tuple[str, str]] = [("lo", "127.0.0.1"), ("lo", "::1")]
        self.route4(), self.route6()

    def add(self, name: str, *addresses: str, hardware: bool = False, wireless: bool = False, on: str = "") -> None:
        (self.interfaces / name).mkdir()
        if hardware:
            (self.interfaces / name / "device").mkdir()
        if wireless:
            (self.interfaces / name / "wireless").mkdir()
        if on:
            (self.interfaces / name / f"lower_{on}").symlink_to(self.interfaces / on)
        self.addresses += [(name, address) for address in addresses]

    def route4(self, *routes: tuple[str, str, str]) -> None:
        lines = [f"{name}\t{to}\t0101A8C0\t0003\t0\t0\t0\t{mask}\t0\t0\t0   \n" for name, to, mask in routes]
        (self.routes / "route").write_text("Iface\tDestination\tGateway \tFlags\t\n" + "".join(lines))

    def route6(self, *routes: tuple[str, str, str]) -> None:
        lines = [IPV6_ROUTE.format(name=name, destination=to, prefix=prefix) for name, to, prefix in routes]
        (self.routes / "ipv6_route").write_text("".join(lines))

    def announceable(self) -> list[str]:
        addresses = [(name, ip_address(address)) for name, address in self.addresses]
        return discovery._announceable(addresses, self.interfaces, self.routes)

    def network(self) -> str:
        return discovery._network(self.interfaces, self.routes)


def test_neither_containers_nor_vpns_nor_loopback_are_announced(host: Host) -> None:
    host.add("eth0", "192.168.1.5", "2001:db8::5", hardware=True)
    host.add("wlan0", "192.168.1.6", hardware=True, wireless=True)
    host.add("veth1", "fe80::1")
    host.add("docker0", "172.17.0.1", "fe80::2", on="veth1")
    host.add("wg0", "10.8.0.2")
    host.add("tun0", "10.9.0.2")
    host.route4(("eth0", "00000000", "00000000"), ("tun0", "00000000", "00000080"), ("docker0", "000011AC", "0000FFFF"))
    assert host.announceable() == ["192.168.1.5", "2001:db8::5", "192.168.1.6"]
    assert host.network() == "ethernet"


@pytest.mark.parametrize("family", [4, 6])
def test_a_default_route_makes_an_interface_a_way_to_us(host: Host, family: int) -> None:
    host.add("veth0", "172.20.0.3", "fd00::3")
    host.add("docker0", "172.17.0.1")
    if family == 4:
        host.route4(("veth0", "00000000", "00000000"))
    else:
        host.route6(("veth0", "0" * 32, "00"), ("docker0", "fe80" + "0" * 28, "40"), ("lo", "0" * 32, "00"))
    assert host.announceable() == ["172.20.0.3", "fd00::3"]


def test_a_bridge_or_vlan_on_hardware_counts_as_hardware(host: Host) -> None:
    host.add("eth0", "fe80::5", hardware=True)
    host.add("bond0", on="eth0")
    host.add("br0", "192.168.1.5", on="bond0")
    host.add("br0.20", "192.168.20.5", on="br0")
    host.add("virbr0", "192.168.122.1")
    assert host.announceable() == ["192.168.1.5", "192.168.20.5"]


def test_virtual_interfaces_are_better_than_none(host: Host) -> None:
    assert host.announceable() == []
    host.add("eth0", hardware=True)
    host.add("veth0", "172.20.0.3", "fe80::3")
    assert host.announceable() == ["172.20.0.3"]


def test_link_local_addresses_are_better_than_none(host: Host) -> None:
    host.add("eth0", "169.254.1.2", "fe80::3", hardware=True)
    host.add("docker0", "172.17.0.1")
    assert host.announceable() == ["169.254.1.2", "fe80::3"]
    host.add("wlan0", "fd00::5", hardware=True)
    assert host.announceable() == ["fd00::5"]


def test_a_host_that_shows_no_routes(host: Host) -> None:
    (host.routes / "route").unlink()
    (host.routes / "ipv6_route").unlink()
    host.add("wlan0", "192.168.1.6", hardware=True, wireless=True)
    assert host.announceable() == ["192.168.1.6"]
    assert host.network() == "ethernet"
    host.route4(("wlan0", "00000000", "00000000"))
    assert host.network() == "wifi"


async def test_the_real_client_finds_a_restarted_proxy_at_once() -> None:
    """ReconnectLogic hears of the new start by zeroconf, long before its own next attempt."""
    name = "disco-reconnect"
    node = Node(replace(INFO, name=name))
    connected = asyncio.Event()
    gone = asyncio.Event()

    async def on_connect() -> None:
        connected.set()

    async def on_disconnect(_expected: bool) -> None:
        gone.set()

    failures = 0
    attempts = asyncio.Event()

    async def on_connect_error(_error: Exception) -> None:
        """Let it fail so often that its own next attempt is five seconds away."""
        nonlocal failures
        failures += 1
        if failures == 3:
            attempts.set()

    listener = AsyncZeroconf(interfaces=LOOPBACK)
    server = ApiServer(node, Keys(), host="127.0.0.1", port=0)
    await server.start()
    port = server.port
    client = APIClient("127.0.0.1", port, None, zeroconf_instance=listener.zeroconf)
    logic = ReconnectLogic(
        client=client,
        on_connect=on_connect,
        on_disconnect=on_disconnect,
        on_connect_error=on_connect_error,
        zeroconf_instance=listener.zeroconf,
        name=name,
    )
    try:
        async with announced(name, port=port):
            await logic.start()
            async with asyncio.timeout(SEEN_S):
                await connected.wait()
            await server.stop()
            async with asyncio.timeout(SEEN_S):
                await gone.wait()
        connected.clear()
        await attempts.wait()
        again = ApiServer(node, Keys(), host="127.0.0.1", port=port)
        started = time.monotonic()
        await again.start()
        async with announced(name, port=port), asyncio.timeout(SEEN_S):
            await connected.wait()
            took = time.monotonic() - started
        await logic.stop()
        await client.disconnect()
        await again.stop()
        assert took < 3.0
    finally:
        await logic.stop()
        await server.stop()
        await listener.async_close()
