"""The companion beside Home Assistant's own ESPHome integration: the same proxies, a real Home Assistant each time."""

import json
import subprocess
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).parent
HOME_ASSISTANT = FOLDER.parents[1] / "companion" / ".venv" / "bin" / "python"
KEY = b64encode(bytes(range(32))).decode()
FIRST_PORT = 16200
PROXIES = 20
SENSORS = 300
RUN_S = 180.0  # for a start, the proxies and two measurements


class UnavailableError(Exception):
    """There is no Home Assistant, or no network for it."""


@dataclass(frozen=True)
class Comparison:
    """What was measured with each integration, and without any: the median of all its turns."""

    companion: dict[str, float]
    esphome: dict[str, float]
    bare: dict[str, float]


def compare(rounds: int, seconds: float) -> Comparison:
    """Measure both in turns, ``seconds`` for each figure, on proxies that are there; UnavailableError."""
    if not HOME_ASSISTANT.exists():
        raise UnavailableError("its environment is missing: run `script/setup companion`")
    _multicast()
    proxy = str(FIRST_PORT), KEY
    turns = [
        (domain, _measure(seconds, domain, *proxy))
        for number in range(rounds)
        for domain in (("blupow", "esphome"), ("esphome", "blupow"))[number % 2]
    ]
    bare = [_measure(seconds, "bare") for _ in range(rounds)]
    return Comparison(
        *(_median([turn for domain, turn in turns if domain == wanted]) for wanted in ("blupow", "esphome")),
        _median(bare),
    )


def _median(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(turn[name] for turn in turns) for name in turns[0]}


def _measure(seconds: float, *what: str) -> dict[str, float]:
    arguments = [*what, *map(str, (PROXIES, SENSORS, seconds))]
    done = subprocess.run(
        [HOME_ASSISTANT, FOLDER / "home_assistant.py", *arguments],
        capture_output=True,
        timeout=RUN_S,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _multicast() -> None:
    """Give the loopback of this network multicast, without which Home Assistant's zeroconf does not start."""
    for command in ("link set lo multicast on", "route add 224.0.0.0/4 dev lo"):
        try:
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError(f"no multicast on loopback: {error}") from error
