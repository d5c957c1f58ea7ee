"""One decode worker, as seen from the process that started it: giving it a job, watching it, killing it."""

import fcntl
import mmap
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve.images.limits import DecodeLimits, Refusal, SandboxLimits
from serve.images.proc import Usage, peak_bytes, reset_peak, usage
from serve.images.protocol import MOST_BYTES, READY, Answer, Nonsense, pack_job, unpack_answer
from serve.interfaces import Picture

#: How a worker is started; the descriptor of its socket and the number of this process come behind it.
COMMAND = (sys.executable, "-P", "-s", "-m", "serve.images.decode_worker")
START_S = 60.0
_TICK_MS = 20
#: Of the room for pixels so much stays in memory between jobs; whole pages.
_KEPT_BYTES = 16 * 2**20
#: Of the environment a worker gets what its Python needs, and nothing that could be a secret.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "LC_ALL": "C.UTF-8"}


class WorkerLost(Exception):
    """The worker died without an answer and without our doing; `by_itself` unless something else killed it."""

    def __init__(self, code: int | None) -> None:
        self.by_itself = code != -9
        super().__init__(f"a decode worker ended with {code}")


class NotStarted(Exception):
    """A worker could not be started."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Developed:
    """What came of a job."""

    answer: Answer
    #: Copied out of the shared memory: what the worker does later reaches it no more.
    pixels: Picture


class Worker:
    """A process that decodes one file at a time. Not thread-safe; blocking."""

    def __init__(self, command: Sequence[str] = COMMAND, room_bytes: int = 150_000_000) -> None:
        """Start the process; raise `NotStarted` if it does not tell that it is ready within `START_S`.

        The room for pixels is sealed, so that no worker can make it smaller under the reader's hands. It stays for all
        jobs: new pages for each would cost as much as decoding a small photo.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        room = _shared(room_bytes)
        self._socket = ours
        self._room = mmap.mmap(room, room_bytes, mmap.MAP_SHARED)
        self.jobs = 0
        #: Largest resident memory that was seen during the last job, in bytes.
        self.peak_bytes = 0
        try:
            with theirs:
                # Never forked from a replica: exec at once, so that no lock or memory of its threads comes along.
                self._process = subprocess.Popen(  # noqa: S603
                    [*command, str(theirs.fileno()), str(room), str(os.getpid())],
                    pass_fds=(theirs.fileno(), room),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env=_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise NotStarted(str(error)) from error
        finally:
            os.close(room)
        self._ready()

    def _ready(self) -> None:
        self._socket.settimeout(START_S)
        try:
            ready = self._socket.recv(len(READY)) == READY
        except OSError:
            ready = False
        if not ready:
            self.kill()
            raise NotStarted(f"the worker ended with {self._process.returncode}")
        self.idle_bytes = usage(self.pid).resident

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def grown(self) -> int:
        """By how many bytes it rests with more resident memory than at its start."""
        return usage(self.pid).resident - self.idle_bytes

    def kill(self) -> None:
        """End it at once and collect it; harmless if it has ended."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def run(self, body: bytes, limits: DecodeLimits, allowed: SandboxLimits) -> Developed:
        """Decode a file. Raise `Refusal`, after which it may be dead, or `WorkerLost`, after which it is."""
        self.jobs += 1
        self.peak_bytes = 0
        source = _shared(len(body), body)
        try:
            reset_peak(self.pid)
            socket.send_fds(self._socket, [pack_job(limits, allowed.memory_bytes)], [source])
            answer = unpack_answer(self._watched(allowed), len(self._room))
        except (BrokenPipeError, ConnectionResetError) as error:
            self.kill()
            raise WorkerLost(self._process.returncode) from error
        except Nonsense as error:
            self.kill()
            raise Refusal("decoder_crashed") from error
        except Refusal:
            self._shrink()
            raise
        finally:
            os.close(source)
        return Developed(answer=answer, pixels=self._pixels(answer))

    def _pixels(self, answer: Answer) -> Picture:
        shared: Picture = np.frombuffer(self._room, np.uint8, answer.nbytes)
        pixels: Picture = shared.reshape(answer.height, answer.width, 3).copy()
        if answer.nbytes > _KEPT_BYTES:
            self._shrink()
        return pixels

    def _shrink(self) -> None:
        """Give back what a large picture has taken of the room."""
        if len(self._room) > _KEPT_BYTES:
            self._room.madvise(mmap.MADV_REMOVE, _KEPT_BYTES, len(self._room) - _KEPT_BYTES)

    def _watched(self, allowed: SandboxLimits) -> bytes:
        """Wait for the answer; kill the worker where it takes more than it may. Raise `Refusal` or `WorkerLost`."""
        started, before = time.monotonic(), usage(self.pid)
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while not poll.poll(_TICK_MS):
            now = usage(self.pid)
            self.peak_bytes = max(self.peak_bytes, now.resident)
            if (code := _excess(now, before, time.monotonic() - started, allowed)) is not None:
                self.kill()
                raise Refusal(code)
        self.peak_bytes = max(self.peak_bytes, peak_bytes(self.pid))
        packet, _, flags, _ = self._socket.recvmsg(MOST_BYTES)
        if not packet:
            self.kill()
            raise WorkerLost(self._process.returncode)
        if flags & socket.MSG_TRUNC:
            raise Nonsense("a packet is too long")
        return packet


def _excess(now: Usage, before: Usage, seconds: float, allowed: SandboxLimits) -> str | None:
    """The code of the limit that is passed."""
    if now.resident > allowed.memory_bytes:
        return "decoder_memory"
    if now.cpu_s - before.cpu_s > allowed.cpu_s:
        return "decoder_timeout"
    return "decoder_stalled" if seconds > allowed.wall_s else None


def _shared(size: int, content: bytes = b"") -> int:
    """A descriptor of shared memory without a name, of fixed size; pages that nobody touches take no memory."""
    descriptor = os.memfd_create("vitrine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    if content:
        os.pwrite(descriptor, content, 0)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


def _environment() -> dict[str, str]:
    """Python finds the same modules as here: from the folder of this package, and from wherever else ours come."""
    places = [
        str(Path(__file__).resolve().parents[2]),
        *(place for place in sys.path if place and Path(place).is_dir()),
    ]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
