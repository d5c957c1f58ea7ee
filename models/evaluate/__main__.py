"""Command line of the figures: the last line on stdout is one JSON object."""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module

#: Each is a module beside this one with `add_arguments(parser)` and `run(options) -> figures`.
TASKS = ("masks", "classes", "quality", "restoration", "inpainting", "styles", "recognition", "watermarks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task; 2 where its photos or weights cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    chosen = (arguments or sys.argv[1:])[:1]
    for name in TASKS:
        task = tasks.add_parser(name)
        if [name] == list(chosen):
            import_module(f"models.evaluate.{name}").add_arguments(task)
    options = parser.parse_args(arguments)
    try:
        figures = import_module(f"models.evaluate.{options.task}").run(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
