import pytest

from blupow_proxy.errors import (
    AdapterLostError,
    AdapterUnavailableError,
    DeviceNotFoundError,
    LinkLostError,
    NoFreeSlotError,
    UnexpectedResponseError,
)
from blupow_proxy.poller.backoff import delay_s

OF_A_DEVICE = (
    DeviceNotFoundError("A", ""),
    LinkLostError("A", ""),
    NoFreeSlotError("A", ""),
    UnexpectedResponseError(""),
)


@pytest.mark.parametrize("error", [*OF_A_DEVICE, UnexpectedResponseError(""), None], ids=repr)
def test_gentler_with_each_failure_and_never_above_a_minute(error: Exception | None) -> None:
    delays = [delay_s(error, failures) for failures in range(1, 20)]
    assert delays == sorted(delays)
    assert 0.25 <= delays[0] <= 4.0
    assert 40.0 <= delays[-1] <= 60.0


@pytest.mark.parametrize("error", [AdapterUnavailableError("adapter", ""), AdapterLostError("adapter", "")], ids=repr)
def test_an_adapter_is_looked_for_at_an_even_pace(error: Exception) -> None:
    assert {delay_s(error, failures) for failures in range(1, 20)} == {5.0}


def test_three_refused_connections_cost_little() -> None:
    assert sum(delay_s(LinkLostError("A", ""), failures) for failures in range(1, 5)) <= 3.0
