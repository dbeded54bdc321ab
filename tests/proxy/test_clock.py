import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blupow_proxy.clock import Clock

TRUE = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class Host:
    """A host's two clocks, at the true time."""

    def __init__(self, synchronised: Path = Path("/nonexistent")) -> None:
        self.wall = TRUE.timestamp()
        self.monotonic = 100.0
        self.clock = Clock(wall=lambda: self.wall, monotonic=lambda: self.monotonic, synchronised=synchronised)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def hear(self) -> None:
        self.clock.heard(int(TRUE.timestamp() + self.monotonic - 100.0))


def test_without_a_client_it_is_the_hosts_time() -> None:
    host = Host()
    assert host.clock.now() == TRUE
    assert not host.clock.wrong


def test_a_clock_that_is_a_little_off_is_left_alone() -> None:
    host = Host()
    host.wall += 59
    host.hear()
    assert not host.clock.wrong
    assert host.clock.now() == TRUE + timedelta(seconds=59)


@pytest.mark.parametrize("off", [timedelta(days=3650), timedelta(hours=-1)])
def test_a_wrong_clock_is_corrected_and_told_once(off: timedelta, caplog: pytest.LogCaptureFixture) -> None:
    host = Host()
    host.wall += off.total_seconds()
    with caplog.at_level(logging.WARNING):
        host.hear()
        host.pass_time(90)
        host.hear()
    assert host.clock.wrong
    assert host.clock.now() == TRUE + timedelta(seconds=90)
    (record,) = caplog.records
    assert f"off by {off.total_seconds():.0f} s" in record.getMessage()


def test_a_clock_that_was_set_right_is_believed_again(caplog: pytest.LogCaptureFixture) -> None:
    host = Host()
    host.wall -= 86_400
    host.hear()
    host.wall += 86_400
    assert not host.clock.wrong
    host.hear()
    host.wall -= 86_400
    host.hear()
    assert len(caplog.records) == 2


def test_a_host_that_asks_a_time_server_knows_better(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.wall += 86_400
    host.hear()
    assert not host.clock.wrong
    assert host.clock.now() == TRUE + timedelta(days=1)


def test_a_client_that_has_no_time_is_not_heard() -> None:
    host = Host()
    host.clock.heard(0)
    assert not host.clock.wrong
    host.clock.heard(0xFFFFFFFF)  # the largest that the wire carries
    assert host.clock.now().year == 2106
