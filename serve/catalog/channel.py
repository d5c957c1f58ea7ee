"""Channel profiles: what a sales channel accepts, as versioned data with the source of every figure."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.catalog.facts import ImageFacts as ImageFacts  # noqa: PLC0414 - part of what a channel is asked with
from serve.catalog.figure import Figure, Month, Source
from serve.catalog.recipe import Name
from serve.catalog.rules import ALL_IN_FORCE, Finding, Rules
from serve.schemas.result import RuleResult


class Disclosure(BaseModel):
    """How a channel wants pictures marked that a model made or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: A mark that people see on the picture. Forbidden wins over a recipe that asks for one.
    visible_label: Literal["forbidden", "allowed", "required"] = "allowed"
    #: Language of that mark, such as `zh`; without it the listing's own.
    label_language: str | None = None
    #: The `AIGC` metadata of GB 45438, seven fields in the XMP.
    implicit_aigc: bool = False
    #: A signed manifest of Content Credentials.
    c2pa: bool = False
    invisible_watermark: bool = False


class Channel(Rules):
    """The rules of one sales channel."""

    channel: Name
    version: Annotated[int, Field(ge=1)]
    title: str
    #: Where the figures come from that name no source of their own, and when that was read.
    source: Source
    read: Month | None = None
    disclosure: Disclosure = Disclosure()
    #: Whether faces are made unrecognisable before anything else is done with a photo.
    blur_faces: bool = False
    #: What the channel recommends beyond its figures; shown to people, not checked.
    advice: list[str] = []  # noqa: RUF012 - pydantic copies it

    @property
    def ref(self) -> str:
        """Name and version, as they stand in object keys."""
        return f"{self.channel}@{self.version}"

    def check(self, facts: ImageFacts, on: date = ALL_IN_FORCE) -> list[RuleResult]:
        """Hold a finished file against every rule of the channel, as it is in force on this day."""
        return self._said(self.findings(facts), on)

    def check_count(self, images: int, on: date = ALL_IN_FORCE) -> list[RuleResult]:
        """Hold the number of images of one listing against the channel's rules about it."""
        return self._said(self.counted(images), on)

    def figure_of(self, rule: str) -> Figure[Any] | None:
        """The figure behind the rule of a result."""
        name = "formats" if rule == "format" else rule
        for prefix, field in (("forbidden_", "forbidden"), ("address_", "address"), ("suffix", "address")):
            if rule.startswith(prefix):
                name = field
        figure = getattr(self, name, None)
        return figure if isinstance(figure, Figure) else None

    def is_confirmed(self, rule: str) -> bool:
        """Whether the figure behind a rule was read in a primary text; without that a breach goes to a person."""
        figure = self.figure_of(rule)
        return figure is not None and figure.confirmed

    def source_of(self, rule: str) -> str:
        """Who says so, and when that was read."""
        figure = self.figure_of(rule)
        source, read = (self.source, self.read) if figure is None or figure.source is None else (figure.source, None)
        read = (figure.read if figure is not None else None) or read or self.read
        return f"{source} ({read})" if read else source

    def _said(self, findings: Iterable[Finding], on: date) -> list[RuleResult]:
        return [
            RuleResult(
                rule=one.rule,
                passed=bool(one.holds),
                measured=one.measured,
                required=one.required,
                severity=one.severity(on),
                profile=self.channel,
                profile_version=str(self.version),
            )
            for one in findings
        ]
