"""Where the commands write: answers to stdout, everything else to stderr."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

#: Tables and answers for people.
out = Console(highlight=False)
#: Progress and errors, so that stdout stays clean for programs.
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Write one JSON document to stdout, free of colours and line breaks of the terminal."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_error(message: str) -> None:
    """Write one error to stderr."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
