"""The demo as its users run it: a process, a signal, and other people's client programs."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
DEMO = [BIN / "blupow-proxy", "demo", "--port", "0", "--loopback"]
READY_S = 60


class Demo:
    def __init__(self, *options: str) -> None:
        # nobody reads what it prints: the pipe is full within a second
        self.process = subprocess.Popen(
            [*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pipesize=4096
        )
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "Finding the simulated units ...\n"
        self.port = int(re.fullmatch(r"Listening on port (\d+)\n", self.process.stderr.readline())[1])
        self.key = self.process.stderr.readline().partition(": ")[2].strip()

    def stop(self, number: int = signal.SIGINT) -> tuple[float, str]:
        started = time.monotonic()
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return time.monotonic() - started, errors


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    running = Demo()
    yield running
    if running.process.poll() is None:
        running.stop()


def test_once_as_json() -> None:
    done = subprocess.run([*DEMO, "--once", "--json"], capture_output=True, text=True, timeout=READY_S, check=True)
    shown = json.loads(done.stdout)
    assert len(shown["devices"]) >= 5
    assert shown["entities_with_values"] >= 60
    assert shown["encrypted"]


def test_the_clients_own_log_program(demo: Demo) -> None:
    """aioesphomeapi-logs connects, subscribes, and prints."""
    command = [BIN / "aioesphomeapi-logs", "127.0.0.1", "--port", str(demo.port), "--noise-psk", demo.key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as logs:
        assert logs.stdout is not None
        try:
            seen = next((line for line in logs.stdout if "blupow-demo" in line), None)
        finally:
            logs.terminate()
        assert seen is not None


def test_a_reader_that_stops_does_not_stop_the_proxy(demo: Demo) -> None:
    command = [BIN / "blupow-proxy", "watch", f"127.0.0.1:{demo.port}", "--key", demo.key, "--once", "--json"]
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=READY_S, check=True)
        assert json.loads(done.stdout)["entities_with_values"] >= 60


def test_ends_within_three_seconds_without_a_trace(demo: Demo) -> None:
    took, errors = demo.stop()
    assert demo.process.returncode == 0
    assert took < 3.0
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_one_line() -> None:
    running = Demo("--plaintext")
    try:
        command = [BIN / "blupow-proxy", "demo", "--loopback", "--port", str(running.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=READY_S, check=False)
        assert done.returncode == 69
        progress, error = done.stderr.splitlines()
        assert progress == "Finding the simulated units ..."
        assert "in use" in error
    finally:
        running.stop(signal.SIGTERM)
    assert running.process.returncode == 0
