"""What `bluetooth_proxy:` can do here: connect, and hear advertisements as they were sent."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from blupow_config import ProxyConfig
from blupow_proxy.ble import has_right
from blupow_proxy.commands.run import NO_CONNECTIONS
from blupow_proxy.host import service

from .finding import Finding, fine, note
from .system import Tool, output_of

_STATUS: Final = Path("/proc/self/status")
_AF_BLUETOOTH, _BTPROTO_HCI = 31, 1  # by number: some builds of Python do not have their names
_SUBJECT: Final = "advertisements"
_REBUILT: Final = "are put together from what BlueZ tells, which is not all, and takes more of the processor"


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
            if "cap_net_admin" in said:
                return fine(_SUBJECT, "the service has them as they were sent")
            return note(_SUBJECT, f"{_REBUILT}: `sudo blupow-proxy install-service {file}` lets the service have all")
    if not has_right(status=status):
        how = "the service that `install-service` makes has CAP_NET_ADMIN; compose.yaml says how a container gets it"
        return note(_SUBJECT, f"{_REBUILT}: {how}")
    if not probe():
        return note(_SUBJECT, f"{_REBUILT}: this kernel has no Bluetooth, or a container not the network of its host")
    return fine(_SUBJECT, "this user may have them as they were sent")
