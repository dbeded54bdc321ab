import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blupow_proxy.host import Notifier


@pytest.fixture(params=["path", "abstract"])
def ears(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@blupow-{os.getpid()}-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(5)
        yield listener, address


def test_what_is_told(ears: tuple[socket.socket, str]) -> None:
    listener, address = ears
    notifier = Notifier({"NOTIFY_SOCKET": address})
    assert notifier.is_heard
    notifier.ready()
    notifier.alive()
    notifier.reloading()
    notifier.stopping()
    said = [listener.recv(1000).decode() for _ in range(4)]
    assert said[:2] + said[3:] == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
    reloading, since = said[2].splitlines()
    assert reloading == "RELOADING=1"
    assert int(since.removeprefix("MONOTONIC_USEC=")) > 0


def test_a_status_is_one_line_and_told_once(ears: tuple[socket.socket, str]) -> None:
    listener, address = ears
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.status("one\nREADY=1")
    notifier.status("one\nREADY=1")
    notifier.status("x" * 5000)
    assert listener.recv(10000) == b"STATUS=one READY=1"
    assert len(listener.recv(10000)) == len("STATUS=") + 400


def test_without_systemd_nothing_is_told_and_nothing_fails() -> None:
    notifier = Notifier({})
    notifier.ready()
    assert not notifier.is_heard
    assert notifier.watchdog_s is None


def test_a_systemd_that_is_away_is_told_again(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    notifier = Notifier({"NOTIFY_SOCKET": str(address)})
    notifier.status("well")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        notifier.status("well")
        assert listener.recv(100) == b"STATUS=well"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_time(environment: dict[str, str], expected: float | None) -> None:
    assert Notifier(environment).watchdog_s == expected


@pytest.mark.parametrize("fed", [False, True])
def test_without_systemd_the_kernel_is_the_watchdog(fed: bool) -> None:
    """A container has nothing else that ends a proxy which is stuck."""
    program = (
        "import time; from blupow_proxy.host import Notifier; notifier = Notifier(); notifier.alive()\n"
        f"for _ in range(30): time.sleep(0.02); {'notifier.alive()' if fed else ''}"
    )
    around = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    done = subprocess.run([sys.executable, "-c", program], env=around | {"WATCHDOG_USEC": "300000"}, check=False)
    assert done.returncode == (0 if fed else -signal.SIGALRM)
