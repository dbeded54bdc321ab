"""The Renogy units that are heard, as they come."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from blupow_proxy.commands.scan import shown_name
from blupow_proxy.commands.signal import bars
from blupow_proxy.renogy import Candidate, Family, identify_advertisement

if TYPE_CHECKING:
    from collections.abc import Collection

    from blupow_proxy.ble import Advertisement

MAX_UNITS: Final = 50  # anybody may send advertisements from any number of addresses
SILENT_S: Final = 10.0  # units advertise about every second
_NEW_SHARE: Final = 0.3  # of a signal that jumps by several dB from one advertisement to the next


@dataclass(slots=True)
class HeardUnit:
    """A unit nearby: what it may be, its smoothed signal in dBm, and when it was heard last; None is not known."""

    address: str
    name: str | None
    candidate: Candidate | None
    rssi: float | None
    at_s: float

    @property
    def family(self) -> Family | None:
        """The family that its name tells."""
        families = self.candidate.families if self.candidate is not None else ()
        return families[0] if len(families) == 1 else None

    @property
    def title(self) -> str:
        """Its name, or its address, fit for a terminal."""
        return shown_name(self.name or self.address)

    @property
    def label(self) -> str:
        """What it may be, for a person."""
        return "" if self.candidate is None else self.candidate.label

    @property
    def signal(self) -> str:
        """Its signal, in bars and dBm."""
        return "" if self.rssi is None else f"{bars(self.rssi)} {self.rssi:4.0f} dBm"

    def is_silent(self, now: float) -> bool:
        """Whether it has not been heard for a while."""
        return now - self.at_s > SILENT_S


@dataclass(slots=True)
class Nearby:
    """``units`` in the order in which they were heard first, without those that are ``known``."""

    known: "Collection[str]" = ()
    units: list[HeardUnit] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)

    def heard(self, advertisement: "Advertisement", now: float) -> None:
        """Take an advertisement."""
        address = advertisement.address.upper()
        unit = next((unit for unit in self.units if unit.address == address), None)
        if unit is None:
            candidate = identify_advertisement(advertisement.name, advertisement.service_uuids)
            if candidate is None or len(self.units) >= MAX_UNITS:
                return
            if address in self.known:
                self.left_out.add(address)
                return
            self.units.append(HeardUnit(address, advertisement.name, candidate, advertisement.rssi, now))
            return
        before = advertisement.rssi if unit.rssi is None else unit.rssi
        unit.rssi = before + _NEW_SHARE * (advertisement.rssi - before)
        unit.at_s = now
        if unit.name is None and advertisement.name is not None:  # it comes with the scan response
            unit.name = advertisement.name
            unit.candidate = identify_advertisement(advertisement.name, advertisement.service_uuids) or unit.candidate
