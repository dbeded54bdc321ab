import contextlib
from pathlib import Path

import host
import pytest
from driver import build

# The firmware listens on every address: it is not to be served to the LAN. Before any thread is there, or not at all.
with contextlib.suppress(host.UnavailableError):
    host.isolate()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver, compiled once."""
    return build(tmp_path_factory.mktemp("driver"))
