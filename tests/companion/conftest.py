from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components.blupow  # noqa: F401 - before Home Assistant's test configuration brings a package of this name
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
from proxies import HOST, KEY, MAC, PORT, FakeClient, FakeProxy


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration."""


@pytest.fixture
def proxies() -> dict[tuple[str, int], FakeProxy]:
    """The proxies on the network, by host and port: one, unless a test adds more."""
    return {(HOST, PORT): FakeProxy()}


@pytest.fixture
def proxy(proxies: dict[tuple[str, int], FakeProxy]) -> FakeProxy:
    return proxies[HOST, PORT]


@pytest.fixture(autouse=True)
def clients(proxies: dict[tuple[str, int], FakeProxy], mock_async_zeroconf: Any) -> Iterator[list[FakeClient]]:
    """Every client that the integration makes; the network is ``proxies``."""
    made: list[FakeClient] = []

    def client(address: str, port: int, **options: Any) -> FakeClient:
        made.append(FakeClient(proxies, address, port, **options))
        return made[-1]

    with patch("custom_components.blupow.connection.APIClient", client):
        yield made


@pytest.fixture
def port() -> Iterator[AsyncMock]:
    """The proxy's port, as a probe finds it: closed, unless a test opens it."""
    with patch("custom_components.blupow.session.asyncio.open_connection", AsyncMock(side_effect=OSError)) as opened:
        yield opened


@pytest.fixture
def entry(hass: HomeAssistant) -> MockConfigEntry:
    """A config entry, not set up."""
    made = MockConfigEntry(
        domain="blupow",
        title="Solar shed",
        unique_id=MAC,
        data={CONF_HOST: HOST, CONF_PORT: PORT, "noise_psk": KEY, "device_name": "solar-shed", "paired": False},
    )
    made.add_to_hass(hass)
    return made


@pytest.fixture
async def loaded(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> MockConfigEntry:
    """The config entry, set up and connected."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry
