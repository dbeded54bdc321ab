"""The native API's listener: sockets around ``native_api.Session``."""

from .listener import ApiServer, ServerLimits
from .log_forwarding import LogForwarder

__all__ = ["ApiServer", "LogForwarder", "ServerLimits"]
