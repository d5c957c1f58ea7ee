"""The database under the result index, SQLite or PostgreSQL: writing transactions, sorted errors, one clock."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from serve.index.faults import sorted_fault, spoils_pool
from serve.index.tables import metadata

_SQLITE_BUSY_MS = 10_000
_POSTGRES_OPTIONS = "-c lock_timeout=5000 -c statement_timeout=10000"
#: Names the lock under which processes that start together create the tables one after the other.
_SCHEMA_LOCK = 0x76697472


class Database:
    """Transactions on the index database."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A writing transaction; raise `IndexUnavailable`, `IndexBusy` or `IndexFailed`."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            if spoils_pool(error):
                self._engine.dispose()
            raise sorted_fault(error) from error

    def create_schema(self) -> None:
        """Create what is missing; several processes may do so at once."""
        with self.transaction() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SCHEMA_LOCK})
            for table in metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
                _add_missing_columns(connection, table)
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def now_ms(connection: Connection) -> int:
    """Milliseconds since 1970 by the database's clock: the only one that all replicas share."""
    postgres = "SELECT CAST(extract(epoch FROM now()) * 1000 AS bigint)"
    query = postgres if connection.dialect.name == "postgresql" else "SELECT unixepoch() * 1000"
    return int(connection.execute(text(query)).scalar_one())


def insert_missing(connection: Connection, table: Table, **values: object) -> None:
    """Insert the row unless its primary key is there."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).values(**values).on_conflict_do_nothing())


def insert_or_replace(connection: Connection, table: Table, **values: object) -> None:
    """Insert the row, or give the one with its primary key these values."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in values.items() if name not in keys}
    connection.execute(insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=changed))


def _add_missing_columns(connection: Connection, table: Table) -> None:
    """Databases of earlier versions lack columns; what they know counts as answered now."""
    names = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name in names:
            continue
        kind = column.type.compile(connection.dialect)
        default = now_ms(connection) if column.name == "answered_at" else -1
        rest = "" if column.nullable else f" NOT NULL DEFAULT {default}"
        connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}{rest}"))


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(str(parsed))
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        pool_pre_ping=True,
        pool_timeout=5,
        # Of several hosts the primary is taken; a standby that takes no writes counts as away.
        connect_args={"connect_timeout": 3, "options": _POSTGRES_OPTIONS, "target_session_attrs": "read-write"},
    )


def _sqlite(url: str) -> Engine:
    """SQLite for several processes: a write-ahead log, and the write lock taken when a transaction starts.

    Taken later, two transactions that read first could not both go on to write.
    """
    engine = create_engine(url, connect_args={"timeout": _SQLITE_BUSY_MS / 1000})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
