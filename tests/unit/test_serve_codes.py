import re
from pathlib import Path

from serve import errors
from serve.codes import ListingCode

SERVE = Path(errors.__file__).parent
LITERAL = re.compile(r"""\bcode\s*(?::\s*str\s*)?=\s*["']""")


def test_codes_are_written_in_two_places_only() -> None:
    written = {path.name for path in SERVE.rglob("*.py") if LITERAL.search(path.read_text())}
    assert written == {"errors.py"}


def test_no_code_means_two_things() -> None:
    failures = {
        one.code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ServeError)
    }
    assert failures
    assert failures.isdisjoint(set(ListingCode))
