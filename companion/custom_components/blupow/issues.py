"""Repair issues of one proxy: what is wrong that somebody has to put right, and how."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later

from .const import DOMAIN, HELD_BY_ANOTHER, MIN_PROXY_VERSION, NEXT_PROXY_VERSION

ADAPTER_PROBLEM: Final = "adapter_problem"
CLOCK_WRONG: Final = "clock_wrong"
DUPLICATE_SCANNER: Final = "duplicate_scanner"
KEY_REMOVED: Final = "key_removed"
LINK_DOWN: Final = "link_down"
LINK_HELD: Final = "link_held"
PROXY_TOO_NEW: Final = "proxy_too_new"
PROXY_TOO_OLD: Final = "proxy_too_old"
WRONG_DEVICE: Final = "wrong_device"
UNIT_ISSUES: Final = (LINK_DOWN, LINK_HELD)


class Issues:
    """Raises issues of one config entry, and takes them back.

    What was wrong the last time stays an issue until it is known to be right: one that came and went with each
    connection would forget that the user has chosen to ignore it.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], report_after_min: int) -> None:
        """Report a unit that was out of reach for ``report_after_min`` minutes; never with 0."""
        self._hass = hass
        self._entry = entry
        self._entry_id = entry.entry_id
        self._report_after_min = report_after_min
        self._timers: dict[int, CALLBACK_TYPE] = {}
        self._statuses: dict[int, tuple[str, str]] = {}  # by unit: its name, and why it is out of reach

    @callback
    def async_show(self, key: str, *, wrong: bool, **placeholders: Any) -> None:
        """Raise the issue with this translation key while something is ``wrong``."""
        self._show(key, key, wrong=wrong, placeholders=placeholders)

    @callback
    def async_check_version(self, version: str) -> None:
        """Compare the proxy's version with those whose vocabulary is known."""
        found = AwesomeVersion(version)
        known = found.valid and found.strategy is not AwesomeVersionStrategy.SPECIALCONTAINER  # such as "dev"
        self.async_show(
            PROXY_TOO_OLD, wrong=known and found < MIN_PROXY_VERSION, version=version, minimum=MIN_PROXY_VERSION
        )
        self.async_show(
            PROXY_TOO_NEW, wrong=known and found >= NEXT_PROXY_VERSION, version=version, maximum=NEXT_PROXY_VERSION
        )

    @callback
    def async_unit(self, device_id: int, name: str, out_of_reach: str | None) -> None:
        """Report a unit some time after it got ``out_of_reach``, which says why; None while it is fine."""
        if out_of_reach is None or not self._report_after_min:
            self._forget_unit(device_id)
            return
        self._statuses[device_id] = name, out_of_reach
        if any(self._is_shown(_of_unit(key, device_id)) for key in UNIT_ISSUES):
            self._show_unit(device_id)
        elif device_id not in self._timers:
            report = partial(self._report, device_id)
            self._timers[device_id] = async_call_later(self._hass, self._report_after_min * 60, report)

    @callback
    def async_keep_units(self, device_ids: Iterable[int]) -> None:
        """Take back what is reported of all other units: they are gone."""
        kept = {_of_unit(key, device_id) for key in UNIT_ISSUES for device_id in device_ids}
        for issue in _shown(self._hass, self._entry_id):
            if issue.startswith(UNIT_ISSUES) and issue not in kept:
                self._forget_unit(int(issue.rpartition("_")[2], 16))

    @callback
    def async_wait(self) -> None:
        """Go on reporting nothing new: nothing is known any more."""
        for cancel in self._timers.values():
            cancel()
        self._timers.clear()
        self._statuses.clear()

    @callback
    def _report(self, device_id: int, _: Any) -> None:
        del self._timers[device_id]
        self._show_unit(device_id)

    def _forget_unit(self, device_id: int) -> None:
        self._statuses.pop(device_id, None)
        if (cancel := self._timers.pop(device_id, None)) is not None:
            cancel()
        for key in UNIT_ISSUES:
            self._show(_of_unit(key, device_id), key, wrong=False, placeholders={})

    def _show_unit(self, device_id: int) -> None:
        name, reason = self._statuses[device_id]
        placeholders = {"unit": name, "reason": reason, "minutes": self._report_after_min}
        said = LINK_HELD if HELD_BY_ANOTHER in reason else LINK_DOWN
        for key in UNIT_ISSUES:
            self._show(_of_unit(key, device_id), key, wrong=key == said, placeholders=placeholders)

    def _is_shown(self, issue: str) -> bool:
        found = ir.async_get(self._hass).async_get_issue(DOMAIN, f"{self._entry_id}_{issue}")
        return found is not None and found.active  # what was stored is ignored, and not raised again yet

    def _show(self, issue: str, key: str, *, wrong: bool, placeholders: dict[str, Any]) -> None:
        issue_id = f"{self._entry_id}_{issue}"
        if not wrong:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        texts = {name: str(text) for name, text in placeholders.items()}
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"name": self._entry.title} | texts,
        )


@callback
def async_clear(hass: HomeAssistant, entry_id: str) -> None:
    """Take back every issue of an entry that is used no more."""
    for issue in _shown(hass, entry_id):
        ir.async_delete_issue(hass, DOMAIN, f"{entry_id}_{issue}")


def _of_unit(key: str, device_id: int) -> str:
    return f"{key}_{device_id:08x}"


def _shown(hass: HomeAssistant, entry_id: str) -> list[str]:
    """Return what ``_show`` calls the issues that there are of an entry."""
    prefix = f"{entry_id}_"
    found = [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]
    return [issue.removeprefix(prefix) for issue in found if issue.startswith(prefix)]
