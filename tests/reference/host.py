"""Runs the real ESPHome devices that tests/reference/build has made, in a network that nothing else sees."""

import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(os.environ.get("BLUPOW_REFERENCE", Path(__file__).parents[2] / ".cache" / "esphome-host"))
PORTS: Final = {"plain": 16053, "noise": 16054, "provision": 16056, "all": 16057, "values": 16058}
START_S: Final = 10.0

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


class UnavailableError(Exception):
    """The devices can't run here; the text says why."""


def check_built() -> None:
    """Raise UnavailableError unless the devices are built."""
    if not (FOLDER / "inputs").exists():
        raise UnavailableError("real ESPHome devices are not built; run tests/reference/build")


def isolate() -> None:
    """Move this process, while it has one thread, into a network with nothing but loopback."""
    # the devices listen on every address: on the host's own network they would be served to the LAN
    try:
        os.unshare(os.CLONE_NEWNET)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        try:
            os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
            # without these, files can't be made any more
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        except OSError as error:
            raise UnavailableError(f"no network namespace for real ESPHome devices: {error.strerror}") from None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = bytearray(struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(control, _SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("h", request, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


@contextlib.contextmanager
def device(name: str, home: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a device until the end of the block; what it stores is in ``home``."""
    with contextlib.ExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = subprocess.Popen(
            [FOLDER / name], env={"HOME": str(home)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until_listening(PORTS[name], process)
            yield process
        finally:
            process.kill()
            process.wait()


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once ``process`` accepts connections; UnavailableError when it does not."""
    give_up = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise UnavailableError(f"{process.args!r} does not listen on port {port}") from None
            time.sleep(0.005)
        else:
            return
