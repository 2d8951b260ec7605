"""The ``school`` command: a thin front over the modules that do the work.

Each module in :data:`COMMANDS` offers ``register(subparsers)``, which adds its sub-command and sets
``run`` to a function that takes the parsed arguments and returns an exit code.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from schoolstack.errors import SchoolError

COMMANDS = (
    "hosts",
    "artefacts",
    "roster",
    "migrate",
    "safe",
    "health",
    "privacy",
    "person",
    "breach",
    "labs",
    "demo",
    "reference",
    "bench",
)

# What argparse itself ends with when it does not understand what was typed.
WRONG_WORDS = 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every sub-command registered."""
    parser = argparse.ArgumentParser(prog="school", description="Run a school's own ICT.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"schoolstack.{name}.command").register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``school``; the process's own when not given.

    Returns:
        The exit code: 0 done, 1 refused or failed with a plain sentence on standard error, 2 not understood.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SchoolError as error:
        return _refused(error, WRONG_WORDS)
    # For the playbooks it runs as well.
    if getattr(arguments, "language", ""):
        os.environ["SCHOOL_LANGUAGE"] = arguments.language
    try:
        return int(arguments.run(arguments))
    except SchoolError as error:
        return _refused(error, 1)
    except KeyboardInterrupt:
        return 130


def _refused(error: SchoolError, code: int) -> int:
    print(f"school: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
