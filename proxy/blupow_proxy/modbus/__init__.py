"""Modbus RTU as Renogy devices speak it: requests out, checked responses in, no I/O."""

from .crc import append_crc, crc16
from .request import (
    READ_FUNCTION,
    UNIVERSAL_ADDRESS,
    WRITE_FUNCTION,
    ReadRequest,
    Request,
    WriteRequest,
    decode_request,
)
from .response import Event, ExceptionResponse, Reason, Rejected, Response, ResponseParser

__all__ = [
    "READ_FUNCTION",
    "UNIVERSAL_ADDRESS",
    "WRITE_FUNCTION",
    "Event",
    "ExceptionResponse",
    "ReadRequest",
    "Reason",
    "Rejected",
    "Request",
    "Response",
    "ResponseParser",
    "WriteRequest",
    "append_crc",
    "crc16",
    "decode_request",
]
