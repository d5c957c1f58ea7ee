"""Source photos kept for a while, so that the next revision of a listing need not move them again.

A kept photo is never used without asking its server whether it still holds, and never for another listing: the key is
tenant, listing and URL, hashed, since URLs may carry signatures. One SQLite file per node, shared by its replicas, for
the owner alone to read; what is erased is overwritten. A cache that fails keeps nothing and holds up nobody.
"""

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

from serve.errors import ErasureFailed
from serve.fetcher.freshness import Validators
from serve.interfaces import SourceOwner

log = logging.getLogger(__name__)
R = TypeVar("R")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS source (
    owner TEXT NOT NULL, url TEXT NOT NULL,
    came_from TEXT NOT NULL, etag TEXT, last_modified TEXT, content_type TEXT,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, stored_at REAL NOT NULL, used_at REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (owner, url)
);
CREATE INDEX IF NOT EXISTS source_used ON source (used_at, size);
CREATE INDEX IF NOT EXISTS source_stored ON source (stored_at);
"""
#: Seconds that another replica may hold the file.
_BUSY_S = 2.0
_ENTRIES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """A photo as its server gave it, and how to ask whether it still holds."""

    body: bytes
    sha256: str
    validators: Validators
    #: The address that gave it in the end, hashed: only that one is asked with these validators.
    came_from: str
    content_type: str | None = None


class SourceCache:
    """Bounded in bytes and entries; the ones unused for longest go first. Blocking and thread-safe.

    `get` and `put` never raise; `erase` and `prune` raise `ErasureFailed` rather than leave what should have gone.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        max_entries: int = _ENTRIES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = Lock()

    def get(self, owner: SourceOwner, url: str) -> KeptSource | None:
        """The listing's copy, unless it is too old or damaged."""

        def work(db: sqlite3.Connection) -> KeptSource | None:
            now = self._clock()
            row = db.execute(
                "SELECT body, sha256, etag, last_modified, came_from, content_type FROM source"
                " WHERE owner = ? AND url = ? AND stored_at > ?",
                (*_key(owner, url), now - self._max_age_s),
            ).fetchone()
            if row is None:
                return None
            body, sha256, etag, last_modified, came_from, content_type = row
            if hashlib.sha256(body).hexdigest() != sha256:
                db.execute("DELETE FROM source WHERE owner = ? AND url = ?", _key(owner, url))
                return None
            db.execute("UPDATE source SET used_at = ? WHERE owner = ? AND url = ?", (now, *_key(owner, url)))
            return KeptSource(
                body=body,
                sha256=sha256,
                validators=Validators(etag=etag, last_modified=last_modified),
                came_from=came_from,
                content_type=content_type,
            )

        return self._or_nothing(work, None)

    def put(self, owner: SourceOwner, url: str, source: KeptSource) -> None:
        """Keep a copy, in the place of an older one; one that is larger than the whole cache is not kept."""

        def work(db: sqlite3.Connection) -> None:
            now = self._clock()
            db.execute("DELETE FROM source WHERE owner = ? AND url = ?", _key(owner, url))
            db.execute("DELETE FROM source WHERE stored_at <= ?", (now - self._max_age_s,))
            if len(source.body) > self._max_bytes:
                return
            self._make_room(db, len(source.body))
            asked = source.validators
            db.execute(
                "INSERT INTO source VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *_key(owner, url),
                    source.came_from,
                    asked.etag,
                    asked.last_modified,
                    source.content_type,
                    source.sha256,
                    len(source.body),
                    now,
                    now,
                    source.body,
                ),
            )

        self._or_nothing(work, None)

    def erase(self, owner: SourceOwner, urls: Iterable[str] | None = None) -> int:
        """Remove the listing's copies, of these URLs or all; how many there were. For deletions and withdrawals."""
        if urls is None:
            return self._delete("owner = ?", [(_key(owner, "")[0],)])
        return self._delete("owner = ? AND url = ?", [_key(owner, url) for url in urls])

    def prune(self, max_age_s: float | None = None) -> int:
        """Remove what is older, by its first fetch and not its last use; how many there were."""
        age_s = self._max_age_s if max_age_s is None else min(max_age_s, self._max_age_s)
        return self._delete("stored_at <= ?", [(self._clock() - age_s,)])

    def size(self) -> tuple[int, int]:
        """Entries and their bytes."""
        return self._or_nothing(_size, (0, 0))

    def _make_room(self, db: sqlite3.Connection, size: int) -> None:
        entries, total = _size(db)
        oldest = db.execute("SELECT rowid, size FROM source ORDER BY used_at, rowid")
        gone = []
        for rowid, freed in oldest:
            if entries < self._max_entries and total + size <= self._max_bytes:
                break
            gone.append((rowid,))
            entries, total = entries - 1, total - freed
        db.executemany("DELETE FROM source WHERE rowid = ?", gone)

    def _delete(self, where: str, keys: Sequence[tuple[str | float, ...]]) -> int:
        def work(db: sqlite3.Connection) -> int:
            return max(0, db.executemany(f"DELETE FROM source WHERE {where}", keys).rowcount)  # noqa: S608 - our words

        try:
            return self._in_database(work, 0) if self._path.exists() else 0
        except (sqlite3.Error, OSError) as error:
            raise ErasureFailed from error

    def _or_nothing(self, work: Callable[[sqlite3.Connection], R], otherwise: R) -> R:
        try:
            return self._in_database(work, otherwise)
        except (sqlite3.Error, OSError) as error:
            log.warning("photos are not kept", extra={"reason": type(error).__name__})
            return otherwise

    def _in_database(self, work: Callable[[sqlite3.Connection], R], otherwise: R) -> R:
        """Run as one transaction. A damaged file is thrown away, and `otherwise` is the answer."""
        try:
            with self._lock, closing(self._open()) as db:
                db.execute("BEGIN IMMEDIATE")
                found = work(db)
                db.execute("COMMIT")
                return found
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            log.warning("the kept photos are damaged and go")
            self._path.unlink(missing_ok=True)
            return otherwise

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA secure_delete = ON")
            db.executescript(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db


def _key(owner: SourceOwner, url: str) -> tuple[str, str]:
    return _hashed(owner.tenant, owner.listing), _hashed(url)


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _size(db: sqlite3.Connection) -> tuple[int, int]:
    entries, total = db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM source").fetchone()
    return int(entries), int(total)
