"""A small off-grid system under a day of sun: what its devices measure agrees, because they measure the same system."""

from dataclasses import dataclass, field
from math import pi, sin
from typing import Final

DAY_S: Final = 86_400.0
_STEP_S: Final = 60.0  # the model's own resolution; a longer pause is walked through in such steps
_MAX_STEPS: Final = 1_440  # never more than one simulated day at once
_CAPACITY_AH: Final = 100.0
_NEARLY_FULL: Final = 0.03  # of its charge, from full: where the chargers begin to hold back
_SUNRISE_H: Final = 6.0
_SUNSET_H: Final = 20.0
_CONTROLLER_PEAK_W: Final = 420.0
_CHARGER_PEAK_W: Final = 160.0
_DRIVING_H: Final = (8.0, 9.0)
_DRIVING_A: Final = 25.0
_EFFICIENCY: Final = 0.95
_LOAD_A: Final = 2.5
_BASE_LOAD_W: Final = 25.0
_SWING_W: Final = 20.0
_SWING_S: Final = 3 * 3600.0  # slow: units are read one after the other, and what they show has to add up


@dataclass(slots=True)
class Day:
    """Counters that start again each simulated midnight, and lowest and highest values."""

    controller_wh: float = 0.0
    controller_ah: float = 0.0
    load_wh: float = 0.0
    load_ah: float = 0.0
    charger_wh: float = 0.0
    charger_ah: float = 0.0
    inverter_wh: float = 0.0
    volts_low: float = 99.0
    volts_high: float = 0.0
    controller_peak_a: float = 0.0
    controller_peak_w: float = 0.0
    load_peak_a: float = 0.0
    load_peak_w: float = 0.0
    charger_peak_a: float = 0.0
    charger_peak_w: float = 0.0

    def note(self, world: "World", hours: float) -> None:
        """Add what flowed during ``hours``."""
        self.controller_wh += world.controller_w * hours
        self.controller_ah += world.controller_a * hours
        self.load_wh += world.load_w * hours
        self.load_ah += world.load_a * hours
        self.charger_wh += world.charger_w * hours
        self.charger_ah += world.charger_a * hours
        self.inverter_wh += world.inverter_w * hours
        self.volts_low = min(self.volts_low, world.battery_v)
        self.volts_high = max(self.volts_high, world.battery_v)
        self.controller_peak_a = max(self.controller_peak_a, world.controller_a)
        self.controller_peak_w = max(self.controller_peak_w, world.controller_w)
        self.load_peak_a = max(self.load_peak_a, world.load_a)
        self.load_peak_w = max(self.load_peak_w, world.load_w)
        self.charger_peak_a = max(self.charger_peak_a, world.charger_a)
        self.charger_peak_w = max(self.charger_peak_w, world.charger_in_w)


@dataclass(slots=True)
class World:
    """Panels, a battery, a controller with a load, a DC-DC charger and an inverter; ``speed`` simulated s per s."""

    speed: float = 60.0
    clock_s: float = 10.0 * 3600  # simulated time of day at the start
    soc: float = 0.62
    load_on: bool = True
    today: Day = field(default_factory=Day)
    total: Day = field(default_factory=lambda: Day(controller_wh=412_350.0, load_wh=96_210.0, charger_wh=76_580.0))
    days: int = 703
    _last: float | None = None

    @property
    def hour(self) -> float:
        """Simulated hour of the day, 0..24."""
        return self.clock_s % DAY_S / 3600

    @property
    def sun(self) -> float:
        """Share of the peak that the panels give, 0..1."""
        return max(0.0, sin(pi * (self.hour - _SUNRISE_H) / (_SUNSET_H - _SUNRISE_H))) if self.hour < _SUNSET_H else 0.0

    @property
    def battery_v(self) -> float:
        """Volts at the battery, following its charge."""
        return round(12.6 + 1.0 * self.soc, 1)

    @property
    def appetite(self) -> float:
        """Share of what the chargers could give that the battery takes, 0..1: less when it is nearly full."""
        return min(1.0, (1.0 - self.soc) / _NEARLY_FULL)

    @property
    def controller_a(self) -> float:
        """Amperes from the solar controller into the battery."""
        return round(_CONTROLLER_PEAK_W * self.sun * _EFFICIENCY * self.appetite / self.battery_v, 2)

    @property
    def controller_w(self) -> float:
        """Watts from the solar controller."""
        return float(round(self.battery_v * self.controller_a))

    @property
    def load_a(self) -> float:
        """Amperes of the controller's load output."""
        return _LOAD_A if self.load_on else 0.0

    @property
    def load_w(self) -> float:
        """Watts of the controller's load output."""
        return float(round(self.battery_v * self.load_a))

    @property
    def alternator_a(self) -> float:
        """Amperes from the alternator."""
        return round(_DRIVING_A * self.appetite, 2) if _DRIVING_H[0] <= self.hour < _DRIVING_H[1] else 0.0

    @property
    def charger_solar_a(self) -> float:
        """Amperes from the DC-DC charger's own panel, at 18.5 V."""
        return round(_CHARGER_PEAK_W * self.sun * self.appetite / 18.5, 2)

    @property
    def charger_in_w(self) -> float:
        """Watts into the DC-DC charger."""
        return 13.8 * self.alternator_a + 18.5 * self.charger_solar_a

    @property
    def charger_a(self) -> float:
        """Amperes from the DC-DC charger into the battery."""
        return round(self.charger_in_w * _EFFICIENCY / self.battery_v, 2)

    @property
    def charger_w(self) -> float:
        """Watts from the DC-DC charger."""
        return float(round(self.battery_v * self.charger_a))

    @property
    def inverter_w(self) -> float:
        """Watts of the AC load: a base, and what comes and goes over the hours."""
        return float(round(_BASE_LOAD_W + _SWING_W * (1 + sin(2 * pi * self.clock_s / _SWING_S))))

    @property
    def inverter_va(self) -> float:
        """Volt-amperes of the AC load."""
        return float(round(self.inverter_w * 1.05))

    @property
    def inverter_a(self) -> float:
        """Amperes that the inverter takes from the battery, positive."""
        return round(self.inverter_w / 0.9 / self.battery_v, 1)

    @property
    def battery_a(self) -> float:
        """Amperes into the battery: what all others give and take together."""
        return round(self.controller_a + self.charger_a - self.load_a - self.inverter_a, 2)

    @property
    def celsius(self) -> float:
        """Temperature of the surroundings."""
        return round(18.0 + 10.0 * self.sun, 1)

    def advance(self, now: float) -> None:
        """Move on to ``now`` (monotonic seconds)."""
        if self._last is None:
            self._last = now
            self._step(0.0)
        left = (now - self._last) * self.speed
        self._last = now
        for _ in range(_MAX_STEPS):
            if left <= 0:
                return
            self._step(min(left, _STEP_S))
            left -= _STEP_S

    def _step(self, seconds: float) -> None:
        hours = seconds / 3600
        day = int(self.clock_s // DAY_S)
        self.soc = min(1.0, max(0.1, self.soc + self.battery_a * hours / _CAPACITY_AH))
        self.clock_s += seconds
        if int(self.clock_s // DAY_S) != day:
            self.today = Day()
            self.days += 1
        self.today.note(self, hours)
        self.total.note(self, hours)
