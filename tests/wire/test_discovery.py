"""The announcements as real zeroconf, and the real client, see them."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from aioesphomeapi import APIClient
from aioesphomeapi.reconnect_logic import ReconnectLogic
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from blupow_proxy import app, discovery
from blupow_proxy.discovery import BLUPOW_TYPE, ESPHOME_TYPE, NOISE, Announcer
from blupow_proxy.native_api import Mode, Node, NodeInfo
from blupow_proxy.server import ApiServer

LOOPBACK = ["127.0.0.1"]
SEEN_S = 8.0
ABSENT_S = 1.5  # an answer takes 0.12 s at most
CANNOT_ISOLATE = 77
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

    async def service(
        self, kind: str, name: str, condition: Callable[[AsyncServiceInfo], bool] = lambda _: True
    ) -> AsyncServiceInfo:
        """Wait until a service is such that ``condition`` holds."""
        async with asyncio.timeout(SEEN_S):
            while True:
                self._news.clear()
                info = AsyncServiceInfo(kind, f"{name}.{kind}")
                if await info.async_request(self.zeroconf.zeroconf, 3000) and condition(info):
                    return info
                await self._news.wait()

    async def is_absent(self, kind: str, name: str) -> bool:
        return not await AsyncServiceInfo(kind, f"{name}.{kind}").async_request(self.zeroconf.zeroconf, ABSENT_S * 1000)


@asynccontextmanager
async def listening(interface: str = LOOPBACK[0]) -> AsyncIterator[Listener]:
    zeroconf = AsyncZeroconf(interfaces=[interface])
    listener = Listener(zeroconf)
    browser = AsyncServiceBrowser(zeroconf.zeroconf, [BLUPOW_TYPE, ESPHOME_TYPE], handlers=[listener.changed])
    try:
        yield listener
    finally:
        await browser.async_cancel()
        await zeroconf.async_close()


@asynccontextmanager
async def announced(name: str, keys: Keys | None = None, **options) -> AsyncIterator[Announcer]:
    options = {"info": replace(INFO, name=name), "port": 6053, "esphome": "auto", "interfaces": LOOPBACK} | options
    announcer = Announcer(keys=keys or Keys(), **options)
    running = asyncio.create_task(announcer.run())
    try:
        yield announcer
    finally:
        running.cancel()
        await announcer.stop()
        await asyncio.wait([running])
    assert running.cancelled()


async def test_records_withdrawal_and_goodbye() -> None:
    async with listening() as listener:
        async with announced("disco-one", port=6077, config_hash=0xAB12CD) as announcer:
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
                    "config_hash": "00ab12cd",
                    "mac": "02aabbccddee",
                    "platform": "host",
                    "board": "host",
                    "network": service.decoded_properties["network"],
                    "project_name": "blupow.renogy-proxy",
                    "project_version": "0.1.0",
                }
                assert service.decoded_properties["network"] in ("wifi", "ethernet")
            announcer.companion_authenticated()
            await listener.until(lambda seen: seen & both == {(BLUPOW_TYPE, "disco-one")})
            announcer.companion_authenticated()
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
            announcer.companion_authenticated()
        assert await listener.is_absent(ESPHOME_TYPE, name) is not esphome


async def test_what_is_said_of_encryption_follows_the_key() -> None:
    keys = Keys(Mode.PROVISIONING)
    expected = {
        Mode.PROVISIONING: {"api_encryption_supported": NOISE, "api_provisioning": "zero-psk"},
        Mode.CLOSED: {"api_encryption_supported": NOISE},
        Mode.ENCRYPTED: {"api_encryption": NOISE},
    }
    async with announced("disco-key", keys) as announcer, listening() as listener:
        for mode, properties in expected.items():
            keys.mode = mode
            announcer.update()
            for kind in (BLUPOW_TYPE, ESPHOME_TYPE):
                await listener.service(kind, "disco-key", lambda service: encryption(service) == properties)  # noqa: B023


def encryption(service: AsyncServiceInfo) -> dict[str, str | None]:
    return {key: value for key, value in service.decoded_properties.items() if key.startswith("api_")}


async def test_many_updates_are_one_announcement_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    real = AsyncZeroconf.async_update_service

    async def spied(self, info):
        sent.append(info.type)
        return await real(self, info)

    monkeypatch.setattr(AsyncZeroconf, "async_update_service", spied)
    keys = Keys(Mode.PROVISIONING)
    async with announced("disco-many", keys) as announcer, listening() as listener:
        for kind in (BLUPOW_TYPE, ESPHOME_TYPE):
            await listener.service(kind, "disco-many")
        announcer.update()
        keys.mode = Mode.ENCRYPTED
        started = time.monotonic()
        for _ in range(1000):
            announcer.update()
        assert time.monotonic() - started < 0.1
        for kind in (BLUPOW_TYPE, ESPHOME_TYPE):
            await listener.service(kind, "disco-many", lambda service: encryption(service) == {"api_encryption": NOISE})
        assert time.monotonic() - started < discovery.ADDRESSES_S / 2
        keys.mode = Mode.CLOSED
        announcer.update()
        await listener.service(BLUPOW_TYPE, "disco-many", lambda service: "api_encryption" not in encryption(service))
        await listener.service(ESPHOME_TYPE, "disco-many", lambda service: "api_encryption" not in encryption(service))
    assert sorted(sent) == [BLUPOW_TYPE] * 2 + [ESPHOME_TYPE] * 2


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Ä" * 200, "Ä" * 120), ("a" + "Ä" * 200, "a" + "Ä" * 120), ("x" * 1000, "x" * 241), ("a\udcffb", "a?b")],
)
async def test_what_a_txt_record_does_not_hold_is_cut(name: str, shown: str) -> None:
    info = replace(INFO, name="disco-long", friendly_name=name)
    async with listening() as listener, announced("disco-long", info=info):
        service = await listener.service(BLUPOW_TYPE, "disco-long")
        assert service.decoded_properties["friendly_name"] == shown
        assert service.decoded_properties["project_version"] == INFO.project_version


async def test_a_taken_name_is_changed_and_said(caplog: pytest.LogCaptureFixture) -> None:
    names: list[str] = []
    told = asyncio.Event()

    def renamed(name: str) -> None:
        names.append(name)
        told.set()

    name = "disco-a-name-of-thirty-one-char"
    async with listening() as listener, announced(name, esphome="never"):
        await listener.until(lambda seen: (BLUPOW_TYPE, name) in seen)
        async with announced(name, on_renamed=renamed) as second:
            await listener.until(lambda seen: (ESPHOME_TYPE, "disco-a-name-of-thirty-one-ch-2") in seen)
            async with asyncio.timeout(SEEN_S):
                await told.wait()
            assert names == [second.name] == ["disco-a-name-of-thirty-one-ch-2"]
            assert "is taken on this network" in caplog.text


async def test_without_a_network_it_warns_once_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "ADDRESSES_S", 0.01)
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


async def test_what_nobody_foresaw_is_logged_at_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "FAILED_PAUSE_S", 0.01)
    breakdowns = iter(range(3))

    class Broken(Keys):
        @property
        def mode(self) -> Mode:
            if next(breakdowns, None) is not None:
                raise ZeroDivisionError("nobody foresaw this")
            return Mode.PLAINTEXT

        @mode.setter
        def mode(self, _: Mode) -> None:
            pass

    announcer = Announcer(replace(INFO, name="disco-broken"), Broken(), port=6053, esphome="auto", interfaces=LOOPBACK)
    both = {(BLUPOW_TYPE, "disco-broken"), (ESPHOME_TYPE, "disco-broken")}
    async with listening() as listener:
        running = asyncio.create_task(app._supervise("The announcement", announcer.run))
        await listener.until(lambda seen: both <= seen)
        running.cancel()
        await announcer.stop()
        await listener.until(lambda seen: not both & seen)
        await asyncio.wait([running])
    assert "Traceback" in caplog.text
    assert "nobody foresaw this" in caplog.text


async def test_a_breakdown_before_the_end_does_not_keep_it_from_saying_goodbye() -> None:
    keys = Keys()
    announcer = Announcer(replace(INFO, name="disco-end"), keys, port=6053, esphome="never", interfaces=LOOPBACK)
    async with listening() as listener:
        running = asyncio.create_task(announcer.run())
        await listener.until(lambda seen: (BLUPOW_TYPE, "disco-end") in seen)
        del keys.mode
        announcer.update()
        with pytest.raises(AttributeError):
            await running
        await announcer.stop()
        await listener.until(lambda seen: (BLUPOW_TYPE, "disco-end") not in seen)


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


@pytest.mark.parametrize("scenario", ["late", "docker", "sandbox"])
def test_on_a_network_of_its_own(scenario: str) -> None:
    child = subprocess.run(
        [sys.executable, __file__, scenario],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    if child.returncode == CANNOT_ISOLATE:
        pytest.skip(child.stderr)
    assert child.returncode == 0, child.stderr
    assert "ERROR" not in child.stderr


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


def isolate() -> None:
    """Move this process into a network with nothing but a loopback that is down."""
    try:
        os.unshare(os.CLONE_NEWNET if os.getuid() == 0 else os.CLONE_NEWUSER | os.CLONE_NEWNET)
        ip("link add probe0 type veth peer name probe1")
        ip("link del probe0")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no network namespace: {error}", file=sys.stderr)
        raise SystemExit(CANNOT_ISOLATE) from None


def show_processes_alone() -> None:
    """Have in /proc what the service has there, by its unit's ProcSubset=pid."""
    try:
        os.unshare(os.CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "--types", "proc", "--options", "subset=pid", "proc", "/proc"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no /proc of our own: {error}", file=sys.stderr)
        raise SystemExit(CANNOT_ISOLATE) from None
    assert not Path("/proc/net").exists()


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)


