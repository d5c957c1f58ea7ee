"""Rows of the reconciliation ledger: what became of each event, as a file for programs and packed for the page."""

import base64
import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from deploy.loadtest.ledger.row import LedgerRow

#: Rows that the page carries at most, besides all with a problem. 400,000 rows are about 15 MB of HTML.
EMBEDDED = 400_000


@dataclass(slots=True)
class KeptRows:
    """What the page shows of the ledger."""

    rows: list[LedgerRow] = field(default_factory=list)
    problems: list[LedgerRow] = field(default_factory=list)
    total: int = 0

    def add(self, row: LedgerRow, limit: int) -> None:
        """Keep it, if there is room or it is a problem."""
        self.total += 1
        if row.is_problem:
            self.problems.append(row)
        if row.is_problem or len(self.rows) < limit:
            self.rows.append(row)

    @property
    def left_out(self) -> int:
        """Rows that only the file has."""
        return self.total - len(self.rows)


def write_rows(rows: Iterable[LedgerRow], path: Path, limit: int = EMBEDDED) -> KeptRows:
    """Write all rows to `path`, a CSV file packed by gzip, and return those that the page shows."""
    kept = KeptRows()
    # No time and no name in the header: the same rows are the same bytes.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0, compresslevel=6) as small,
        io.TextIOWrapper(small, "utf-8", newline="", errors="backslashreplace") as text,
    ):
        _write_csv(rows, text, kept, limit)
    return kept


def _write_csv(rows: Iterable[LedgerRow], text: TextIO, kept: KeptRows, limit: int) -> None:
    writer = csv.writer(text)
    writer.writerow(LedgerRow._fields)
    for row in rows:
        writer.writerow(row)
        kept.add(row, limit)


def packed(rows: Sequence[LedgerRow]) -> str:
    """The rows as columns: JSON, packed by gzip, in base64. Columns pack better than rows."""
    rounded = (row._replace(at_s=round(row.at_s, 3), latency_ms=_rounded(row.latency_ms)) for row in rows)
    columns = dict(zip(LedgerRow._fields, zip(*rounded, strict=True), strict=True)) if rows else {}
    plain = json.dumps(columns, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(plain.encode(), mtime=0)).decode()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
