"""Commands that talk to an ESPHome device: where it is, its key, and what comes of trying."""

import argparse
import asyncio
import binascii
import os
from base64 import b64decode
from collections.abc import Callable, Coroutine
from typing import Any, Final

from .complaint import complain

KEY_VARIABLE: Final = "BLUPOW_KEY"
_DEFAULT_PORT: Final = 6053
_KEY_BYTES: Final = 32


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add what names a device and its key."""
    parser.add_argument("target", type=parse_target, metavar="HOST[:PORT]", help="an IPv6 address in brackets")
    parser.add_argument("--key", type=parse_key, help=f"the device's encryption key; also from {KEY_VARIABLE}")


def talk(
    command: str,
    args: argparse.Namespace,
    conversation: Callable[[str, int, str | None], Coroutine[Any, Any, None]],
) -> int:
    """Return the exit code of a ``conversation``: 69 out of reach, 77 the key is the trouble, 0 also on Ctrl-C."""
    from blupow_proxy.client import KeyRefusedError, UnreachableError  # noqa: PLC0415 - takes 0.2 s to import

    host, port = args.target
    key = args.key
    try:
        if key is None and (given := os.environ.get(KEY_VARIABLE)):
            key = parse_key(given)
        asyncio.run(conversation(host, port, key))
    except argparse.ArgumentTypeError as error:
        return complain(command, f"{KEY_VARIABLE}: {error}", os.EX_USAGE)
    except KeyRefusedError as error:
        return complain(command, str(error), os.EX_NOPERM)
    except UnreachableError as error:
        return complain(command, str(error), os.EX_UNAVAILABLE)
    except KeyboardInterrupt:
        pass
    return os.EX_OK


def parse_target(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST[:PORT]``; an IPv6 address stands in brackets."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise argparse.ArgumentTypeError(f"{text!r}: an IPv6 address is written [ADDRESS]:PORT")
        port = rest[1:] if rest else str(_DEFAULT_PORT)
    elif text.count(":") > 1:
        raise argparse.ArgumentTypeError(f"{text!r}: put the IPv6 address in brackets: [{text}]")
    else:
        host, colon, port = text.partition(":")
        port = port if colon else str(_DEFAULT_PORT)
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} names no host")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{port!r} is no port: 1 to 65535")
    return host, int(port)


def parse_key(text: str) -> str:
    """Return ``text`` when it is a key: 32 bytes in base64."""
    try:
        size = len(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != _KEY_BYTES:  # the text is a secret: it is not repeated
        raise argparse.ArgumentTypeError("not a key: 44 characters of base64 that end in '='")
    return text