def plug(name: str, address: str, *, gateway: str = "") -> None:
    """Add an interface with a carrier."""
    ip(f"link add {name} type veth peer name {name}-peer")
    ip(f"link set {name}-peer up")
    ip(f"link set {name} up")
    ip(f"addr add {address}/24 dev {name}")
    if gateway:
        ip(f"route add default via {gateway}")


async def late() -> None:
    """No interface is up at the start."""
    warned = asyncio.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Can't announce" in record.getMessage():
                warned.set()

    logging.getLogger("blupow_proxy").addHandler(Heard())
    async with announced("disco-late", interfaces=None):
        async with asyncio.timeout(SEEN_S):
            await warned.wait()
        ip("link set lo up")
        plug("lan0", "192.168.7.5")
        async with listening("192.168.7.5") as listener:
            service = await listener.service(BLUPOW_TYPE, "disco-late")
            assert service.parsed_addresses() == ["192.168.7.5"], service
            ip("addr add 192.168.7.6/24 dev lan0")
            await listener.service(BLUPOW_TYPE, "disco-late", lambda service: len(service.parsed_addresses()) == 2)


async def docker() -> None:
    """Docker's bridge and a VPN have addresses too."""
    ip("link set lo up")
    ip("link add docker0 type bridge")
    ip("link set docker0 up")
    ip("addr add 172.17.0.1/16 dev docker0")
    ip("tuntap add vpn0 mode tun")
    ip("link set vpn0 up")
    ip("addr add 10.8.0.2/24 dev vpn0")
    plug("lan0", "192.168.7.5", gateway="192.168.7.1")
    async with announced("disco-docker", interfaces=None):
        async with listening("172.17.0.1") as container:  # it hears of us too
            service = await container.service(BLUPOW_TYPE, "disco-docker")
            assert service.parsed_addresses() == ["192.168.7.5"], service
            ip("link del lan0")
            await container.service(BLUPOW_TYPE, "disco-docker", lambda service: "172.17.0.1" in addresses(service))
        async with listening("172.17.0.1") as container:
            service = await container.service(BLUPOW_TYPE, "disco-docker")
            assert addresses(service) == {"172.17.0.1", "10.8.0.2"}, service
            plug("lan0", "192.168.7.5", gateway="192.168.7.1")
            await container.service(BLUPOW_TYPE, "disco-docker", lambda service: "192.168.7.5" in addresses(service))
        async with listening("192.168.7.5") as network:
            service = await network.service(BLUPOW_TYPE, "disco-docker")
            assert addresses(service) == {"192.168.7.5"}, service


async def sandbox() -> None:
    """The same, where /proc is the service's."""
    show_processes_alone()
    await docker()


def addresses(service: AsyncServiceInfo) -> set[str]:
    return set(service.parsed_addresses())


if __name__ == "__main__":
    isolate()
    discovery.ADDRESSES_S = 0.2
    logging.basicConfig(level=logging.INFO)
    asyncio.run({"late": late, "docker": docker, "sandbox": sandbox}[sys.argv[1]]())
