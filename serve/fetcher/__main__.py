"""Asks the guard about addresses: `python -m serve.fetcher check URL... [--resolve HOST=ADDR[,ADDR...]]`.

One JSON line per URL, `{url, allowed, reason, address}`; nothing is fetched. Exit status 0 whatever the verdicts are, 2
if the command itself is wrong. `VITRINE_SERVE_FETCH_*` apply. A URL that begins with a dash comes after `--`.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from serve.fetcher.connecting import look_up
from serve.fetcher.guard import Resolve, check
from serve.fetcher.policy import policy_of
from serve.settings import ServeSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdicts; the exit status."""
    asked = _parser().parse_intermixed_args(arguments)
    try:
        policy = policy_of(ServeSettings())
    except ValidationError as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    resolver = _resolver(dict(asked.resolve))
    for url in asked.urls:
        verdict = check(url, resolver, policy)
        address = verdict.addresses[0] if verdict.addresses else None
        line = {"url": url, "allowed": verdict.allowed, "reason": verdict.reason, "address": address}
        sys.stdout.write(json.dumps(line) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve.fetcher", description="Asks the guard about addresses.")
    parser.add_argument("command", choices=["check"], help="may photos be fetched from these addresses?")
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument(
        "--resolve",
        action="append",
        default=[],
        type=_answers,
        metavar="HOST=ADDR[,ADDR...]",
        help="what the host resolves to, instead of the system's answer; may be repeated",
    )
    return parser


def _answers(text: str) -> tuple[str, list[str]]:
    host, equals, addresses = text.partition("=")
    if not equals or not host.strip():
        raise argparse.ArgumentTypeError("HOST=ADDR[,ADDR...] is expected")
    return host.strip().lower(), [part.strip().strip("[]") for part in addresses.split(",") if part.strip()]


def _resolver(told: dict[str, list[str]]) -> Resolve:
    def resolve(host: str, port: int) -> list[str]:
        return told[host] if host in told else look_up(host, port)

    return resolve


if __name__ == "__main__":
    sys.exit(main())
