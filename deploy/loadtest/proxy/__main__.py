"""The proxy as a process, told by one JSON command a line on stdin.

    python -m deploy.loadtest.proxy LISTEN_PORT UPSTREAM_PORT

Commands: `{"add": TOXIC}`, `{"remove": NAME}`, `{"reset": true}`, `{"enabled": false}`.
"""

import json
import sys

from deploy.errors import DeployError
from deploy.loadtest.proxy.server import Proxy
from deploy.loadtest.proxy.toxics import Toxic


def obey(proxy: Proxy, line: str) -> None:
    """Carry out one JSON command; `DeployError` where it is none."""
    try:
        command = json.loads(line)
        match command:
            case {"add": toxic}:
                proxy.add(Toxic.from_json(toxic))
            case {"remove": str(title)}:
                proxy.remove(title)
            case {"reset": True}:
                proxy.reset()
            case {"enabled": bool(enabled)}:
                (proxy.enable if enabled else proxy.disable)()
            case _:
                raise DeployError(f"no command: {line.strip()}")
    except (ValueError, TypeError, AttributeError) as error:
        raise DeployError(f"no command: {line.strip()} ({error})") from error


def main(port: str, upstream_port: str) -> None:
    """Pass connections on until stdin ends."""
    with Proxy(int(upstream_port), port=int(port)) as proxy:
        print(f"127.0.0.1:{proxy.port} -> 127.0.0.1:{upstream_port}", flush=True)  # noqa: T201
        for line in sys.stdin:
            try:
                obey(proxy, line)
            except DeployError as error:
                print(error, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
