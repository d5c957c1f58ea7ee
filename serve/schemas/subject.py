"""What a photo shows, as it was recognised, and what can be said about it."""

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Evidence(_Record):
    """One fact and why it is believed."""

    #: category, pattern, colour or text.
    fact: str
    value: str
    #: 0..1.
    confidence: float
    #: Name and version of the model.
    source: str


class NamedColour(_Record):
    """One of the product's main colours."""

    name: str
    #: `#rrggbb`
    srgb: str
    #: Share of the product, 0..1.
    share: float
    evidence: Evidence


class Statement(_Record):
    """One thing that is said of the product."""

    text: str
    #: The facts of the subject that it rests on, as `fact=value`.
    evidence: list[str]


class Words(_Record):
    """All that can be said of the product in one language: plain text without markup, nothing but the evidence."""

    title: Statement | None = None
    bullets: list[Statement] = []
    tags: list[Statement] = []
    alt: Statement | None = None


class Subject(_Record):
    """What a source photo shows. It was recognised when its images were made, by the models that the evidence names."""

    category: Evidence | None = None
    pattern: Evidence | None = None
    colours: list[NamedColour] = []
    #: What is printed on the product, from top to bottom, where the text of photos is read.
    text: list[Evidence] = []
    #: Lines beside the product, such as a date or a shop's mark.
    text_beside: list[str] = []
    #: Whether the text of this photo was read at all.
    text_read: bool = False
    #: By language.
    words: dict[str, Words] = {}


class PhotoSubject(Subject):
    """The subject of one of the listing's photos."""

    image_id: str
