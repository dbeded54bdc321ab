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
from .response import (
    EXCEPTION_CODES,
    Event,
    ExceptionResponse,
    Reason,
    Rejected,
    Response,
    ResponseParser,
    split_exception,
)

__all__ = [
    "EXCEPTION_CODES",
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
    "split_exception",
]
