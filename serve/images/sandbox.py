"""A pool of decode workers: whatever a stranger's file does to its decoder, it costs that file and nothing else.

Workers are reused; one more than can be busy is kept ready, so that nobody waits for the successor of one that was
killed. A worker that has grown, or done many files, is replaced as well.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from serve.errors import DecoderUnavailable
from serve.images.decoding import DecodeLimits, refused
from serve.images.limits import MIB, Refusal, SandboxLimits
from serve.images.worker import COMMAND, Developed, NotStarted, Worker, WorkerLost
from serve.interfaces import FetchedBytes, SourceImage

log = logging.getLogger(__name__)

#: Seconds to wait for a free worker.
WAIT_S = 120.0
_RETRY_S = 2.0
_MOST_JOBS = 1_000
#: Workers that may be killed by others before their photo is taken to be the reason.
_TRIES = 3
#: A worker that rests with so much more than it began with is replaced.
_GROWN_BYTES = 48 * MIB


class Sandbox:
    """Decodes in other processes. Thread-safe; as many threads as `workers` decode at once, more of them wait."""

    def __init__(
        self,
        workers: int = 1,
        *,
        allowed: SandboxLimits | None = None,
        command: Sequence[str] = COMMAND,
        wait_s: float = WAIT_S,
    ) -> None:
        self._allowed = allowed or SandboxLimits()
        self._command = command
        self._wait_s = wait_s
        self._wanted = workers + 1
        self._busy = threading.BoundedSemaphore(workers)
        self._changed = threading.Condition()
        self._idle: deque[Worker] = deque()
        self._alive = 0
        self._closed = False
        # Workers die with the thread that started them, so it must be one that stays.
        self._keeper = threading.Thread(target=self._keep, name="decode-keeper", daemon=True)
        self._keeper.start()

    def decode(self, fetched: FetchedBytes, image_id: str, limits: DecodeLimits) -> SourceImage:
        """Decode the first frame: upright, sRGB, alpha on `limits.ground`, `uint8 [H, W, 3]`. Blocking.

        Raise `SourceError`, or `DecoderUnavailable` if no worker can be had.
        """
        try:
            done = self._run(fetched.body, limits)
        except Refusal as error:
            if error.code.startswith("decoder_"):
                log.warning(
                    "a photo was too much for its decoder", extra={"code": error.code, "sha256": fetched.sha256}
                )
            raise refused(error.code, error.message) from error
        return SourceImage(
            image_id=image_id,
            sha256=fetched.sha256,
            pixels=done.pixels,
            format=done.answer.format,
            flags=done.answer.flags,
            notices=done.answer.notices,
        )

    def _run(self, body: bytes, limits: DecodeLimits) -> Developed:
        """Again if something else killed the worker: a kernel short of memory does not ask whose fault it is."""
        if not self._busy.acquire(timeout=self._wait_s):
            raise DecoderUnavailable
        try:
            for tried in range(_TRIES):
                worker = self._take()
                try:
                    return worker.run(body, limits, self._allowed)
                except WorkerLost as error:
                    log.warning("a decode worker is lost", extra={"reason": str(error)})
                    if error.by_itself or tried == _TRIES - 1:
                        raise Refusal("decoder_crashed") from error
                finally:
                    self._put_back(worker)
            raise AssertionError("unreachable")
        finally:
            self._busy.release()

    def _take(self) -> Worker:
        deadline = time.monotonic() + self._wait_s
        with self._changed:
            while not self._closed:
                while self._idle:
                    worker = self._idle.popleft()
                    if worker.alive():
                        return worker
                    self._drop(worker)
                if not self._changed.wait(deadline - time.monotonic()):
                    break
        raise DecoderUnavailable

    def _put_back(self, worker: Worker) -> None:
        with self._changed:
            if self._closed or worker.jobs >= _MOST_JOBS or not worker.alive() or worker.grown() > _GROWN_BYTES:
                self._drop(worker)
            else:
                self._idle.appendleft(worker)
                self._changed.notify_all()

    def _drop(self, worker: Worker) -> None:
        """Forget a worker, and let the keeper start another."""
        worker.kill()
        self._alive -= 1
        self._changed.notify_all()

    def _keep(self) -> None:
        while True:
            with self._changed:
                while not self._closed and self._alive >= self._wanted:
                    self._changed.wait()
                if self._closed:
                    self._changed.wait_for(lambda: self._alive <= len(self._idle))
                    return
                self._alive += 1
            self._start()

    def _start(self) -> None:
        try:
            worker = Worker(self._command, self._allowed.room_bytes)
        except NotStarted as error:
            log.warning("no decode worker can be started", extra={"reason": str(error)})
            with self._changed:
                self._alive -= 1
                self._changed.wait_for(lambda: self._closed, _RETRY_S)
            return
        with self._changed:
            self._idle.append(worker)
            self._changed.notify_all()

    def close(self) -> None:
        """End all workers; waits for those that are busy, which is as long as a file may take."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._keeper.join()
        with self._changed:
            while self._idle:
                self._drop(self._idle.popleft())
