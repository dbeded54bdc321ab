"""What ``filters:`` do to a sensor's values: each passes a value on, changed or not, or holds it back."""

from bisect import bisect_right
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from blupow_config import Delta, Filter, Linear, Throttle

MAX_VALUE: Final = (2 - 2**-23) * 2.0**127  # FLT_MAX: states travel as single precision, which has none above


class _Held(Enum):
    HELD = auto()


HELD: Final = _Held.HELD
"""The value that was passed on before goes on to be shown."""


class Filters:
    """The filters of one sensor, in their order.

    A value that is missing is passed on at once, and so is the next one: what is shown is never a reading that is gone.
    What no client can be told, as it is infinite or above ``MAX_VALUE``, is missing as well.
    """

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._steps = [_step(each) for each in filters]

    def apply(self, value: float | None, now_s: float) -> float | _Held | None:
        """Return what to show instead of the one before, None being missing; HELD to leave that."""
        passed = None if value is None else self._passed(value, now_s)
        if passed is None or (passed is not HELD and not abs(passed) <= MAX_VALUE):  # so worded, NaN is neither
            for step in self._steps:
                step.forget()
            return None
        return passed

    def _passed(self, value: float, now_s: float) -> float | _Held:
        for step in self._steps:
            passed = step.apply(value, now_s)
            if passed is HELD:
                return HELD
            value = passed
        return value


class _Linear:
    def __init__(self, spec: Linear) -> None:
        self._starts = [start for start, _, _ in spec.pieces[1:]]
        self._pieces = [(slope, intercept) for _, slope, intercept in spec.pieces]

    def apply(self, value: float, _now_s: float) -> float | _Held:
        slope, intercept = self._pieces[bisect_right(self._starts, value)]
        return slope * value + intercept

    def forget(self) -> None:
        """Nothing is kept."""


class _Delta:
    def __init__(self, spec: Delta) -> None:
        self._spec = spec
        self._last: float | None = None

    def apply(self, value: float, _now_s: float) -> float | _Held:
        spec, last = self._spec, self._last
        if last is not None:
            difference = abs(value - last)
            if difference <= abs(spec.least + spec.least_share * last):
                return HELD
            if difference > abs(spec.most + spec.most_share * last):
                return HELD
        self._last = value
        return value

    def forget(self) -> None:
        self._last = None


class _Throttle:
    def __init__(self, spec: Throttle) -> None:
        self._period_s = spec.period_s
        self._passed_s: float | None = None

    def apply(self, value: float, now_s: float) -> float | _Held:
        if self._passed_s is not None and now_s - self._passed_s < self._period_s:
            return HELD
        self._passed_s = now_s
        return value

    def forget(self) -> None:
        self._passed_s = None


def _step(spec: Filter) -> _Linear | _Delta | _Throttle:
    match spec:
        case Linear():
            return _Linear(spec)
        case Delta():
            return _Delta(spec)
        case Throttle():
            return _Throttle(spec)
