"""Repair issues of one proxy: what is wrong that somebody has to put right, and how."""

from functools import partial
from typing import Any, Final

from awesomeversion import AwesomeVersion

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


class Issues:
    """Raises issues of one config entry, and takes them back."""

    def __init__(self, hass: HomeAssistant, entry_id: str, title: str, report_after_min: int) -> None:
        """Report a unit that was out of reach for ``report_after_min`` minutes; never with 0."""
        self._hass = hass
        self._entry_id = entry_id
        self._title = title
        self._report_after_min = report_after_min
        self._raised: set[str] = set()
        self._timers: dict[int, CALLBACK_TYPE] = {}
        self._statuses: dict[int, tuple[str, str]] = {}  # by unit: its name, and why it is out of reach
        self._reported: set[int] = set()

    @callback
    def async_show(self, key: str, *, wrong: bool, **placeholders: Any) -> None:
        """Raise the issue with this translation key while something is ``wrong``."""
        self._show(key, key, wrong=wrong, placeholders=placeholders)

    @callback
    def async_check_version(self, version: str) -> None:
        """Compare the proxy's version with those whose vocabulary is known."""
        found = AwesomeVersion(version)
        known = found.valid and version != ""
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
            self._statuses.pop(device_id, None)
            self._reported.discard(device_id)
            if (cancel := self._timers.pop(device_id, None)) is not None:
                cancel()
            self._show_unit(device_id, None)
            return
        self._statuses[device_id] = name, out_of_reach
        if device_id in self._reported:
            self._show_unit(device_id, self._statuses[device_id])
        elif device_id not in self._timers:
            report = partial(self._report, device_id)
            self._timers[device_id] = async_call_later(self._hass, self._report_after_min * 60, report)

    @callback
    def async_clear(self) -> None:
        """Take back every issue: nothing is known any more."""
        for cancel in self._timers.values():
            cancel()
        self._timers.clear()
        self._statuses.clear()
        self._reported.clear()
        for issue_id in tuple(self._raised):
            self._delete(issue_id)

    @callback
    def _report(self, device_id: int, _: Any) -> None:
        del self._timers[device_id]
        self._reported.add(device_id)
        self._show_unit(device_id, self._statuses[device_id])

    def _show_unit(self, device_id: int, status: tuple[str, str] | None) -> None:
        name, reason = status or ("", "")
        held = HELD_BY_ANOTHER in reason
        placeholders = {"unit": name, "reason": reason, "minutes": self._report_after_min}
        for key, wrong in ((LINK_HELD, held), (LINK_DOWN, not held)):
            self._show(f"{key}_{device_id:08x}", key, wrong=status is not None and wrong, placeholders=placeholders)

    def _show(self, issue: str, key: str, *, wrong: bool, placeholders: dict[str, Any]) -> None:
        issue_id = f"{self._entry_id}_{issue}"
        if not wrong:
            if issue_id in self._raised:
                self._delete(issue_id)
            return
        self._raised.add(issue_id)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"name": self._title} | {key: str(text) for key, text in placeholders.items()},
        )

    def _delete(self, issue_id: str) -> None:
        self._raised.discard(issue_id)
        ir.async_delete_issue(self._hass, DOMAIN, issue_id)
