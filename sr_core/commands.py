"""How a command line with several commands runs one of them."""

import argparse
import sys
from collections.abc import Sequence
from typing import Protocol

from sr_core.errors import SRError

__all__ = ["Commands", "run_command"]


class Commands(Protocol):
    """What argparse gives to add commands to."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser: ...  # noqa: A002


def run_command(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Runs one command and returns its exit status: 0 done, 1 refused with a sentence.

    Args:
        parser: Each of its commands has the default ``run``, which takes the options.
        arguments: The words after the program's name, or None for those of this process.
    """
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except SRError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
