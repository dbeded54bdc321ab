"""What `bluetooth_proxy:` can do here: connect, and hear advertisements as they were sent."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from blupow_config import ProxyConfig
from blupow_proxy.ble import CAP_NET_RAW, has_right
from blupow_proxy.commands.program import program_as_root
from blupow_proxy.commands.run import NO_CONNECTIONS
from blupow_proxy.host import service

from .finding import Finding, fine, note
from .system import Tool, output_of

_STATUS: Final = Path("/proc/self/status")
_AF_BLUETOOTH, _BTPROTO_HCI = 31, 1  # by number: some builds of Python do not have their names
_SUBJECT: Final = "advertisements"
_REBUILT: Final = "are put together from what BlueZ tells, which is not all, and takes more of the processor"
_FORGOTTEN: Final = "has them as they were sent, but can't end a link that the kernel forgets"


def check_connections(config: ProxyConfig) -> Finding:
    """Tell whether clients can connect to other devices."""
    forwarding = config.bluetooth_proxy
    if forwarding is None or not forwarding.active:
        return fine("Bluetooth proxy", "other devices are heard; nobody connects to them")
    if not config.api.encryption:
        return note("Bluetooth proxy", NO_CONNECTIONS)
    return fine("Bluetooth proxy", f"{forwarding.connection_slots} connections to other devices at once")


def can_open_socket() -> bool:
    """Return whether Bluetooth's sockets can be had, which the networks of most containers do not have."""
    try:
        socket.socket(_AF_BLUETOOTH, socket.SOCK_RAW, _BTPROTO_HCI).close()
    except OSError:
        return False
    return True


def check_rights(
    file: Path, tool: Tool = output_of, status: Path = _STATUS, probe: Callable[[], bool] = can_open_socket
) -> Finding:
    """Tell whether who runs with ``file`` has advertisements as they were sent: the service, or this user."""
    if file.resolve() == service.CONFIG:
        said = tool("systemctl", "show", service.NAME, "--property=LoadState,AmbientCapabilities") or ""
        if "LoadState=loaded" in said:
            install = f"`{program_as_root()} install-service {file}`"
            if "cap_net_admin" not in said:
                return note(_SUBJECT, f"{_REBUILT}: {install} lets the service have all")
            if "cap_net_raw" not in said:
                return note(_SUBJECT, f"the service {_FORGOTTEN}: {install} lets it")
            return fine(_SUBJECT, "the service has them as they were sent")
    if not has_right(status=status):
        how = "the service that `install-service` makes has the right; compose.yaml says how a container gets it"
        return note(_SUBJECT, f"{_REBUILT}: {how}")
    if not probe():
        return note(_SUBJECT, f"{_REBUILT}: this kernel has no Bluetooth, or a container not the network of its host")
    if not has_right(CAP_NET_RAW, status):
        return note(_SUBJECT, f"this user {_FORGOTTEN}: that takes the capability CAP_NET_RAW")
    return fine(_SUBJECT, "this user may have them as they were sent")
