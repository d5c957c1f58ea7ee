"""The index contract and random histories on SQLite; errors of the database."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

from serve.errors import IndexBusy, IndexFailed, IndexUnavailable, ServeError
from serve.index import SqlIndex
from serve.index.faults import sorted_fault, spoils_pool
from serve.interfaces import Answered, Removal
from serve.schemas.outcome import Outcome, RetryClass
from tests.support.index_contract import DELETED, Clock, IndexContract, answer, event, work
from tests.support.index_model import IndexHistory
from tests.support.index_privacy import PERSONAL, IndexPrivacyContract, delete, everything, publish


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/index.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(url: str, clock: Clock) -> Iterator[SqlIndex]:
    index = SqlIndex(url, now=clock)
    index.create_schema()
    yield index
    index.close()


class TestSqlite(IndexContract):
    pass


class TestSqlitePrivacy(IndexPrivacyContract):
    pass


class SqliteHistory(IndexHistory):
    def make_index(self) -> SqlIndex:
        self.folder = TemporaryDirectory(prefix="vitrine-index-")
        index = SqlIndex(f"sqlite:///{self.folder.name}/index.db")
        index.create_schema()
        return index

    def teardown(self) -> None:
        self.index.close()
        self.folder.cleanup()


TestHistories = SqliteHistory.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, derandomize=True)


def test_answers_outlive_the_process(url: str, index: SqlIndex) -> None:
    item = event(offset=1)
    work(index, item, "k1")
    index.close()
    again = SqlIndex(url)
    assert again.begin(event(revision=2, offset=2, kind=DELETED)) == Removal(keys=("k1",))
    again.close()


def test_stale_answers_carry_version_and_time(url: str, index: SqlIndex) -> None:
    work(index, event(revision=2, offset=1))
    result = work(SqlIndex(url, version="1.2.3"), event(revision=1, offset=2))
    assert result.vitrine_version == "1.2.3"
    assert result.finished_at.tzinfo is not None


def test_a_missing_schema_is_no_outage(url: str) -> None:
    index = SqlIndex(url)
    item = event(offset=1)
    for call in (
        index.check,
        lambda: index.begin(item),
        lambda: index.claim(item, "k1"),
        lambda: index.finish(item, answer(item)),
    ):
        with pytest.raises(IndexFailed):
            call()


def test_a_database_of_the_first_version_gets_the_new_column_and_keeps_its_answers(url: str, index: SqlIndex) -> None:
    item = event(offset=1)
    first = work(index, item)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("answers", "events"):
            connection.execute(text(f"DROP INDEX ix_vitrine_{table}_answered_at"))
            connection.execute(text(f"ALTER TABLE vitrine_{table} DROP COLUMN answered_at"))
    engine.dispose()
    again = SqlIndex(url)
    again.create_schema()
    assert again.prune(timedelta(days=1)) == 0
    assert again.begin(item) == Answered(result=first)
    again.close()


def test_answers_from_before_listings_were_noted_with_them_are_erased_as_well(url: str, index: SqlIndex) -> None:
    publish(index, 1, 1)
    publish(index, 2, 1, listing='"sh%rt\\ \u2603')
    work(index, event("agreed", 1, offset=3, training=True))
    engine = create_engine(url)
    with engine.begin() as connection:
        for table, column in (("answers", "listing_ref"), ("listings", "deleted_at")):
            connection.execute(text(f"DROP INDEX ix_vitrine_{table}_{column}"))
            connection.execute(text(f"ALTER TABLE vitrine_{table} DROP COLUMN {column}"))
        for column in ("training_granted", "training_refused"):
            connection.execute(text(f"ALTER TABLE vitrine_listings DROP COLUMN {column}"))
    engine.dispose()
    again = SqlIndex(url)
    again.create_schema()
    assert list(again.trainable()) == [], "nobody knows what was agreed to"
    delete(again, 4, 2)
    assert PERSONAL in everything(again), "the other listing lives"
    assert work(again, event('"sh%rt\\ \u2603', 2, offset=5, kind=DELETED)).outcome is Outcome.REMOVED
    assert PERSONAL not in everything(again)
    again.close()


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/index.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_database_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(IndexUnavailable):
        SqlIndex(url).check()


def test_a_file_that_is_no_database_is_no_outage(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"not a database" * 100)
    with pytest.raises(IndexFailed) as refused:
        SqlIndex(f"sqlite:///{tmp_path}/index.db").create_schema()
    assert refused.value.retry is not RetryClass.BACK_PRESSURE, "waiting would never help"


def test_a_file_that_may_only_be_read_is_no_outage(url: str, index: SqlIndex) -> None:
    index.close()
    with pytest.raises(IndexFailed):
        SqlIndex(f"{url.replace(':///', ':///file:')}?mode=ro&uri=true").begin(event(offset=1))


@pytest.mark.parametrize(
    ("state", "kind", "spoils"),
    [
        ("08006", IndexUnavailable, False),
        ("57P01", IndexUnavailable, True),
        ("57P03", IndexUnavailable, True),
        ("53100", IndexUnavailable, False),
        ("53300", IndexUnavailable, False),
        ("25006", IndexUnavailable, True),
        ("25P03", IndexUnavailable, False),
        ("55P03", IndexBusy, False),
        ("57014", IndexBusy, False),
        ("40001", IndexBusy, False),
        ("40P01", IndexBusy, False),
        ("54000", IndexFailed, False),
        ("42P01", IndexFailed, False),
        ("42501", IndexFailed, False),
        ("22001", IndexFailed, False),
        ("XX000", IndexFailed, False),
    ],
)
def test_errors_of_postgresql_are_sorted_by_their_state(state: str, kind: type[ServeError], spoils: bool) -> None:
    error = wrapped(psycopg.errors.lookup(state)("no"))
    assert type(sorted_fault(error)) is kind
    assert spoils_pool(error) is spoils


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (psycopg.OperationalError("connection refused"), IndexUnavailable),
        (psycopg.InterfaceError("the connection is closed"), IndexUnavailable),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), IndexFailed),
        (psycopg.ProgrammingError("the query has 1 placeholders but 0 parameters were passed"), IndexFailed),
    ],
)
def test_what_the_driver_says_itself_is_sorted_by_kind(raised: psycopg.Error, kind: type[ServeError]) -> None:
    assert type(sorted_fault(wrapped(raised))) is kind


def wrapped(error: psycopg.Error) -> DBAPIError:
    """As SQLAlchemy raises it."""
    made = DBAPIError.instance("SELECT 1", None, error, psycopg.Error, dialect=PGDialect_psycopg())
    assert isinstance(made, DBAPIError)
    return made


def test_a_locked_database_is_unavailable(url: str, index: SqlIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.index.database._SQLITE_BUSY_MS", 50)
    with create_engine(url).connect() as blocker:
        blocker.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(IndexUnavailable):
            SqlIndex(url).begin(event(offset=1))


WORKER = """
import sys
from serve.index import SqlIndex
from tests.support.index_contract import event, work

index = SqlIndex(sys.argv[1])
for offset in range(8):
    work(index, event(f"listing-{offset % 3}", offset, offset=offset), f"k{offset % 4}")
"""


def test_several_processes_share_one_file(url: str, index: SqlIndex) -> None:
    root = Path(__file__).parents[2]
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, url], cwd=root) for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    outcomes = {work(index, event(f"listing-{offset % 3}", offset, offset=offset)).outcome for offset in range(8)}
    assert outcomes <= {Outcome.ENRICHED, Outcome.STALE}
