"""Who is told that something is reached, or lost."""

from unittest.mock import Mock

import pytest

from custom_components.blupow.reach import Reach


def test_listeners_are_told_of_changes_until_they_stop() -> None:
    reach, listener = Reach(), Mock()
    stop = reach.async_listen(listener)
    reach.async_set(reached=False)
    listener.assert_not_called()
    reach.async_set(reached=True)
    listener.assert_called_once()
    stop()
    reach.async_set(reached=False)
    listener.assert_called_once()


def test_one_listeners_trouble_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    reach, other = Reach(), Mock()
    reach.async_listen(Mock(side_effect=ValueError))
    reach.async_listen(other)
    reach.async_set(reached=True)
    other.assert_called_once()
    assert "could not be shown" in caplog.text
