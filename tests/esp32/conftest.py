from pathlib import Path

import pytest
from driver import build


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver, compiled once."""
    return build(tmp_path_factory.mktemp("driver"))
