from collections.abc import Collection, Iterator

import pytest


class EveryKey(Collection[str]):
    """Holds every key, and can tell none."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture
def every_key() -> EveryKey:
    """The keys of a device that has everything that its family can have."""
    return EveryKey()
