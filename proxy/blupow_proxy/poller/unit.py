"""One Renogy unit: what is known of it, what it reads now, and how well its link does."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Final

from blupow_proxy.renogy import (
    Family,
    Schedule,
    State,
    Value,
    daily_keys,
    identify_model,
    lifetime_keys,
    problem_state,
    to_states,
)

FRESH_PERIODS: Final = 3  # a value older than three poll periods is not shown
FRESH_FLOOR_S: Final = 6.0  # one lost reply (2 s), the silence after it (1 s) and a retry of it must fit
SLOW_FRESH_S: Final = 900.0  # three slow periods
NEW_DAY_SHARE: Final = 0.1  # of the day's total: what is less belongs to a new day
# For longer without a credible total, the new one is believed: a day may have ended unseen, a device been replaced.
TOTAL_GAP_S: Final = 600.0
UNREADABLE: Final = "answers, but with no readings that can be shown"
PATIENCE_S: Final = 5.0  # a loss that is mended within seconds is no warning; and all may be one of the adapter
QUALITY_REQUESTS: Final = 100  # the last requests that the link quality is a share of

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """What the user says of a unit; ``family`` None is to be found out."""

    id: str
    name: str
    address: str
    family: Family | None = None
    variant: str | None = None
    modbus_address: int | None = None
    interval_s: float = 2.0
    load_switch: bool = False
    area: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was found out of a unit; ``keys`` are the states that it has had a value for."""

    family: Family
    variant: str | None = None
    model: str | None = None
    modbus_address: int | None = None
    keys: frozenset[str] = frozenset()

    @property
    def identity(self) -> tuple[Family, str | None, str | None]:
        """What makes it another device, whose keys and readings are not this one's."""
        return self.family, self.variant, self.model


@dataclass(slots=True)
class _Reading:
    value: Value
    expires_s: float


