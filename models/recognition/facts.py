"""What is known of a product, each fact with what it was read from."""

from dataclasses import dataclass

from models.recognition.palette import Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One fact and why it is believed."""

    #: `category`, `colour`, `pattern` or `text`.
    fact: str
    #: As the model names it, whatever the language of the words.
    value: str
    #: 0..1.
    confidence: float
    #: Name and version of the model.
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourFact:
    """One of the main colours."""

    colour: Colour
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of one product. What nobody looked for, or found, is None or empty."""

    category: Evidence | None = None
    pattern: Evidence | None = None
    #: The largest first.
    colours: tuple[ColourFact, ...] = ()
    #: Lines on the product, from top to bottom.
    text: tuple[Evidence, ...] = ()
