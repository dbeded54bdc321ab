import os
from collections.abc import AsyncIterator

import pytest
from rig import NoRigError, Rig


@pytest.fixture(scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A guest for the tests of a module, with nothing in it yet."""
    rig = Rig(tmp_path_factory.mktemp(request.module.__name__))
    try:
        await rig.__aenter__()
    except NoRigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no real BlueZ here: {error}")
    yield rig
    await rig.__aexit__()
