"""Whose a photo is: the rights fields that its file carries, kept where the metadata policy says so."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

#: No honest notice is longer.
LONGEST = 500
#: More names than this are nobody's.
MOST_CREATORS = 20
#: Control characters, surrogates and code points without a meaning: XML cannot carry them all, and no notice needs one.
_NO_TEXT = frozenset({"Cc", "Cs", "Cn", "Co"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRights:
    """Rights fields of a source photo. They come from strangers: texts are cleaned and cut to `LONGEST` characters."""

    creator: tuple[str, ...] = ()
    copyright_notice: str | None = None
    credit: str | None = None
    usage_terms: str | None = None
    #: Address of a page about the rights.
    web_statement: str | None = None

    def __post_init__(self) -> None:
        names = [cleaned for name in self.creator[:MOST_CREATORS] if (cleaned := _clean(name)) is not None]
        object.__setattr__(self, "creator", tuple(names))
        for field in ("copyright_notice", "credit", "usage_terms", "web_statement"):
            object.__setattr__(self, field, _clean(getattr(self, field)))

    def __bool__(self) -> bool:
        """Whether any field is there."""
        return bool(self.creator or self.copyright_notice or self.credit or self.usage_terms or self.web_statement)


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    kept = "".join(" " if unicodedata.category(letter) in _NO_TEXT else letter for letter in text[: 4 * LONGEST])
    return " ".join(kept.split())[:LONGEST].strip() or None


def rights_of(notices: Mapping[str, tuple[str, ...]]) -> SourceRights:
    """The rights among what a source file said, by the names in `SourceImage.notices`."""

    def first(name: str) -> str | None:
        return next(iter(notices.get(name, ())), None)

    return SourceRights(
        creator=notices.get("creator", ()),
        copyright_notice=first("copyright_notice"),
        credit=first("credit"),
        usage_terms=first("usage_terms"),
        web_statement=first("web_statement"),
    )
