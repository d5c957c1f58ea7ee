"""serve/SECURITY.md: every hazard and wish has its row, and every test that a row names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "serve/SECURITY.md").read_text()
NAMED = re.findall(r"`((?:unit|integration|acceptance)/test_\w+\.py)::(\w+)`", PAGE)


def rows(heading: str) -> dict[int, str]:
    """The numbered rows of the table under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return {int(number): rest for number, rest in re.findall(r"^\| (\d+) \|(.*)$", section, re.MULTILINE)}


@pytest.mark.parametrize(("heading", "count"), [("Hazards of what comes in", 18), ("What users ask for", 10)])
def test_every_row_is_there_and_names_a_test(heading: str, count: int) -> None:
    found = rows(heading)
    assert sorted(found) == list(range(1, count + 1))
    assert [number for number, rest in found.items() if "::test_" not in rest] == []


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_named_test_is_there(file: str) -> None:
    source = (ROOT / "tests" / file).read_text()
    defined = set(re.findall(r"^(?:async )?def (test_\w+)\(", source, re.MULTILINE))
    assert {name for named, name in NAMED if named == file} <= defined
