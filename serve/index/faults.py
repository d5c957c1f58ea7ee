"""Which errors of a database mean that it is away, that a row is busy, or that it will never do what it is asked.

Whoever is told `IndexUnavailable` waits without end, so only what waiting mends, and what hits every event alike, may
be called so. PostgreSQL: appendix "Error Codes" of its manual. SQLite: "Result and Error Codes".
"""

import sqlite3

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from serve.errors import IndexBusy, IndexFailed, IndexUnavailable, ServeError

#: Connection lost, shut down or starting up, out of disk or memory or connections, idle too long in a transaction.
_AWAY = ("08", "57P", "53", "25P03")
#: The server became a read-only standby: another one is the primary now.
_READ_ONLY = "25006"
#: A lock not had in time, a statement stopped for its time, a deadlock or a serialization failure: about one row.
_BUSY = ("55P03", "57014", "40")
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)


def sorted_fault(error: SQLAlchemyError | sqlite3.Error) -> ServeError:
    """The error of this room that says what helps."""
    cause = getattr(error, "orig", None) or error
    name = type(cause).__name__
    if isinstance(cause, sqlite3.Error):
        # The low byte is the error, the rest its detail.
        away = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF in _SQLITE_AWAY
        return IndexUnavailable(_silent(name)) if away else IndexFailed(_refuses(name))
    state = sqlstate(error)
    if state is None:
        # The driver itself speaks: no connection, unless it is about what we hand it.
        away = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
        return IndexUnavailable(_silent(name)) if away else IndexFailed(_refuses(name))
    if state.startswith(_AWAY) or state == _READ_ONLY:
        return IndexUnavailable(_silent(f"{name} {state}"))
    if state.startswith(_BUSY):
        return IndexBusy(f"the result index is held up: {name} {state}")
    return IndexFailed(_refuses(f"{name} {state}"))


def spoils_pool(error: SQLAlchemyError | sqlite3.Error) -> bool:
    """Whether the other open connections are as useless as this one: the server stops, or is no primary any more."""
    state = sqlstate(error)
    return state is not None and state.startswith((_READ_ONLY, "57P"))


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's five characters; None where the server had no part in it."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state if isinstance(state, str) else None


def _silent(detail: str) -> str:
    return f"the result index does not answer: {detail}"


def _refuses(detail: str) -> str:
    return f"the result index refuses: {detail}"
