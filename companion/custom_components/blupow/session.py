"""The connection to one proxy, kept for as long as the entry is loaded."""

import asyncio
import logging
from typing import Any, Final, Protocol

from aioesphomeapi import (
    APIClient,
    APIConnectionError,
    BadMACAddressAPIError,
    DeviceInfo,
    EntityInfo,
    EntityState,
    LogLevel,
    ReconnectLogic,
    UserService,
)

from homeassistant.components import zeroconf
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.event import async_call_later

from .connection import Failure, async_client, failure_of
from .const import CONF_DEVICE_NAME, CONF_NOISE_PSK, CONF_SUBSCRIBE_LOGS, DOMAIN, LOGGER

FIRST_S: Final = 15.0  # the client's own limits for resolving, connecting and greeting are longer than users wait
# The client waits up to a minute before it tries again, unless multicast DNS wakes it: a machine that comes back after
# its cable was cut says nothing there. So we look whether the port is open, which costs next to nothing.
PROBE_S: Final = 5.0
PROBE_DEADLINE_S: Final = 3.0  # before the next probe is due
GOODBYE_S: Final = 3.0  # Home Assistant waits ten seconds for an entry to unload; the client for an answer as long
PAUSE_S: Final = 60.0  # the client's own longest wait, after what it does not see as a failure: another proxy's answer
CUT_SHORT: Final = 2  # in a row: one connection may end while it begins because the proxy is restarted just then
LEVEL_OF: Final = {LogLevel.LOG_LEVEL_ERROR: logging.ERROR, LogLevel.LOG_LEVEL_WARN: logging.WARNING}
KEY_FAILURES: Final = (Failure.KEY_NEEDED, Failure.WRONG_KEY, Failure.NO_ENCRYPTION, Failure.PAIRING_CLOSED)


class SessionHandler(Protocol):
    """Who is told what the session brings."""

    async def async_listed(self, info: DeviceInfo, infos: list[EntityInfo], actions: list[UserService]) -> None:
        """Take what the proxy lists, at the start of each connection."""

    def async_state(self, state: EntityState) -> None:
        """Take a state; it must not raise."""

    def async_lost(self) -> None:
        """Take note that the connection has ended."""

    def async_failed(self, failure: Failure, answered: str | None) -> None:
        """Take note that there is no connection, and of the MAC address of whoever answered, if it is another's."""


