"""What an HTTP answer says about keeping it: whether one may, and how to ask later whether it still holds. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
_DATE = re.compile(r"[A-Za-z0-9:, +-]{1,40}")
#: A file that changed so shortly before the answer may change again within the same second of its date.
_SETTLED_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """How a server names the state of a file; at least one of the two is there."""

    etag: str | None = None
    last_modified: str | None = None

    def asked(self) -> list[tuple[bytes, bytes]]:
        """The headers that ask for the file only if it is another one now."""
        pairs = [(b"if-none-match", self.etag), (b"if-modified-since", self.last_modified)]
        return [(name, value.encode("ascii")) for name, value in pairs if value is not None]


def validators(fields: Mapping[bytes, str]) -> Validators | None:
    """From the header fields of an answer (names in lower case); None where nothing may be kept or asked for."""
    directives = {part.split("=", 1)[0].strip().lower() for part in fields.get(b"cache-control", "").split(",")}
    if "no-store" in directives or "*" in fields.get(b"vary", ""):
        return None
    etag, changed = fields.get(b"etag", ""), fields.get(b"last-modified", "")
    found = Validators(
        etag=etag if _ETAG.fullmatch(etag) else None,
        last_modified=changed if _settled(changed, fields.get(b"date", "")) else None,
    )
    return found if found.asked() else None


def _settled(changed: str, date: str) -> bool:
    if not _DATE.fullmatch(changed):
        return False
    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(changed)).total_seconds() >= _SETTLED_S
    except (TypeError, ValueError, OverflowError):
        return False
