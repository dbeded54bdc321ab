"""Adding a proxy, and what may change of it later."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import callback
from homeassistant.data_entry_flow import UnknownFlow
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import format_mac
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo

from .bluetooth import async_forget_source
from .connection import (
    ConnectionFailedError,
    Failure,
    Identified,
    async_identify,
    async_is_at,
    async_pair,
    async_take_key_back,
    async_who,
)
from .const import CONF_DEVICE_NAME, CONF_NOISE_PSK, CONF_PAIRED, DEFAULT_PORT, DOMAIN
from .coordinator import BluPowConfigEntry
from .esphome import async_has_proxy
from .options_flow import BluPowOptionsFlow
from .replacement import async_forget_discovery, async_replace
from .store import ListingStore

KEY = {
    vol.Optional(CONF_NOISE_PSK): TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD)),
}
KEY_STEPS = ("key", "reauth_key")
PLACE = {
    vol.Required(CONF_HOST): str,
    vol.Required(CONF_PORT, default=DEFAULT_PORT): cv.port,
}
SCHEMAS: dict[str, dict[Any, Any]] = {"user": PLACE, "key": KEY, "reauth_key": KEY, "reconfigure": PLACE | KEY}


class BluPowConfigFlow(ConfigFlow, domain=DOMAIN):
    """The dialogue: wherever it starts, it goes on with whoever answers at ``_host``."""

    VERSION = 1

    def __init__(self) -> None:
        """Know nothing yet."""
        self._host = ""
        self._port = DEFAULT_PORT
        self._name = ""
        self._entry: BluPowConfigEntry | None = None  # the one that is to be changed
        self._expected: str | None = None  # the MAC address of whoever should answer
        self._found: Identified | None = None

    @staticmethod
    @callback
    def async_get_options_flow(config_entry: BluPowConfigEntry) -> BluPowOptionsFlow:
        """Return the dialogue of the options."""
        return BluPowOptionsFlow()

    # where it starts

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the proxy is."""
        if user_input is None:
            return self._form("user")
        self._take_place(user_input)
        self._name = self._host
        return await self._async_connect("user")

    async def async_step_zeroconf(self, discovery_info: ZeroconfServiceInfo) -> ConfigFlowResult:
        """Take up what was announced."""
        properties = discovery_info.properties
        if not (mac := properties.get("mac")):
            return self.async_abort(reason="no_identity")
        self._host, self._port = discovery_info.host, discovery_info.port or DEFAULT_PORT
        self._name = properties.get("friendly_name") or discovery_info.name.partition(".")[0]
        self._expected = format_mac(mac)
        known = await self.async_set_unique_id(self._expected)
        moved = known is not None and await self._async_has_moved(known)
        self._abort_if_unique_id_configured(updates=self._place if moved else None)
        self.context["title_placeholders"] = {"name": self._name}
        return self._form("discovery_confirm")

    async def async_step_discovery_confirm(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on: the user wants to add the proxy."""
        return await self._async_answered("discovery_confirm", user_input)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Find out what is wrong with the key, and ask for what puts it right."""
        self._take_entry(self._get_reauth_entry())
        missing, why = await self._async_missing()
        if missing != "pair" and _works(self._entry):  # somebody has put it right on the proxy meanwhile
            return self.async_abort(reason="reauth_successful")
        return self._key_form(why) if missing == "key" else self._form(missing, why)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask where the proxy is now; without a key in the answer, the known one holds."""
        if self._entry is None:
            self._take_entry(self._get_reconfigure_entry())
        assert self._entry is not None  # noqa: S101 - see above
        if user_input is None:
            return self._form("reconfigure")
        self._take_place(user_input)
        return await self._async_connect("reconfigure", _key(user_input), self._entry.data[CONF_NOISE_PSK])

    # what may be asked besides

    async def async_step_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with the key."""
        return await self._async_answered("key", user_input)

    async def async_step_reauth_key(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on with the key that has taken the place of the known one."""
        return await self._async_answered("reauth_key", user_input)

    async def async_step_pair(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Pair, or try again to."""
        return await self._async_answered("pair", user_input)

    async def async_step_plaintext(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Go on without encryption."""
        return await self._async_answered("plaintext", user_input)

    async def async_step_esphome_configured(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether to have the proxy here as well, which the ESPHome integration has."""
        return self.async_show_menu(
            step_id="esphome_configured",
            menu_options=["add_anyway", "keep_esphome"],
            description_placeholders=self._texts,
        )

    async def async_step_add_anyway(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Have the proxy in the ESPHome integration and here."""
        return await self._async_save()

    async def async_step_keep_esphome(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Leave the proxy to the ESPHome integration."""
        return self.async_abort(reason="kept_in_esphome")

    async def async_step_replace(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether the proxy that answers takes the place of the one that is configured."""
        assert self._found is not None  # noqa: S101 - somebody has answered before
        return self.async_show_menu(
            step_id="replace",
            menu_options=["replace_proxy", "reconfigure"],
            description_placeholders={**self._texts, "found": self._found.title},
        )

    async def async_step_replace_proxy(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Let another proxy take the place of the one that is configured, whose history it goes on with."""
        return await self._async_save()

    # how it goes on

    async def _async_answered(self, step: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        """Go on with the answer to the form of ``step``, or show it: the frontend may ask for that again."""
        if user_input is None:
            return self._form(step)
        return await self._async_connect(step, _key(user_input))

    async def _async_connect(self, step: str, key: str = "", known_key: str = "") -> ConfigFlowResult:
        """Go on with whoever answers; ask for what is missing, or show ``step`` again with what went wrong."""
        try:
            self._found = found = await async_identify(self.hass, self._host, self._port, key or known_key)
        except ConnectionFailedError as error:
            failure = error.failure
            if failure is Failure.WRONG_KEY and not key:
                failure = Failure.KNOWN_KEY_WRONG
            return await self._async_failed(step, failure)
        another = self._expected not in (None, found.mac)
        if another and self.source != SOURCE_RECONFIGURE:
            return self._form(step, Failure.ANOTHER_PROXY)
        known = self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, found.mac)
        if another and known is not None and known.source != SOURCE_IGNORE:
            return self._form(step, Failure.OTHER_ENTRY)
        if self._entry is None:
            self._name = found.title
            await self._async_abort_if_known(found)
        if (question := self._question(found, step)) is not None:
            return self._form(question)
        if another:
            return await self.async_step_replace()
        if self._entry is None and async_has_proxy(self.hass, found.mac):
            return await self.async_step_esphome_configured()
        return await self._async_save()

    async def _async_failed(self, step: str, failure: Failure) -> ConfigFlowResult:
        """Ask for what is missing, or show ``step`` again with what went wrong."""
        match failure:
            case Failure.KEY_NEEDED if step not in KEY_STEPS:
                if self._entry is None and (key := await self._async_known_key()):
                    return await self._async_connect("key", key)
                return self._key_form()
            case Failure.NO_ENCRYPTION:
                return self._form("plaintext")
            case Failure.PAIRING_CLOSED:
                return self._form("pair", failure)
            case Failure.WRONG_KEY | Failure.KNOWN_KEY_WRONG:
                missing, why = await self._async_missing()
                return self._form("pair", why) if missing == "pair" else self._form(step, failure)
        return self._form(step, failure)

    async def _async_has_moved(self, entry: BluPowConfigEntry) -> bool:
        """Whether the proxy of an entry is where it was announced: anybody could have said so."""
        if _works(entry):
            entry.runtime_data.async_announced(self._host, self._port)  # for when it works no more
            return False
        key, mac = entry.data.get(CONF_NOISE_PSK, ""), entry.unique_id or ""
        return await async_is_at(self.hass, self._host, self._port, key, mac)

    async def _async_missing(self) -> tuple[str, Failure | None]:
        """Return the step that asks for what the proxy wants, and what is in the way of it."""
        try:
            found = await async_identify(self.hass, self._host, self._port, "")
        except ConnectionFailedError as error:
            step = "pair" if error.failure is Failure.PAIRING_CLOSED else "key"
            return step, None if error.failure is Failure.KEY_NEEDED else error.failure
        return "pair" if found.waits_for_key else "plaintext", None

    async def _async_known_key(self) -> str | None:
        """Return a key of Home Assistant's that opens the proxy, if any: nobody else knows those it has set."""
        mac = await async_who(self.hass, self._host, self._port)
        entries = self.hass.config_entries
        for domain in (DOMAIN, "esphome"):
            entry = entries.async_entry_for_domain_unique_id(domain, mac) if mac else None
            if entry is not None and (key := entry.data.get(CONF_NOISE_PSK)):
                with suppress(ConnectionFailedError):
                    return (await async_identify(self.hass, self._host, self._port, key)).key
        return None

    async def _async_abort_if_known(self, found: Identified) -> None:
        """Abort if the proxy is configured already, at the place where it is found now and with the key it has now."""
        known: BluPowConfigEntry | None = await self.async_set_unique_id(found.mac, raise_on_progress=False)
        # without a key anybody could say so: that moves no entry that works, and takes no key away
        unproven = {} if _works(known) else self._place
        self._abort_if_unique_id_configured(updates=self._data(found, known) if found.key else unproven)

    async def _async_save(self) -> ConfigFlowResult:
        """Pair with the proxy if it waits for that, and make or change the entry."""
        found = self._found
        assert found is not None  # noqa: S101 - somebody has answered before
        if found.waits_for_key:
            try:
                found = await async_pair(self.hass, self._host, self._port, found)
            except ConnectionFailedError as error:
                return self._form("pair", error.failure)
        data = self._data(found, self._entry)
        if found.paired and not self._is_open:  # nobody would know the key
            await async_take_key_back(self.hass, found.title, found.mac, data)
            return self._form("pair")
        if self._entry is None:
            return self.async_create_entry(title=found.title, data=data)
        if found.mac != self._entry.unique_id:
            await async_forget_discovery(self.hass, found.mac)
            if (listing := await ListingStore(self.hass, self._entry.entry_id).async_load()) is not None:
                async_forget_source(self.hass, self._entry.entry_id, listing.device_info)
            # the one that is replaced may run on
            self.hass.async_create_background_task(
                async_take_key_back(self.hass, self._entry.title, self._entry.unique_id or "", self._entry.data),
                f"{DOMAIN} take key back",
            )
            async_replace(self.hass, self._entry, found.mac)
        return self.async_update_reload_and_abort(self._entry, unique_id=found.mac, data_updates=data)

    def _question(self, found: Identified, step: str) -> str | None:
        """Return the step that asks whether the proxy may do without the key that it is expected to have."""
        if found.key or step == "plaintext":
            return None
        known = None if self._entry is None else self._entry.data[CONF_NOISE_PSK]
        if found.waits_for_key:  # a new one is paired with one click
            return "pair" if step != "pair" and (known or step in KEY_STEPS) else None
        return None if known == "" else "plaintext"

    def _data(self, found: Identified, entry: BluPowConfigEntry | None) -> dict[str, Any]:
        """Return what ``entry`` has to know of the proxy."""
        kept = entry is not None and found.key == entry.data.get(CONF_NOISE_PSK) and entry.data[CONF_PAIRED]
        return self._place | {
            CONF_DEVICE_NAME: found.info.name,
            CONF_NOISE_PSK: found.key,
            CONF_PAIRED: found.paired or kept,
        }

    def _key_form(self, failure: Failure | None = None) -> ConfigFlowResult:
        """Ask for the key; a user to whom it is news is told that it has changed."""
        return self._form("reauth_key" if self.source == SOURCE_REAUTH else "key", failure)

    def _form(self, step: str, failure: Failure | None = None) -> ConfigFlowResult:
        """Show the form of ``step``, with what went wrong."""
        place = self._place if self._host else None
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(vol.Schema(SCHEMAS.get(step, {})), place),
            errors={} if failure is None else {"base": failure},
            description_placeholders=self._texts,
        )

    @property
    def _is_open(self) -> bool:
        """Whether the user has not closed the dialogue."""
        try:
            self.hass.config_entries.flow.async_get(self.flow_id)
        except UnknownFlow:
            return False
        return True

    @property
    def _place(self) -> dict[str, Any]:
        return {CONF_HOST: self._host, CONF_PORT: self._port}

    @property
    def _texts(self) -> dict[str, str]:
        return {"name": self._name, "host": self._host, "port": str(self._port)}

    def _take_place(self, user_input: Mapping[str, Any]) -> None:
        self._host, self._port = user_input[CONF_HOST].strip(), user_input[CONF_PORT]

    def _take_entry(self, entry: BluPowConfigEntry) -> None:
        self._entry, self._expected, self._name = entry, entry.unique_id, entry.title
        self._take_place(entry.data)


def _works(entry: BluPowConfigEntry | None) -> bool:
    """Whether ``entry`` is connected: what works is left alone."""
    return entry is not None and entry.state is ConfigEntryState.LOADED and entry.runtime_data.reach.reached


def _key(user_input: Mapping[str, Any]) -> str:
    key: str = user_input.get(CONF_NOISE_PSK, "")
    return key.strip()
