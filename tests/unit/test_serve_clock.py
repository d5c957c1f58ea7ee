import re
from pathlib import Path

from serve.schemas.clock import clock_name


def test_a_clock_is_named_by_the_boot_and_does_not_give_it_away(tmp_path: Path) -> None:
    first, same, other = (tmp_path / name for name in ("first", "same", "other"))
    first.write_text("0d1f2f2a-0000-4000-8000-000000000001\n")
    same.write_text("0d1f2f2a-0000-4000-8000-000000000001")
    other.write_text("0d1f2f2a-0000-4000-8000-000000000002\n")
    assert clock_name(first) == clock_name(same) != clock_name(other)
    assert re.fullmatch("[0-9a-f]{12}", clock_name(first) or "")
    assert "0d1f2f2a" not in (clock_name(first) or "")


def test_without_a_boot_id_a_clock_has_no_name(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert clock_name(tmp_path / "empty") is None
    assert clock_name(tmp_path / "missing") is None
