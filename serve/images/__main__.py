"""`python -m serve.images probe FILE...`: decode files as a replica would and print a JSON line for each.

The exit code is 0 whatever the files are.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from serve.images.probe import probe


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m serve.images", description="Look at image files of strangers.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("probe", help="decode files in a worker; one JSON line each")
    one.add_argument("files", nargs="+", metavar="FILE")
    for line in probe(parser.parse_args(arguments).files):
        # A name may hold bytes that are no text; JSON escapes them.
        sys.stdout.write(json.dumps(asdict(line)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
