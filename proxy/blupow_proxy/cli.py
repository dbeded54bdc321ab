"""The command line: arguments to a subcommand, its outcome to an exit code of sysexits."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from blupow_config import ConfigErrors
from blupow_proxy import __version__
from blupow_proxy.commands import (
    config,
    decode,
    demo,
    doctor,
    esp32,
    health,
    logs,
    pair,
    run,
    scan,
    service,
    setup,
    survey,
    version,
    watch,
)

_COMMANDS: Final = (
    setup,
    run,
    demo,
    scan,
    survey,
    watch,
    logs,
    config,
    esp32,
    pair,
    service,
    doctor,
    health,
    decode,
    version,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line; argparse's own exit code is none of sysexits."""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every subcommand."""
    parser = _Parser(
        prog="blupow-proxy",
        description="Reads Renogy power gear over Bluetooth LE and serves it as an ESPHome device.",
    )
    parser.add_argument("--version", action="version", version=f"blupow-proxy {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the subcommand that ``argv`` names and return its exit code.

    78 is a mistake in the configuration, 74 output that can't be written.
    """
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except ConfigErrors as errors:
        sys.stderr.write(f"{errors}\n")
        return os.EX_CONFIG
    except BrokenPipeError:  # whoever reads has seen enough; the interpreter flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"blupow-proxy: can't write: {os.strerror(error.errno)}\n")
        return os.EX_IOERR
    return code
