"""A decode worker that does what the file tells it: it stands in for decoders that crash, hang or are taken over.

`python moody_worker.py SOCKET ROOM PARENT`; files that begin with one of the words below are orders.
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve.images import decode_worker
from serve.images.unpacking import unpack

#: What starts it, for `Sandbox(command=...)`.
COMMAND = (sys.executable, "-P", "-s", str(Path(__file__).resolve()))


def _eat(_: bytes) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    meal = []
    while True:
        meal.append(bytearray(b"x" * 4_000_000))
        time.sleep(0.01)


def _burn(_: bytes) -> None:
    while True:
        pass


def _kill_once(flag: bytes) -> None:
    """Die as by the kernel, unless the file that is named exists already."""
    try:
        os.mkdir(flag.decode())  # noqa: PTH102
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


ORDERS: dict[bytes, Callable[[bytes], object]] = {
    b"CRASH": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    b"ABORT": lambda _: os.abort(),
    b"LEAVE": lambda _: os._exit(0),
    b"KILLED": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    b"ONCE": _kill_once,
    b"HANG": lambda _: time.sleep(600),
    b"BURN": _burn,
    b"EAT": _eat,
    b"GREEDY": lambda _: bytearray(2**40),
}
LIE = b"LIE:"


def _work(packet: bytes, source: int, room: Any, formats: tuple[str, ...]) -> bytes:
    body = decode_worker._read(os.dup(source))
    return body.removeprefix(LIE) if body.startswith(LIE) else REAL(packet, source, room, formats)


def _unpack(body: bytes, *rest: Any, **options: Any) -> Any:
    order, _, detail = body.partition(b" ")
    if order in ORDERS:
        ORDERS[order](detail)
        body = detail or body
    return unpack(body, *rest, **options)


REAL = decode_worker._work

if __name__ == "__main__":
    decode_worker._work = _work
    decode_worker.unpack = _unpack
    sys.exit(decode_worker.main(sys.argv[1:]))
