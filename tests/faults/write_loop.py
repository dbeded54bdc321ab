"""Writes a document again and again, and is killed while it does: write_loop.py FOLDER ROUNDS; prints a report as JSON.

Each round is a process of its own; what it has left is read as the next start of the proxy would.
"""

import json
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from blupow_proxy.storage import Storage

NAME = "units"
LONGEST_S = 0.01  # until the kill: some writes


def content(number: int) -> dict[str, Any]:
    """Return a document that shows whether it is whole, of 1 to 20 KB."""
    return {"number": number, "filling": [number] * (100 + number % 7 * 300)}


def write(folder: Path, first: int, told: int) -> None:
    """Write ever higher numbers, and tell each that was kept."""
    storage, number = Storage(folder), first
    while True:
        if storage.write(NAME, content(number)):
            os.write(told, number.to_bytes(8))
        number += 1


def last_told(heard: int) -> int:
    last = 0
    while data := os.read(heard, 8):
        last = int.from_bytes(data)
    return last


def main(folder: Path, rounds: int) -> dict[str, Any]:
    dice = random.Random(5)  # noqa: S311
    wrong, in_the_middle, kept, most_files = 0, 0, 0, 0
    for _ in range(rounds):
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(heard)
            write(folder, kept + 1, told)
        os.close(told)
        time.sleep(dice.uniform(0.0, LONGEST_S))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        confirmed = max(last_told(heard), kept)
        os.close(heard)
        files = list(folder.iterdir()) if folder.exists() else []
        in_the_middle += len(files) > 1
        most_files = max(most_files, len(files))
        found = Storage(folder).read(NAME)
        number = 0 if found is None else found["number"]
        # the last that was confirmed, or the one after it, whole
        wrong += not (confirmed <= number <= confirmed + 1) or (number > 0 and found != content(number))
        kept = number
    return {"rounds": rounds, "wrong": wrong, "in the middle": in_the_middle, "writes": kept, "most files": most_files}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
