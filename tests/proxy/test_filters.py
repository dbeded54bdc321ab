"""What filters do about time and missing values; tests/wire/test_values.py compares them with ESPHome's."""

import math

import pytest

from blupow_config import Delta, Linear, Throttle
from blupow_proxy.filters import HELD, MAX_VALUE, Filters
from blupow_proxy.native_api import SensorEntity

TWICE = Linear(((-math.inf, 2.0, 0.0),))


def test_none_change_nothing() -> None:
    assert Filters(()).apply(1.5, 0.0) == 1.5
    assert Filters(()).apply(None, 0.0) is None


def test_they_act_in_their_order() -> None:
    filters = Filters((TWICE, Delta(least=1.0)))
    assert filters.apply(1.0, 0.0) == 2.0
    assert filters.apply(1.5, 1.0) is HELD
    assert filters.apply(1.6, 2.0) == 3.2


def test_a_throttle_passes_one_value_in_its_time() -> None:
    filters = Filters((Throttle(10.0),))
    assert filters.apply(1.0, 100.0) == 1.0
    assert filters.apply(2.0, 109.9) is HELD
    assert filters.apply(3.0, 110.0) == 3.0


def test_what_is_gone_is_missing_at_once_and_what_is_back_is_shown() -> None:
    filters = Filters((Throttle(10.0), Delta(least=5.0)))
    assert filters.apply(1.0, 0.0) == 1.0
    assert filters.apply(None, 1.0) is None
    assert filters.apply(1.1, 2.0) == 1.1
    assert filters.apply(9.0, 3.0) is HELD


def test_what_a_delta_holds_back_does_not_move_what_it_compares_with() -> None:
    filters = Filters((Delta(least=1.0),))
    shown = [filters.apply(step / 4, 0.0) for step in range(10)]
    assert [value for value in shown if value is not HELD] == [0.0, 1.25]


def test_a_spike_is_held_back() -> None:
    filters = Filters((Delta(most=10.0, most_share=0.0),))
    assert [filters.apply(value, 0.0) for value in (5.0, 500.0, 6.0)] == [5.0, HELD, 6.0]


def test_the_largest_value_can_be_told() -> None:
    entity = SensorEntity(name="Charge")
    for value in (MAX_VALUE, -MAX_VALUE, 10**38):
        assert Filters(()).apply(value, 0.0) == value
        assert entity.state_packet(value)


@pytest.mark.parametrize(
    "value", [math.nextafter(MAX_VALUE, math.inf), -1e39, 1e300, 10**400, math.inf, -math.inf, math.nan]
)
def test_what_no_client_can_be_told_is_missing(value: float) -> None:
    assert Filters(()).apply(value, 0.0) is None


def test_what_filters_make_too_large_is_missing_until_it_is_not() -> None:
    filters = Filters((Linear(((-math.inf, 1e38, 0.0),)), Delta(least=1e38)))
    assert [filters.apply(value, 0.0) for value in (1.0, 1.5, 4.0, 1.5)] == [1e38, HELD, None, 1.5e38]
    assert Filters((Linear(((-math.inf, 1e99, 0.0),)), Throttle(10.0))).apply(1.0, 0.0) is None
