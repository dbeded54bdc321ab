import logging

import pytest

from blupow_proxy.allowance import BURST_LINES, SECONDS_A_LINE, Allowance, PeerLog


def test_some_at_once_and_then_a_share() -> None:
    allowance = Allowance(3, 0.5, 100.0)
    assert [allowance.take(100.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert allowance.left_out == 2
    assert not allowance.take(101.9)
    assert allowance.take(102.0)
    assert allowance.left_out == 0
    assert not allowance.take(102.0)


def test_what_was_not_taken_is_not_saved_up_beyond_the_burst() -> None:
    allowance = Allowance(3, 0.5, 0.0)
    assert sum(allowance.take(1000.0) for _ in range(10)) == 3


def test_a_flood_of_lines_is_counted_and_other_lines_are_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    logger = logging.getLogger("peers")
    logger.setLevel(logging.INFO)
    say = PeerLog(logger, lambda: now)
    for number in range(100):
        say(logging.INFO, "Client %d", number)
    say(logging.WARNING, "Refused %s", "x")
    assert caplog.messages == [*(f"Client {number}" for number in range(BURST_LINES)), "Refused x"]
    caplog.clear()
    now += SECONDS_A_LINE
    say(logging.INFO, "Client %d", 100)
    assert caplog.messages == ["Client 100 (and 92 like it before)"]


def test_what_is_not_logged_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("peers.quiet")
    logger.setLevel(logging.INFO)
    say = PeerLog(logger, lambda: 0.0)
    for _ in range(100):
        say(logging.DEBUG, "Session ended")
    logger.setLevel(logging.DEBUG)
    say(logging.DEBUG, "Session ended")
    assert caplog.messages == ["Session ended"]