class Session:
    """Connects, and connects again; tells ``handler`` what comes of it."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], client: APIClient, handler: SessionHandler
    ) -> None:
        """Use ``client``, which nobody else connects."""
        self.client = client
        self.connections = 0
        self.last_error: str | None = None
        self._hass = hass
        self._entry = entry
        self._handler = handler
        self._logic: ReconnectLogic | None = None
        self._first: asyncio.Future[None] = hass.loop.create_future()
        self._address: str | None = None  # where the proxy was the last time
        self._connected = False
        self._cut_short = 0
        self._paused = False
        self._probe_helps = True
        self._cancel_look: CALLBACK_TYPE | None = None

    @classmethod
    async def async_create(cls, hass: HomeAssistant, entry: ConfigEntry[Any], handler: SessionHandler) -> Session:
        """Return a session for the proxy that ``entry`` describes."""
        data = entry.data
        client = await async_client(hass, data[CONF_HOST], data[CONF_PORT], data[CONF_NOISE_PSK], entry.unique_id)
        return cls(hass, entry, client, handler)

    async def async_start(self) -> None:
        """Connect in the background."""
        self._logic = ReconnectLogic(
            client=self.client,
            on_connect=self._async_connected,
            on_disconnect=self._async_disconnected,
            zeroconf_instance=await zeroconf.async_get_instance(self._hass),
            name=self._entry.data[CONF_DEVICE_NAME],  # by which multicast DNS tells that it is back
            on_connect_error=self._async_connect_error,
        )
        await self._logic.start()
        self._look_later(PROBE_S)

    async def async_first_connection(self) -> None:
        """Wait until the proxy was listed once; ConfigEntryAuthFailed or ConfigEntryNotReady when that fails."""
        try:
            async with asyncio.timeout(FIRST_S):
                await asyncio.shield(self._first)
        except TimeoutError as error:
            raise self._not_ready(Failure.CANNOT_CONNECT) from error

    async def async_stop(self) -> None:
        """End the connection for good."""
        self._look_no_more()
        logic, self._logic = self._logic, None
        if not self._connected:  # and what is on its way to that ends now, not in its own time
            await self.client.disconnect(force=True)
        if logic is not None:
            await logic.stop()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.client.disconnect()
        except TimeoutError:
            await self.client.disconnect(force=True)
        self._first.cancel()

    async def _async_connected(self) -> None:
        try:
            await self._async_begin()
        except APIConnectionError as error:
            LOGGER.debug("%s: the connection ended while it began: %s", self._entry.title, error)
            self.last_error = repr(error)
            self._cut_short += 1
            if self._logic is None or self._cut_short < CUT_SHORT:
                await self.client.disconnect()
                return
            if not self._entry.data[CONF_NOISE_PSK]:
                # what a proxy does that has encryption now, and that nobody has paired in time
                self._failed(Failure.PAIRING_CLOSED)
            await self._async_pause()
        except Exception as error:  # noqa: BLE001 - the client would take the connection for one that is used
            if (told := repr(error)) != self.last_error:
                LOGGER.exception("%s: what the proxy lists could not be taken up", self._entry.title)
            self.last_error = told
            self._failed(Failure.CANNOT_CONNECT)
            await self._async_pause()

    async def _async_begin(self) -> None:
        """Take what the proxy lists, and listen to it; APIConnectionError."""
        info, infos, actions = await self.client.device_info_and_list_entities()
        self._address = self.client.connected_address
        if format_mac(info.mac_address) != self._entry.unique_id:  # only plaintext gets this far
            self._failed(Failure.ANOTHER_PROXY, format_mac(info.mac_address))
            await self._async_pause()
            return
        await self._handler.async_listed(info, infos, actions)
        if self._logic is None:  # stopped meanwhile
            return
        self._connected = self._probe_helps = True
        self._cut_short = 0
        self.connections += 1
        self.client.subscribe_states(self._handler.async_state)
        if self._entry.options.get(CONF_SUBSCRIBE_LOGS):
            self.client.subscribe_logs(self._log, log_level=LogLevel.LOG_LEVEL_INFO)
        if not self._first.done():
            self._first.set_result(None)
        if info.api_encryption_provisionable and not self._entry.data[CONF_NOISE_PSK]:
            self._entry.async_start_reauth(self._hass)  # it has encryption now, and can be paired for a while
            return
        # the key was wrong, and somebody has put it right on the proxy; a dialogue that is just starting sees to itself
        for flow in list(self._entry.async_get_active_flows(self._hass, {SOURCE_REAUTH})):
            if "step_id" in flow:
                self._hass.config_entries.flow.async_abort(flow["flow_id"])

    async def _async_pause(self) -> None:
        """End a connection that is of no use, and try again later."""
        self._paused = True
        self._look_no_more()
        self._look_later(PAUSE_S)
        if self._logic is not None:
            self._logic.stop_callback()  # once it is done with this connection
        await self.client.disconnect()

    async def _async_disconnected(self, expected_disconnect: bool) -> None:
        self._connected = False
        if self._logic is None:
            return
        self._look_later(PROBE_S)
        try:
            self._handler.async_lost()
        except Exception:  # noqa: BLE001 - the client would not connect again
            LOGGER.exception("%s: the loss of the connection could not be told", self._entry.title)

    async def _async_connect_error(self, error: Exception) -> None:
        self.last_error = repr(error)
        answered = format_mac(error.received_mac) if isinstance(error, BadMACAddressAPIError) else None
        self._failed(Failure.ANOTHER_PROXY if answered else failure_of(error), answered)

    def _failed(self, failure: Failure, answered: str | None = None) -> None:
        self._handler.async_failed(failure, answered)
        if not self._first.done():
            self._first.set_exception(self._not_ready(failure))
            self._first.exception()  # nobody may be waiting
        if failure in KEY_FAILURES:
            # the client goes on trying, once a minute: the key may be put right on the proxy
            self._entry.async_start_reauth(self._hass)

    def _not_ready(self, failure: Failure) -> ConfigEntryNotReady | ConfigEntryAuthFailed:
        kind = ConfigEntryAuthFailed if failure in KEY_FAILURES else ConfigEntryNotReady
        placeholders = {"host": self._entry.data[CONF_HOST], "port": str(self._entry.data[CONF_PORT])}
        return kind(translation_domain=DOMAIN, translation_key=failure, translation_placeholders=placeholders)

    @callback
    def _look_later(self, delay_s: float) -> None:
        if self._cancel_look is None and self._logic is not None:
            self._cancel_look = async_call_later(self._hass, delay_s, self._look)

    @callback
    def _look_no_more(self) -> None:
        if self._cancel_look is not None:
            self._cancel_look()
            self._cancel_look = None

    @callback
    def _look(self, _: Any) -> None:
        self._cancel_look = None
        if not self._connected:  # in the background: it may not hold up the start or the stop of Home Assistant
            self._entry.async_create_background_task(self._hass, self._async_look(), f"{self._entry.title}: look")

    async def _async_look(self) -> None:
        """Connect at once when a pause is over, or the port is open again."""
        host, port = self._address or self._entry.data[CONF_HOST], self._entry.data[CONF_PORT]
        if self._paused or (self._probe_helps and await _async_is_open(host, port)):
            self._paused = self._probe_helps = False  # whatever hinders it now, trying more often is no remedy
            if self._logic is not None and not self._connected:
                await self._logic.start()
        self._look_later(PROBE_S)

    @callback
    def _log(self, message: Any) -> None:
        level = LEVEL_OF.get(message.level, logging.INFO)
        LOGGER.log(level, "%s: %s", self._entry.title, message.message.decode("utf-8", "backslashreplace").strip())


async def _async_is_open(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_DEADLINE_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError, TimeoutError:
        return False
    writer.close()
    return True
