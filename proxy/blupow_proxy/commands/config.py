"""``config``: whether a configuration is right, and what it comes to."""

import argparse
import os
from pathlib import Path

from blupow_config import load_config, to_yaml

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``config`` and its options."""
    parser = subparsers.add_parser(
        "config",
        help="check a configuration",
        description="Check a configuration and print it with every default; its secrets are hidden.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the YAML file")
    parser.add_argument("--show-secrets", action="store_true", help="print the key and the secrets as well")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the configuration; 78 with one line on stderr for each mistake."""
    config = load_config(args.file)
    print(to_yaml(config, show_secrets=args.show_secrets), end="")
    return os.EX_OK
