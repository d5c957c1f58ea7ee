"""The index contract and random histories on PostgreSQL."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import create_engine, text

from serve.errors import IndexBusy, IndexUnavailable
from serve.index import SqlIndex
from serve.index.tables import metadata
from tests.support.index_contract import Clock, IndexContract, event
from tests.support.index_model import IndexHistory
from tests.support.index_privacy import IndexPrivacyContract

pytestmark = pytest.mark.real


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(postgres_url: str, clock: Clock) -> Iterator[SqlIndex]:
    index = SqlIndex(postgres_url, now=clock)
    index.create_schema()
    yield index
    index.close()


class TestPostgres(IndexContract):
    pass


class TestPostgresPrivacy(IndexPrivacyContract):
    pass


def test_random_histories(index: SqlIndex, postgres_url: str) -> None:
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    tables = ", ".join(table.name for table in metadata.sorted_tables)

    class History(IndexHistory):
        def make_index(self) -> SqlIndex:
            with engine.begin() as connection:
                connection.execute(text(f"TRUNCATE {tables}"))
            return index

    run_state_machine_as_test(
        History, settings=settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True)
    )
    engine.dispose()


def test_connections_that_were_cut_are_replaced(index: SqlIndex, postgres_url: str) -> None:
    index.check()
    other = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :d"
            ),
            {"d": other.url.database},
        )
    other.dispose()
    index.check()


def test_a_row_that_stays_locked_is_busy_and_no_outage(
    index: SqlIndex, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.begin(event(offset=1))
    monkeypatch.setattr("serve.index.database._POSTGRES_OPTIONS", "-c lock_timeout=100")
    impatient = SqlIndex(postgres_url)
    other = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with other.begin() as connection:
        connection.execute(text("SELECT 1 FROM vitrine_listings FOR UPDATE"))
        with pytest.raises(IndexBusy):
            impatient.begin(event(offset=1))
    other.dispose()


def test_a_primary_that_turned_read_only_is_left_for_the_next_one(index: SqlIndex, postgres_url: str) -> None:
    index.check()
    other = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")

    with index._database.transaction() as connection:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
    with pytest.raises(IndexUnavailable, match="25006"):
        index.begin(event(offset=1))
    index.begin(event(offset=1))  # by a new connection
    with other.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {other.url.database} SET default_transaction_read_only = on"))
    standby = SqlIndex(postgres_url)
    with pytest.raises(IndexUnavailable):
        standby.check()
    with other.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.execute(text(f"ALTER DATABASE {other.url.database} SET default_transaction_read_only = off"))
    standby.check()
    other.dispose()
