"""Whether a reader gets on: what waits for ever looks like patience from outside."""

import asyncio
from math import inf
from typing import Final

# The longest step is a request: a pause, 6 s until a late reply can't come any more, 5 s to write, 11 s for the reply
# of an inverter behind a hub, 3 s of silence after it. A machine that is busy takes longer.
STEP_S: Final = 60.0


class Progress:
    """By when, in the loop's time, a reader's next step is due; one that has not started is not late."""

    def __init__(self) -> None:
        self._due = inf

    @property
    def is_late(self) -> bool:
        """Whether the reader is stuck: its next step was due, and did not come."""
        return asyncio.get_running_loop().time() > self._due

    def step(self, *, wait_s: float = 0.0) -> None:
        """Note a step; the next comes within a minute after ``wait_s``, in which nothing has to happen."""
        self._due = asyncio.get_running_loop().time() + max(wait_s, 0.0) + STEP_S
