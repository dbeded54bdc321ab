from blupow_proxy.poller.backoff import delay_s


def test_quick_at_first_and_never_above_a_minute() -> None:
    delays = [delay_s(failures) for failures in range(1, 20)]
    assert delays[0] <= 1.0
    assert delays == sorted(delays)
    assert delays[-1] == 60.0
