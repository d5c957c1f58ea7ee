"""Command line of the models: files and folders in, what the models make of them out."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

#: Each is a module beside this one with `add_arguments(parser)` and `run(options) -> exit code`.
TASKS = ("cutout", "describe")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task; 1 where some files could not be used, 2 where none could."""
    parser = argparse.ArgumentParser(prog="python -m models.predict", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    chosen = (sys.argv[1:] if arguments is None else arguments)[:1]
    for name in TASKS:
        task = tasks.add_parser(name)
        if [name] == list(chosen):
            import_module(f"models.predict.{name}").add_arguments(task)
    options = parser.parse_args(arguments)
    try:
        code: int = import_module(f"models.predict.{options.task}").run(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
