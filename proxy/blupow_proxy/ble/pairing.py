"""Pairing without a display or keys ("just works"), which BlueZ wants an agent for."""

from collections.abc import Container
from typing import Final

from dbus_fast import Message, MessageType

AGENT_PATH: Final = "/io/blupow/agent"
CAPABILITY: Final = "NoInputNoOutput"
_AGENT: Final = "org.bluez.Agent1"
_REJECTED: Final = "org.bluez.Error.Rejected"
_NOTIFIED: Final = ("Release", "Cancel")


def answer_as_agent(message: Message, welcome: Container[str]) -> Message | None:
    """Return what to answer BlueZ: yes for the devices that are ``welcome``, no for others; None if it asks nothing.

    A device is known by the end of its path, such as dev_C4_D3_6A_00_00_01.
    """
    if message.message_type is not MessageType.METHOD_CALL or message.interface != _AGENT:
        return None
    if message.member in _NOTIFIED:
        return Message.new_method_return(message)
    device = str(message.body[0]).rpartition("/")[2] if message.body else ""
    if message.member in ("RequestAuthorization", "AuthorizeService") and device in welcome:
        return Message.new_method_return(message)
    return Message.new_error(message, _REJECTED, "not asked for")
