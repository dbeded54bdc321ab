"""``config``, ``config-hash`` and ``schema``: whether a configuration is right, what it comes to, what it may hold."""

import argparse
import json
import os
from pathlib import Path

from blupow_config import config_hash, editor_schema, load_config, to_yaml

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: _Subparsers) -> None:
    """Add the three and their options."""
    config = subparsers.add_parser(
        "config",
        help="check a configuration",
        description="Check a configuration and print it with every default; its secrets are hidden.",
    )
    config.add_argument("--show-secrets", action="store_true", help="print the key and the secrets as well")
    config.add_argument("--no-defaults", action="store_true", help="print only what is written in it")
    config.set_defaults(run=run)
    digest = subparsers.add_parser(
        "config-hash",
        help="a number that changes when a configuration does",
        description="Print 32 bits that change when anything in a configuration does, its secrets included.",
    )
    digest.set_defaults(run=run_hash)
    for parser in (config, digest):
        add_substitutions(parser)
        parser.add_argument("file", type=Path, metavar="FILE", help="the YAML file")
    schema = subparsers.add_parser(
        "schema",
        help="what a configuration may hold, for editors",
        description="Print the JSON Schema of configurations, with which editors complete and check them.",
    )
    schema.set_defaults(run=run_schema)


def add_substitutions(parser: argparse.ArgumentParser) -> None:
    """Add ``-s``, as ESPHome has it: substitutions that take the place of those in the file."""
    parser.add_argument(
        "-s",
        "--substitution",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        dest="substitutions",
        help="a substitution in place of the file's; can be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Print the configuration; 78 with one line on stderr for each mistake."""
    config = load_config(args.file, dict(args.substitutions))
    print(to_yaml(config, show_secrets=args.show_secrets, defaults=not args.no_defaults), end="")
    return os.EX_OK


def run_hash(args: argparse.Namespace) -> int:
    """Print the hash as ESPHome does; 78 for a mistake."""
    print(f"0x{config_hash(load_config(args.file, dict(args.substitutions))):08x}")
    return os.EX_OK


def run_schema(_args: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    print(json.dumps(editor_schema(), ensure_ascii=False, indent=1))
    return os.EX_OK
