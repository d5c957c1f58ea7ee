"""The program of a decode worker: `python -m serve.images.decode_worker SOCKET ROOM PARENT`.

It lives in a process of its own, for what it decodes comes from strangers and the decoders are C. For each job a packet
comes over the socket with a descriptor of the file, the pixels go into ROOM, and a packet goes back (`protocol.py`);
file and room are shared memory. Whoever started it (PARENT) watches it and kills it; it ends when that process does.
"""

import ctypes
import gc
import mmap
import os
import resource
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from serve.images.limits import Refusal
from serve.images.protocol import MOST_BYTES, READY, pack_answer, pack_refusal, unpack_job
from serve.images.unpacking import Pixels, supported, unpack

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 32
#: Growth beyond this is given back between two files.
_GROWN_BYTES = 32 * 2**20
_PAGE = resource.getpagesize()
_LIBC = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Serve jobs until the other end is closed."""
    descriptor, shared, parent = (int(argument) for argument in arguments)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 0
    formats = supported()
    _confine()
    room = mmap.mmap(shared, os.fstat(shared).st_size, mmap.MAP_SHARED)
    os.close(shared)
    gc.freeze()
    idle = _usage()[0]
    with socket.socket(fileno=descriptor) as control:
        control.send(READY)
        while (job := _next(control)) is not None:
            control.send(_work(*job, room, formats))
            _tidy(idle)
    return 0


def _confine() -> None:
    """No files to write, few to open, no core dumps, nothing on stderr, Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)


def _next(control: socket.socket) -> tuple[bytes, int] | None:
    packet, descriptors, _, _ = socket.recv_fds(control, MOST_BYTES, 1)
    return (packet, descriptors[0]) if packet else None


def _work(packet: bytes, source: int, room: mmap.mmap, formats: tuple[str, ...]) -> bytes:
    """Decode one file; the answer as bytes."""
    memory_bytes, limits = unpack_job(packet)
    output = _Output(room, memory_bytes)
    try:
        output.leave_room_for(0)
        limits = replace(limits, max_working_bytes=memory_bytes - output.resident)
        found = unpack(_read(source), limits, output.allot, formats=formats)
        return pack_answer(found)
    except Refusal as error:
        return pack_refusal(error.code, error.message)
    except MemoryError:
        return pack_refusal("decoder_memory", None)


def _read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        return file.read()


def _usage() -> tuple[int, int]:
    """Resident memory, and private memory that may be written, used or not; both in bytes."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * _PAGE, int(fields[5]) * _PAGE


class _Output:
    """Room for the pixels in shared memory, and what the process may take beside it."""

    def __init__(self, room: mmap.mmap, memory_bytes: int) -> None:
        self._room = room
        self._memory_bytes = memory_bytes
        self.resident, self._data = _usage()

    def allot(self, count: int) -> Pixels:
        if count > len(self._room):
            raise Refusal("too_many_pixels")
        self.leave_room_for(count)
        return np.frombuffer(self._room, np.uint8, count)

    def leave_room_for(self, count: int) -> None:
        """Let the kernel refuse memory beyond the limit at once: the parent, who only looks, may look too late.

        Counted are private pages that may be written, used or not; all that is resident already stays allowed.
        """
        room = max(self._data + self._memory_bytes - self.resident - count, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (room, resource.RLIM_INFINITY))


def _tidy(idle: int) -> None:
    """Give back what a large picture took, so that the next one is measured by itself."""
    if _usage()[0] > idle + _GROWN_BYTES:
        gc.collect()
        _LIBC.malloc_trim(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
