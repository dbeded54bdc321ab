"""One short conversation with a proxy: who it is, and pairing with it."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
import secrets
from typing import Any, Final

from aioesphomeapi import (
    APIClient,
    APIConnectionError,
    DeviceInfo,
    EncryptionPlaintextAPIError,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
)
from aioesphomeapi.core import TimeoutAPIError

from homeassistant.components import zeroconf
from homeassistant.const import CONF_HOST, CONF_PORT, __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import format_mac

from .const import CONF_NOISE_PSK, CONF_PAIRED, LOGGER, PROJECT

CLIENT_INFO: Final = f"BluPow companion (Home Assistant {__version__})"  # the proxy knows the companion by its start
ANSWER_S: Final = 15.0  # the client's own limits for resolving, connecting and greeting are longer than users wait
KEY_BYTES: Final = 32
# A cut cable is noticed after 6.5 times this: within 95 s. The client's own 20 s would take up to 130 s.
KEEPALIVE_S: Final = 14.0
ZERO_KEY: Final = b64encode(bytes(KEY_BYTES)).decode()  # what pairing is done under; it authenticates nobody


class Failure(StrEnum):
    """Why a proxy could not be talked to; the value is the key of its text."""

    CANNOT_CONNECT = "cannot_connect"
    INVALID_KEY = "invalid_key"
    KEY_NEEDED = "key_needed"
    WRONG_KEY = "wrong_key"
    KNOWN_KEY_WRONG = "known_key_wrong"
    NO_ENCRYPTION = "no_encryption"
    PAIRING_CLOSED = "pairing_closed"
    PAIRING_FAILED = "pairing_failed"
    ANOTHER_PROXY = "another_proxy"
    OTHER_ENTRY = "other_entry"
    NOT_BLUPOW = "not_blupow"


class ConnectionFailedError(Exception):
    """A conversation with a proxy failed."""

    def __init__(self, failure: Failure) -> None:
        """Carry the reason."""
        super().__init__(failure)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A proxy that has answered; ``key`` is what it is talked to with, empty without encryption."""

    info: DeviceInfo
    key: str
    paired: bool = False

    @property
    def mac(self) -> str:
        """Its identity."""
        return format_mac(self.info.mac_address)

    @property
    def waits_for_key(self) -> bool:
        """Whether it is to be paired first."""
        return not self.key and self.info.api_encryption_provisionable

    @property
    def title(self) -> str:
        """What to call it."""
        return self.info.friendly_name or self.info.name


async def async_client(hass: HomeAssistant, host: str, port: int, key: str, mac: str | None = None) -> APIClient:
    """Return a client that is not connected yet; with a key it talks to nobody but the proxy with this ``mac``."""
    return APIClient(
        host,
        port,
        client_info=CLIENT_INFO,
        keepalive=KEEPALIVE_S,
        zeroconf_instance=await zeroconf.async_get_instance(hass),
        noise_psk=key or None,
        expected_mac=mac.replace(":", "") if mac else None,
        timezone=hass.config.time_zone,
    )


def is_key(text: str) -> bool:
    """Whether ``text`` is a key in base64, and not the one of pairing."""
    try:
        key = b64decode(text, validate=True)
    except ValueError:
        return False
    return len(key) == KEY_BYTES and any(key)  # the one of pairing can be spelled in more than one way


async def async_identify(hass: HomeAssistant, host: str, port: int, key: str) -> Identified:
    """Return who answers, and change nothing; ConnectionFailedError."""
    if key and not is_key(key):
        raise ConnectionFailedError(Failure.INVALID_KEY)
    client = await async_client(hass, host, port, key)
    greeted = False
    try:
        async with asyncio.timeout(ANSWER_S):
            await client.connect(login=True, log_errors=False)
            greeted = True
            info = await client.device_info()
    except (APIConnectionError, TimeoutError) as error:
        LOGGER.debug("No conversation with %s: %s", host, error)
        # a proxy that nobody has paired in time says hello, and goodbye
        closed = greeted and not key and not isinstance(error, TimeoutError | TimeoutAPIError)
        raise ConnectionFailedError(Failure.PAIRING_CLOSED if closed else failure_of(error)) from error
    finally:
        await client.disconnect(force=True)
    if not info.project_name.startswith(PROJECT):
        raise ConnectionFailedError(Failure.NOT_BLUPOW)
    return Identified(info=info, key=key)