@dataclass(slots=True)
class Unit:
    """A unit's present; ``on_change`` is called when anything shown has changed, ``on_profile`` when more is known."""

    spec: UnitSpec
    profile: Profile | None = None
    connected: bool = False
    status: str = "starting"
    rssi: int | None = None
    failed_requests: int = 0
    last_reading: datetime | None = None
    states: Mapping[str, State] = field(default_factory=dict)
    times_read: Counter[str] = field(default_factory=Counter)  # each state: an equal one may be a new reading
    on_change: Callable[["Unit"], None] = lambda _: None
    on_profile: Callable[["Unit"], None] = lambda _: None
    wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _readings: dict[str, _Reading] = field(default_factory=dict)
    _requests: deque[bool] = field(default_factory=lambda: deque(maxlen=QUALITY_REQUESTS))
    _next_expiry: float = inf
    _connected_until: float = inf  # without a new live reading
    _totals: dict[str, tuple[float, float]] = field(default_factory=dict)
    _complaint: str | None = ""  # what the log says last: None while all is well, "" at the start
    _trouble: str | None = None  # what it is about to say
    _trouble_since: float | None = None

    @property
    def link_quality(self) -> int | None:
        """Percent of the last 100 requests that were answered; None before the first."""
        return round(100 * sum(self._requests) / len(self._requests)) if self._requests else None

    @property
    def load_switchable(self) -> bool:
        """Whether the load may be switched: enabled by the user, and the model proves a controller."""
        model = None if self.profile is None else self.profile.model
        return self.spec.load_switch and model is not None and identify_model(model) is Family.CONTROLLER

    def identified(self, profile: Profile) -> None:
        """Take what the device proved to be; readings and keys of another device are forgotten."""
        known = self.profile
        if known is not None and known.identity == profile.identity:
            self.profile = replace(profile, keys=known.keys)
        else:
            self.profile = profile
            self._readings.clear()
            self._totals.clear()
            self._show()

    def requested(self, *, answered: bool) -> None:
        """Count a request; an answer's readings are news enough."""
        self._requests.append(answered)
        if not answered:
            self.failed_requests += 1
            self.on_change(self)

    def update(self, readings: Mapping[str, Value], fresh_s: float, now: float) -> None:
        """Take new readings, shown for ``fresh_s`` seconds unless they are read again."""
        believed = {key: None if self._is_glitch(key, value, now) else value for key, value in readings.items()}
        self._readings |= {key: _Reading(value, now + fresh_s) for key, value in believed.items()}
        self._next_expiry = min(self._next_expiry, now + fresh_s)
        if fresh_s < SLOW_FRESH_S:
            self._connected_until = now + fresh_s
        if now < self._connected_until:
            if self._complaint is not None:
                _LOGGER.info("%s: connected", self.spec.name)
            elif self._trouble is not None:
                _LOGGER.info("%s: connected again; before: %s", self.spec.name, self._trouble)
            self._complaint = self._trouble = self._trouble_since = None
            self.connected = True
            self.status = "connected"
            self.last_reading = self.wall_clock()
        self._show(believed)

    def settle(self) -> None:
        """Note which states this unit has, once all that is due was read."""
        profile = self.profile
        if profile is None:
            return
        new = {key for key, state in self.states.items() if state is not None and key not in profile.keys}
        if new:
            self.profile = replace(profile, keys=profile.keys | new)
            self.on_profile(self)

    def linked(self, rssi: int | None, status: str = "linked, finding out what it is") -> None:
        """Note that there is a link, over which nothing was read yet; ``rssi`` in dBm as it was before."""
        if (self.connected, self.status, self.rssi) != (False, status, rssi):
            self.connected, self.status, self.rssi = False, status, rssi
            self.on_change(self)

    def down(self, status: str, *, quiet: bool = False) -> None:
        """Note that there is no link, and why; what was read is shown until it is stale. ``quiet``: others log it."""
        self.linked(None, status)
        if quiet:
            self._complaint, self._trouble = status, None
        elif status != self._complaint:
            self._trouble = status

    def expire(self, now: float) -> None:
        """Stop showing what is stale at ``now``; log what has been wrong for a while."""
        self._complain(now)
        if now < self._next_expiry:
            return
        self._readings = {key: reading for key, reading in self._readings.items() if now < reading.expires_s}
        self._next_expiry = min((reading.expires_s for reading in self._readings.values()), default=inf)
        if self.connected and now >= self._connected_until:
            self.linked(self.rssi, UNREADABLE)
        self._show()

    def _complain(self, now: float) -> None:
        if self._trouble is None:
            self._trouble_since = None
        elif self._trouble_since is None:
            self._trouble_since = now
        elif now - self._trouble_since >= PATIENCE_S:
            _LOGGER.warning("%s: %s", self.spec.name, self._trouble)
            self._complaint, self._trouble = self._trouble, None

    def _show(self, news: Mapping[str, Value] | None = None) -> None:
        """Work out the states anew: of what is ``news``, or of all."""
        readings = {key: reading.value for key, reading in self._readings.items()}
        profile = self.profile
        if profile is None:
            self.states = {}
        else:
            kept = {} if news is None else self.states
            changed = to_states(profile.family, readings if news is None else news)
            if news is not None:
                self.times_read.update(changed.keys())
            self.states = {**kept, **changed, **problem_state(profile.family, readings, profile.keys)}
        self.on_change(self)

    def _is_glitch(self, key: str, value: Value, now: float) -> bool:
        """Whether a total falls: a lifetime's, or a day's without a new day, as some chargers' at a change of source.

        Home Assistant would add the whole of it once more when it is there again.
        """
        if self.profile is None or not isinstance(value, int | float):
            return False
        is_lifetime = key in lifetime_keys(self.profile.family)
        if not is_lifetime and key not in daily_keys(self.profile.family):
            return False
        most, at = self._totals.get(key, (value, now))
        is_new_day = not is_lifetime and value <= NEW_DAY_SHARE * most
        glitch = value < most and not is_new_day and now - at < TOTAL_GAP_S
        self._totals[key] = (most, at) if glitch else (value, now)
        return glitch


def fresh_s(schedule: Schedule, interval_s: float, cycle_s: float, retry_s: float = 0.0) -> float:
    """Return how long a block's values count as current; ``cycle_s`` is what one pass over the link takes.

    ``retry_s`` is for how much longer than on a link of its own the retry of a lost reply may be away.
    """
    match schedule:
        case Schedule.POLL:
            return max(FRESH_PERIODS * max(interval_s, cycle_s), FRESH_FLOOR_S + retry_s)
        case Schedule.SLOW:
            return SLOW_FRESH_S
        case _:
            return inf
