"""The rights that the service has for other devices are enough for the kernel, and none of them is too many."""

import sys
from pathlib import Path

import pytest
from rig import Rig

RIGHTS = Path(__file__).parents[2] / "firmware_config" / "pi" / "advertisements.conf"
# Asks for what only trusted sockets may have, and prints the kernel's status.
ASK = """
import struct
from btsocket import btmgmt_socket
management = btmgmt_socket.open()
management.settimeout(5)
management.send(struct.pack("<HHH", 0x0015, 0, 0))
while True:
    event, index, length = struct.unpack_from("<HHH", packet := management.recv(1024))
    if event in (1, 2):
        print("status", packet[8])
        break
"""
DONE, DENIED = "status 0", "status 20"
# Tells the controller to end a link, of which there is none.
END = """
from blupow_proxy.ble import forgotten_links
try:
    forgotten_links.end(forgotten_links.opened(0), 1)
    print("status 0")
except PermissionError:
    print("status 20")
"""


@pytest.mark.timeout(120)
async def test_the_drop_in_has_the_rights_that_the_kernel_asks_for(rig: Rig) -> None:
    await rig.populate(adapters=1, units="demo")
    (granted,) = [
        line.removeprefix("AmbientCapabilities=")
        for line in RIGHTS.read_text().splitlines()
        if line.startswith("AmbientCapabilities=")
    ]
    rights = [f"+{name.removeprefix('CAP_').lower()}" for name in granted.split()]

    async def do(program: str, rights: list[str]) -> str:
        """As root, who has what is left of the bounding set, and can read this Python wherever it is."""
        kept = ",".join(["-all", *rights])
        left = ("setpriv", "--no-new-privs", *(f"--{kind}={kept}" for kind in ("bounding-set", "inh-caps")))
        return (await rig.run(*left, sys.executable, "-c", program, timeout_s=30.0)).strip()

    for program, needed in ((ASK, "+net_admin"), (END, "+net_raw")):
        assert await do(program, rights) == DONE
        assert await do(program, [right for right in rights if right != needed]) == DENIED
