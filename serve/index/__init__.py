"""What was answered, in SQL: the `ResultIndex` of `serve.interfaces`, on SQLite and PostgreSQL."""

from serve.index.index import SqlIndex

__all__ = ["SqlIndex"]
