"""The file of tokens as it is now: a change counts within a second, without a restart."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from serve.doors.tokens import Register, RegisterInvalid, parse_register

log = logging.getLogger(__name__)

#: How long a look at the file counts.
_LOOK_EVERY_S = 1.0
#: More bytes than this are no file of tokens.
_MAX_BYTES = 4 * 2**20
_Seen = tuple[int, int, int]


class RegisterFile:
    """Gives the `Register` of a file.

    Whatever is wrong when the door is built is raised. Later, a file that cannot be understood leaves the tokens as
    they were, for somebody may be editing it; one that is gone or cannot be read leaves none: to take the file away
    locks everybody out.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = monotonic) -> None:
        """Raise `RegisterInvalid` or `OSError`."""
        self._path = path
        self._clock = clock
        self._looked_at_s = clock()
        self._seen: _Seen | None = _seen(path)
        self._register = _read(path)

    def current(self) -> Register:
        """The tokens that count now."""
        now_s = self._clock()
        if now_s - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = now_s
            self._look()
        return self._register

    def _look(self) -> None:
        try:
            seen = _seen(self._path)
            if seen == self._seen:
                return
            self._seen = seen
            self._register = _read(self._path)
            log.info("tokens read again", extra={"file": str(self._path), "tokens": len(self._register.tokens)})
        except RegisterInvalid as error:
            log.error("file of tokens refused, those before stay: %s", error, extra={"file": str(self._path)})  # noqa: TRY400
        except OSError as error:
            if self._register.tokens:
                log.error("no file of tokens, nobody may enter: %s", error.strerror, extra={"file": str(self._path)})  # noqa: TRY400
            self._seen, self._register = None, Register()


def _seen(path: Path) -> _Seen:
    """What tells one version of a file from another."""
    stat = os.stat(path)  # noqa: PTH116 - as cheap as can be
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(path: Path) -> Register:
    with path.open("rb") as file:
        raw = file.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise RegisterInvalid(f"it has more than {_MAX_BYTES:,} bytes")
    try:
        return parse_register(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise RegisterInvalid("it is not UTF-8") from None
