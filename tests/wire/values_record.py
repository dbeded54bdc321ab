"""Records what the filters and formulas of a real ESPHome device make of values.

As a script: prints {name: state or null} for each of ``INPUTS`` as JSON; states that were not published are left out.
"""

import asyncio
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any, Final

from aioesphomeapi import APIClient

HOST: Final = Path(__file__).parents[1] / "reference" / "host.py"
UNAVAILABLE: Final = 69
WAIT_S: Final = 5.0
ALWAYS: Final = "L0"  # is published after each input

INPUTS: Final = [10, 10.25, 10.5, 10.75, 10, 9, 9, None, None, 9, 40, 20, 0, 0, 0.5, -0.5, -3.5, 13, 12.5, None, 100]
"""None is a value that is missing."""


async def record(port: int) -> list[dict[str, float | None]]:
    client = APIClient("127.0.0.1", port, None)
    await client.connect(login=True)
    entities, _ = await client.list_entities_services()
    keys = {entity.name: entity.key for entity in entities}
    names = {key: name for name, key in keys.items()}
    published: dict[str, float | None] = {}
    told = asyncio.Event()

    def take(state: Any) -> None:
        name = names[state.key]
        published[name] = None if state.missing_state or math.isnan(state.state) else state.state
        if name == ALWAYS:
            told.set()

    client.subscribe_states(take)
    await asyncio.wait_for(told.wait(), WAIT_S)  # all states as they are at first
    recorded = []
    for value in INPUTS:
        await client.device_info()  # what came before is through
        published.clear()
        told.clear()
        if value is None:
            client.button_command(keys["Missing"])
        else:
            client.number_command(keys["Input"], value)
        await asyncio.wait_for(told.wait(), WAIT_S)
        await client.device_info()
        recorded.append(dict(published))
    await client.disconnect()
    return recorded


def main() -> int:
    spec = importlib.util.spec_from_file_location("host", HOST)
    assert spec is not None
    assert spec.loader is not None
    host = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(host)
    try:
        host.check_built()
        host.isolate()
        with host.device("values"):
            recorded = asyncio.run(record(host.PORTS["values"]))
    except host.UnavailableError as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE
    print(json.dumps(recorded))
    return 0


if __name__ == "__main__":
    sys.exit(main())
