from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
import os
from pathlib import Path

import aiohttp
import pytest

from home_assistant import HomeAssistant
from home_assistant_api import Api, Json, long_lived_token, onboard
from network import Network, NoNetworkError
from proxy import Proxy

VAN_KEY = "dGhlIGtleSBvZiB0aGUgdmFuISEhISEhISEhISEhISE="
CORE_KEY = "dGhlIGtleSBvZiB0aGUgY2FiaW4hISEhISEhISEhISE="


class Figures:
    """What was measured, as rows of a table."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def add(self, what: str, value: object, limit_s: float | None = None) -> None:
        """Note a figure; AssertionError when it is above its limit, in seconds."""
        shown = f"{value:.2f} s" if isinstance(value, float) else str(value)
        self.rows.append((what, shown, "" if limit_s is None else f"{limit_s:g} s"))
        print(f"{what}: {shown}")
        if limit_s is not None:
            assert isinstance(value, float)
            assert value <= limit_s, f"{what}: {shown}, the limit is {limit_s:g} s"


FIGURES = Figures()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not FIGURES.rows:
        return
    terminalreporter.section("end to end: figures")
    width = max(len(what) for what, _, _ in FIGURES.rows)
    for what, value, limit in FIGURES.rows:
        terminalreporter.write_line(f"{what:<{width}}  {value}{f'  (limit {limit})' if limit else ''}")


@dataclass(slots=True)
class Home:
    """The Home Assistant of the story, somebody who is logged in, and what all tests have to know of it."""

    process: HomeAssistant
    token: str
    session: aiohttp.ClientSession
    api: Api
    entries: list[Json] = field(default_factory=list)

    async def log_in(self) -> None:
        """Log in anew, after a restart, and hear of every state and of every change of a config entry."""
        self.api = await Api(self.process.url, self.token, self.session).open()
        await self.api.follow_states()
        await self.api.subscribe("config_entries/subscribe", self._entries_changed)

    async def entity_ids(self, entry_id: str) -> list[str]:
        """Return the entities of a config entry that are enabled."""
        registry = await self.api.call("config/entity_registry/list")
        return [one["entity_id"] for one in registry if one["config_entry_id"] == entry_id and not one["disabled_by"]]

    def _entries_changed(self, event: list[Json]) -> None:
        self.entries += event


@pytest.fixture(scope="session")
def figures() -> Figures:
    return FIGURES


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    network = Network()
    try:
        network.__enter__()
    except NoNetworkError as error:
        network.__exit__()
        if os.environ.get("CI"):
            raise
        pytest.skip(f"needs root and network namespaces: {error}")
    try:
        with network.entered("home"):
            yield network
    finally:
        network.__exit__()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("end_to_end")


def make_proxy(name: str, network: Network, folder: Path, key: str | None = None) -> Proxy:
    host = name.rsplit("-", maxsplit=1)[-1]
    address = network.add(host)
    return Proxy(name, folder, address=address, prefix=network.command(host), key=key)


@pytest.fixture(scope="session")
async def shed(network: Network, folder: Path) -> AsyncIterator[Proxy]:
    """A proxy without a key: whoever comes first sets it."""
    proxy = make_proxy("solar-shed", network, folder)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture(scope="session")
async def van(network: Network, folder: Path) -> AsyncIterator[Proxy]:
    """A proxy with a key, and units of the same names as those of the shed."""
    proxy = make_proxy("van", network, folder, VAN_KEY)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture(scope="session")
async def cabin(network: Network, folder: Path) -> AsyncIterator[Proxy]:
    """A proxy for Home Assistant's own ESPHome integration."""
    proxy = make_proxy("cabin", network, folder, CORE_KEY)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture(scope="session")
async def home(
    network: Network, folder: Path, shed: Proxy, van: Proxy, cabin: Proxy, figures: Figures
) -> AsyncIterator[Home]:
    """A new Home Assistant, onboarded, on the same network as all proxies, which know their units by now."""
    process = HomeAssistant(folder / "home-assistant", prefix=network.command("home"))
    process.configure()
    try:
        figures.add("Home Assistant: start to all set up", await process.start())
        for proxy in (shed, van, cabin):
            await proxy.knows_its_units()
        token = await long_lived_token(process.url, (await onboard(process.url))["access_token"])
        async with aiohttp.ClientSession() as session:
            home = Home(process, token, session, Api(process.url, token, session))
            await home.log_in()
            yield home
            await home.api.close()
    finally:
        await process.stop()
