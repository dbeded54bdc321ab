"""Ours answers as real ESPHome does: the same bytes, and the same errors of the real client."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RECORDER = Path(__file__).parent / "conformance_record.py"
HOST = Path(__file__).parents[1] / "reference" / "host.py"

# What ours does otherwise, with its reason; everything else has to be equal.
DELIBERATE = {
    "plain: Hello that does not parse": "a message that does not parse ends the session: half of it is no request",
    "noise: Hello that does not parse": "a message that does not parse ends the session: half of it is no request",
    "plain: after Hello: set key": "refused at once; ESPHome without encryption says nothing, and the client waits",
    "noise: client with key": "a key of the configuration can't be changed, and ours does not say that it can",
    "provision: garbage": "both kinds of frames are right as long as there is no key; ours answers in the other",
}


UNAVAILABLE = 69  # the recorder's exit code for "not on this machine"


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


NAMES = [f"{device}: {name}" for device, cases in load(RECORDER).CASES.items() for name in cases]


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """All answers of both, recorded in a process with a network of its own."""
    host = load(HOST)
    try:
        host.check_built()
    except host.UnavailableError as error:
        pytest.skip(str(error))
    done = subprocess.run([sys.executable, RECORDER], capture_output=True, text=True, check=False, timeout=100)
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    recorded: dict[str, Any] = json.loads(done.stdout)
    return recorded


@pytest.mark.reference
@pytest.mark.parametrize("case", NAMES)
def test_answer_equals_real_esphome(answers: dict[str, Any], case: str) -> None:
    esphome, ours = answers[case]["esphome"], answers[case]["ours"]
    assert "silent" not in json.dumps([esphome, ours]), "the case waits for what does not come"
    if case in DELIBERATE:
        assert ours != esphome, "no longer different: take it off the list"
    else:
        assert ours == esphome
