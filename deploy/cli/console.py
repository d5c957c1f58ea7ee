"""Where the commands write: answers to stdout, everything else to stderr."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

#: Tables and answers for people. Plain strings stay as they are, for a path may hold `[b]`; `Text` brings the colours.
out = Console(highlight=False, markup=False, emoji=False)
#: Progress and errors, so that stdout stays clean for programs.
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Write one JSON document to stdout, free of colours and line breaks of the terminal."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_error(message: str) -> None:
    """Write one error to stderr."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def tell(name: str, phase: str) -> None:
    """Write to stderr what happens to a service."""
    err.print(Text.assemble((name, "dim"), f" {phase}"), soft_wrap=True)
