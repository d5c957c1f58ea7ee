"""What decoding does to files, one line each: the figures of `python -m serve.images probe`."""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from serve.errors import DecoderCrashed, DecoderUnavailable, SourceError, SourceNotFound, SourceTooLarge
from serve.images.limits import MIB, DecodeLimits, Refusal, SandboxLimits
from serve.images.worker import NotStarted, Worker, WorkerLost

#: Largest file that is read.
MOST_BYTES = 25 * MIB
#: On the wall a little under five seconds, whatever else the machine does.
ALLOWED = SandboxLimits(wall_s=4.5)
#: A worker that rests with so much more than at its start gets no further file.
_CARRIED_BYTES = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A line: what became of a file."""

    path: str
    ok: bool
    #: None where it could be decoded; else the code of an error of `serve.errors`.
    code: str | None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    #: Pillow's mode of the pixels as they are stored.
    mode: str | None = None
    seconds: float
    #: Largest resident memory of the worker while it had this file, in MiB, its 35 MiB of program included; 0 where no
    #: worker saw it.
    peak_mb: float = 0.0


def probe(
    paths: Iterable[str], *, limits: DecodeLimits | None = None, allowed: SandboxLimits = ALLOWED
) -> Iterator[Probed]:
    """Decode each file in a worker as a replica would; whatever it is, it gets a line."""
    with _Workers(allowed) as workers:
        for path in paths:
            started = time.perf_counter()
            try:
                body = _read(path)
            except Refusal as error:
                yield Probed(path=path, ok=False, code=error.code, seconds=_since(started))
            else:
                yield workers.probe(path, body, limits or DecodeLimits())


class _Workers:
    """One worker at a time, a new one where the last one was killed or has grown."""

    def __init__(self, allowed: SandboxLimits) -> None:
        self._allowed = allowed
        self._worker: Worker | None = None

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.kill()

    def probe(self, path: str, body: bytes, limits: DecodeLimits) -> Probed:
        """Decode one file."""
        try:
            worker = self._fresh()
        except NotStarted:
            return Probed(path=path, ok=False, code=DecoderUnavailable.code, seconds=0.0)
        code, started = DecoderCrashed.code, time.perf_counter()
        try:
            answer = worker.run(body, limits, self._allowed).answer
        except Refusal as error:
            code = error.code
        except WorkerLost:
            pass
        else:
            return Probed(
                path=path,
                ok=True,
                code=None,
                width=answer.width,
                height=answer.height,
                format=answer.format,
                mode=answer.mode,
                seconds=_since(started),
                peak_mb=_mib(worker.peak_bytes),
            )
        return Probed(path=path, ok=False, code=code, seconds=_since(started), peak_mb=_mib(worker.peak_bytes))

    def _fresh(self) -> Worker:
        """A worker that carries nothing over from the file before."""
        if self._worker is None or not self._worker.alive() or self._worker.grown() > _CARRIED_BYTES:
            if self._worker is not None:
                self._worker.kill()
            self._worker = Worker(room_bytes=self._allowed.room_bytes)
        return self._worker


def _read(path: str) -> bytes:
    """The bytes of an ordinary file; pipes and devices are not even opened for reading."""
    try:
        # Without blocking: opening a pipe would wait for somebody who writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise Refusal((SourceError if os.path.lexists(path) else SourceNotFound).code) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Refusal(SourceError.code)
        if found.st_size > MOST_BYTES:
            raise Refusal(SourceTooLarge.code)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise Refusal(SourceError.code) from error
    finally:
        os.close(descriptor)


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 4)


def _mib(count: int) -> float:
    return round(count / MIB, 1)
