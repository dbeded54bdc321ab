"""What is known of each unit while the proxy is carried around."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from blupow_proxy.commands.radio import TAKEN
from blupow_proxy.commands.scan import shown_name
from blupow_proxy.commands.signal import ADVICE, Verdict, judge_replies, judge_signal
from blupow_proxy.renogy import identify_advertisement

from .window import Summary, Window

if TYPE_CHECKING:
    from blupow_proxy.ble import Advertisement

    from .link_test import LinkTest

MAX_UNITS: Final = 50  # anybody may send advertisements from any number of addresses
SILENT_S: Final = 5.0  # units advertise about every second, and one in two is missed at times
NEVER: Final = "not heard yet: is it on, and not connected to the phone app?"
SINCE: Final = "not heard for {seconds:.0f} s: out of reach, off, or connected to the phone app"


@dataclass(frozen=True, slots=True)
class Line:
    """A unit at one instant; ``trouble`` says why there is no ``verdict``."""

    address: str
    name: str
    summary: Summary | None
    verdict: Verdict | None
    trouble: str | None
    chart: str
    link: "LinkTest | None" = None

    @property
    def advice(self) -> str:
        """What it means, and what to do."""
        return self.trouble or ("" if self.verdict is None else ADVICE[self.verdict])

    @property
    def text(self) -> str:
        """The line in plain words."""
        where = f"{self.name} ({self.address})" if self.name else self.address
        verdict = "no signal" if self.verdict is None else self.verdict
        return f"{where}: {verdict}: {'; '.join(part for part in (self.figures, self.advice) if part)}"

    @property
    def figures(self) -> str:
        """What was measured."""
        if self.link is not None:
            return _link_figures(self.link)
        it = self.summary
        if it is None:
            return ""
        return f"{it.mean:.0f} dBm, worst {it.worst}, best {it.best}, heard {it.per_s:.1f} times a second"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        it, link = self.summary, self.link
        document: dict[str, Any] = {
            "address": self.address,
            "name": self.name,
            "verdict": self.verdict,
            "trouble": self.trouble,
        }
        if link is not None:
            return document | {
                "state": link.state,
                "dbm": link.rssi,
                "requests": link.requests,
                "answered_percent": None if link.percent is None else round(link.percent, 1),
                "reply_median_ms": _ms(link.median_s),
                "reply_slowest_ms": _ms(link.slowest_s),
                "losses": link.losses,
            }
        return document | {
            "dbm": None if it is None else it.latest,
            "mean_dbm": None if it is None else round(it.mean, 1),
            "worst_dbm": None if it is None else it.worst,
            "best_dbm": None if it is None else it.best,
            "per_s": None if it is None else round(it.per_s, 2),
            "silent_s": None if it is None else round(it.silent_s, 1),
        }


@dataclass(slots=True)
class Survey:
    """Listens to the units in ``names``, by address; to every Renogy unit when there are none."""

    names: Mapping[str, str]
    connected: Mapping[str, str] = field(default_factory=dict)
    _windows: dict[str, Window] = field(default_factory=dict)
    _heard_names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._windows.update((address, Window()) for address in self.names)

    def heard(self, advertisement: "Advertisement", now: float) -> None:
        """Take an advertisement."""
        address = advertisement.address.upper()
        window = self._windows.get(address)
        if window is None:
            if (
                self.names
                or len(self._windows) >= MAX_UNITS
                or not identify_advertisement(advertisement.name, advertisement.service_uuids)
            ):
                return
            window = self._windows[address] = Window()
        if advertisement.name is not None:
            self._heard_names[address] = shown_name(advertisement.name)
        window.heard(advertisement.rssi, now)

    def is_missing_any(self, now: float) -> bool:
        """Whether a unit is silent."""
        return any(_is_silent(window.silent_s(now)) for window in self._windows.values())

    def lines(self, now: float) -> list[Line]:
        """Return a line for each unit, in the order of the file, or in which they were heard first."""
        return [self._line(address, window, now) for address, window in self._windows.items()]

    def _line(self, address: str, window: Window, now: float) -> Line:
        name = self.names.get(address) or self._heard_names.get(address, "")
        summary, silent_s = window.summary(now), window.silent_s(now)
        trouble = None
        if address in self.connected and _is_silent(silent_s):
            trouble = TAKEN
        elif silent_s is None:
            trouble = NEVER
        elif _is_silent(silent_s):
            trouble = SINCE.format(seconds=silent_s)
        verdict = None if trouble is not None or summary is None else judge_signal(summary.mean)
        return Line(address, name, summary, verdict, trouble, window.chart(now))


def _is_silent(silent_s: float | None) -> bool:
    return silent_s is None or silent_s >= SILENT_S


def link_line(test: "LinkTest") -> Line:
    """Return what a link test has come to."""
    percent = test.percent
    verdict = None if percent is None else judge_replies(percent)
    trouble = None if test.is_linked and percent is not None else test.state
    return Line(test.address, test.name, None, verdict, trouble, "", test)


def _link_figures(link: "LinkTest") -> str:
    if link.percent is None:
        return ""
    parts = [f"{link.percent:.0f} % of the last {link.requests} requests answered"]
    if link.median_s is not None and link.slowest_s is not None:
        parts.append(f"within {_ms(link.median_s)} ms, the slowest {_ms(link.slowest_s)} ms")
    if link.rssi is not None:
        parts.append(f"{link.rssi} dBm when it connected")
    parts.append("no link lost" if not link.losses else f"{link.losses} link{'s' * (link.losses != 1)} lost")
    return ", ".join(parts)


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)
