"""Entry point of ``blupow-proxy`` and of ``python -m blupow_proxy``."""

import sys

from blupow_proxy import cli


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
