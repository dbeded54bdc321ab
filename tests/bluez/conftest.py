from collections.abc import AsyncIterator

import pytest
from rig import Rig, booted


@pytest.fixture(scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A guest for the tests of a module, with nothing in it yet."""
    async with booted(tmp_path_factory.mktemp(request.module.__name__)) as rig:
        yield rig
