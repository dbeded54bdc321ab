"""``health``: whether the proxy that runs here answers, for whatever asks in intervals, such as a container's host."""

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import Final

from blupow_config import ConfigErrors, load_config
from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.host.service import CONFIG

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

ANSWER_S: Final = 5.0  # it answers within milliseconds; a busy Raspberry Pi Zero may take a second
_UNHEALTHY: Final = 1
_LOCAL: Final = "127.0.0.1"
_ANSWER_BYTES: Final = 512
# The first step of a handshake, whose answer tells the name and takes no key; without encryption a ping, which may come
# before Hello. Either is no client: nothing is counted, announced or logged.
_NOISE_HELLO: Final = b"\x01\x00\x00"
_PING_REQUEST: Final = b"\x00\x00\x07"
_PING_RESPONSE: Final = b"\x00\x00\x08"


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``health`` and its options."""
    parser = subparsers.add_parser(
        "health",
        help="whether the proxy answers, for a container's host",
        description="Ask the proxy that runs here with the configuration FILE for a sign of life. Exit code 0: it "
        "answers; 1: it does not.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", nargs="?", default=CONFIG, help=f"default: {CONFIG}")
    add_substitutions(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what the proxy's state is; 1 when it does not answer."""
    try:
        config = load_config(args.file, dict(args.substitutions))
    except ConfigErrors as errors:
        print(errors.errors[0], file=sys.stderr)
        return _UNHEALTHY
    complaint = ask(config.api.port, config.esphome.name, encrypted=config.api.encryption)
    if complaint is not None:
        print(complaint, file=sys.stderr)
        return _UNHEALTHY
    print(f"{config.esphome.name} answers")
    return os.EX_OK


def ask(port: int, name: str, *, encrypted: bool, within_s: float = ANSWER_S) -> str | None:
    """Return what is wrong with the proxy ``name``; None when it answers."""
    try:
        with socket.create_connection((_LOCAL, port), timeout=within_s) as connection:
            connection.sendall(_NOISE_HELLO if encrypted else _PING_REQUEST)
            answer = connection.recv(_ANSWER_BYTES)
    except ConnectionRefusedError:
        return "the proxy does not run: nothing listens on its port"
    except TimeoutError:
        return f"the proxy is stuck: it accepts connections, but has not answered within {within_s:g} s"
    except OSError as error:
        return f"the proxy can't be asked: {os.strerror(error.errno or 0).lower()}"
    if not answer:
        return "the proxy has closed the connection: it is stopping, or has too many clients"
    if f"\x01{name}\0".encode() in answer if encrypted else answer.startswith(_PING_RESPONSE):
        return None
    return "something else listens on the proxy's port: end it, or choose another `api: port:`"