async def async_who(hass: HomeAssistant, host: str, port: int) -> str | None:
    """Return the MAC address that an encrypted proxy gives without being asked for more; it proves nothing."""
    client = await async_client(hass, host, port, _new_key())
    try:
        async with asyncio.timeout(ANSWER_S):
            await client.connect(login=True, log_errors=False)
    except InvalidEncryptionKeyAPIError as error:
        return format_mac(error.received_mac) if error.received_mac else None
    except (APIConnectionError, TimeoutError) as error:
        LOGGER.debug("%s does not say who it is: %s", host, error)
    finally:
        await client.disconnect(force=True)
    return None


async def async_pair(hass: HomeAssistant, host: str, port: int, found: Identified) -> Identified:
    """Set a new key on the proxy that was ``found`` to wait for one; ConnectionFailedError."""
    key = _new_key()
    client = await async_client(hass, host, port, ZERO_KEY, found.mac)
    accepted = False
    try:
        async with asyncio.timeout(ANSWER_S):
            await client.connect(login=True, log_errors=False)
            accepted = await client.noise_encryption_set_key(key.encode())
    except (APIConnectionError, TimeoutError) as error:
        LOGGER.debug("Pairing with %s went wrong: %s", host, error)
    finally:
        await client.disconnect(force=True)
    if not accepted:  # or the answer got lost, and nobody but us knows the key
        try:
            await async_identify(hass, host, port, key)
        except ConnectionFailedError as error:
            raise ConnectionFailedError(Failure.PAIRING_FAILED) from error
    return replace(found, key=key, paired=True)


async def async_is_at(hass: HomeAssistant, host: str, port: int, key: str, mac: str) -> bool:
    """Whether the proxy with this ``mac`` answers there; if its key has changed, it is taken at its word."""
    try:
        return (await async_identify(hass, host, port, key)).mac == mac
    except ConnectionFailedError as error:
        changed = error.failure in (Failure.WRONG_KEY, Failure.KEY_NEEDED)
        return changed and await async_who(hass, host, port) == mac


async def async_take_key_back(hass: HomeAssistant, title: str, mac: str, data: Mapping[str, Any]) -> None:
    """Make a proxy forget the key that pairing has set, so that it can be paired again; ``data`` is its entry's."""
    if not data.get(CONF_PAIRED):
        return
    host = data[CONF_HOST]
    client = await async_client(hass, host, data[CONF_PORT], data[CONF_NOISE_PSK], mac)
    forgotten = False
    try:
        async with asyncio.timeout(ANSWER_S):
            await client.connect(login=True, log_errors=False)
            forgotten = await client.noise_encryption_set_key(b"")
    except (APIConnectionError, TimeoutError) as error:
        LOGGER.debug("%s was not told to forget its key: %s", host, error)
    finally:
        await client.disconnect(force=True)
    if not forgotten:
        LOGGER.warning(
            "%s could not be told to forget its key: run `blupow-proxy pair FILE --forget` there to pair it again",
            title,
        )


def _new_key() -> str:
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def failure_of(error: Exception) -> Failure:
    """Return why a client could not connect."""
    match error:
        case RequiresEncryptionAPIError():
            return Failure.KEY_NEEDED
        case InvalidEncryptionKeyAPIError():
            return Failure.WRONG_KEY
        case EncryptionPlaintextAPIError():
            return Failure.NO_ENCRYPTION
        case _:
            return Failure.CANNOT_CONNECT
