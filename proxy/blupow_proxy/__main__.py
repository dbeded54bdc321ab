"""Entry point of ``blupow-proxy`` and of ``python -m blupow_proxy``."""

import os
import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, until a command knows better
    try:
        from blupow_proxy import cli  # noqa: PLC0415 - it may come while the libraries load

        sys.exit(cli.main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(os.EX_OK)


if __name__ == "__main__":
    main()
