"""``decode``: what a captured frame says."""

import argparse
import json
import os
import sys

from blupow_proxy.errors import ExceptionResponseError, FrameError, ModbusError, UnexpectedResponseError
from blupow_proxy.modbus import (
    EXCEPTION_CODES,
    ExceptionResponse,
    ReadRequest,
    Reason,
    Rejected,
    Response,
    ResponseParser,
    append_crc,
    decode_request,
    split_exception,
)
from blupow_proxy.renogy import EnumValue, Family, Flags, Readings, Value, Variant, decode_block, decode_push, to_json

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``decode`` and its options."""
    parser = subparsers.add_parser(
        "decode",
        help="decode a captured frame",
        description="Decode the reply to a read, or a pushed frame. Nothing is sent anywhere.",
        epilog="example: blupow-proxy decode --family controller --request ff03000c000891d1 "
        "--response ff03102020524e472d4354524c2d52565234303724",
    )
    parser.add_argument(
        "--family",
        required=True,
        choices=[family.value for family in Family],
        type=str.lower,
        help="family of the device",
    )
    parser.add_argument(
        "--variant",
        choices=[variant.value for variant in Variant],
        type=str.lower,
        help="kind of battery (default: legacy)",
    )
    parser.add_argument("--request", type=_hex, metavar="HEX", help="the request; none for a pushed frame")
    parser.add_argument("--response", type=_hex, metavar="HEX", required=True, help="the reply's bytes, joined")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the readings; 65 with one line on stderr for bytes that hold none."""
    try:
        readings = decode(Family(args.family), args.variant, args.request, args.response)
    except ModbusError as error:
        print(f"blupow-proxy decode: {error}", file=sys.stderr)
        return os.EX_DATAERR
    if args.json:
        print(json.dumps({"readings": {key: to_json(value) for key, value in readings.items()}}, ensure_ascii=False))
    elif not readings:
        print(
            f"blupow-proxy decode: a {args.family} has no known registers there: is the family right?", file=sys.stderr
        )
        return os.EX_DATAERR
    else:
        width = max((len(key) for key in readings), default=0)
        for key, value in readings.items():
            print(f"{key:<{width}}  {_plain(value)}")
    return os.EX_OK


def decode(family: Family, variant: str | None, request: bytes | None, response: bytes) -> Readings:
    """Return the readings of one exchange; a ModbusError says what the bytes are instead."""
    if request is None:
        code = split_exception(response)
        if code is not None:
            raise _exception(code)
        if family is not Family.SHUNT300:
            raise UnexpectedResponseError(f"a {family} only answers requests: give the request with --request")
        return decode_push(response)
    asked = decode_request(
        append_crc(request[:-2])
    )  # a capture of a request with a damaged CRC still says what it asks
    parser = ResponseParser()
    parser.expect(asked)
    rejected: Rejected | None = None
    for event in parser.feed(response):
        match event:
            case Response(data=data):
                return decode_block(family, asked.register, data, variant=variant)
            case ExceptionResponse(code=code):
                raise _exception(code)
            case Rejected():
                rejected = rejected or event
    if rejected is None:
        needed = f"{5 + 2 * asked.words} bytes" if isinstance(asked, ReadRequest) else "8 bytes"
        raise FrameError(f"corrupt frame: it ends after {len(response)} bytes, the reply has {needed}")
    if rejected.reason in (Reason.CRC, Reason.GARBAGE):
        raise FrameError(f"corrupt frame: {rejected.reason}")
    raise UnexpectedResponseError(f"not the reply to this request: {rejected.reason}")


def _exception(code: int) -> ExceptionResponseError:
    return ExceptionResponseError(code, f"exception response {code}: {EXCEPTION_CODES.get(code, 'unknown code')}")


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", " "))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not hexadecimal") from None


def _plain(value: Value) -> str:
    match value:
        case None:
            return "-"
        case EnumValue(raw, name):
            return name or f"unknown ({raw})"
        case Flags(_, names):
            return ", ".join(names) or "none"
        case tuple():
            return "  ".join(_plain(item) for item in value)
        case _:
            return str(value)
