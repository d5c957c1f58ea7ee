"""Channel profiles: what a sales channel accepts, as versioned data with its source."""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve.catalog.recipe import Name
from serve.schemas.result import RuleResult

Format = Literal["jpeg", "png", "webp", "avif", "gif", "tiff", "bmp", "heic"]
#: What a channel may forbid and we can check or assure: pictures made by a model, moving pictures, and drawn-on
#: things (text, logo, watermark, border), which an operation has to declare before it may add them.
Forbidden = Literal["synthetic", "animation", "text", "logo", "watermark", "border"]
T = TypeVar("T")


class Figure(BaseModel, Generic[T]):
    """One figure of a channel's rules. Written bare, or with `confirmed: false` where no primary text was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: T
    confirmed: bool = True
    note: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return data if isinstance(data, dict | Figure) else {"value": data}


Pixels = Figure[Annotated[int, Field(ge=1, le=100_000)]]
Share = Figure[Annotated[float, Field(gt=0, le=1)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of a finished file when it is held against a channel profile."""

    width: int
    height: int
    format: str
    bytes: int
    digital_source_type: str
    #: Share of the background that is pure white, 0..1; None where it was not measured.
    whiteness: float | None = None
    #: Share of the frame's limiting side that the product takes, 0..1; None where it was not measured.
    fill: float | None = None
    #: What operations have drawn on the picture: `text`, `logo`, `watermark`, `border`.
    added: frozenset[str] = frozenset()


class Disclosure(BaseModel):
    """How a channel wants pictures marked that a model made or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: A mark that people see on the picture. Forbidden wins over a recipe that asks for one.
    visible_label: Literal["forbidden", "allowed", "required"] = "allowed"
    #: The `AIGC` metadata of GB 45438, seven fields in the XMP.
    implicit_aigc: bool = False
    #: A signed manifest of Content Credentials.
    c2pa: bool = False
    invisible_watermark: bool = False


class Channel(BaseModel):
    """The rules of one sales channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    channel: Name
    version: Annotated[int, Field(ge=1)]
    title: str
    #: Where the figures come from.
    source: Annotated[str, Field(min_length=1)]
    formats: Figure[list[Format]]
    max_bytes: Figure[Annotated[int, Field(ge=1)]] | None = None
    max_megapixels: Figure[Annotated[float, Field(gt=0)]] | None = None
    max_side: Pixels | None = None
    min_shortest_side: Pixels | None = None
    min_longest_side: Pixels | None = None
    #: Width divided by height.
    aspect: Figure[Annotated[float, Field(gt=0)]] | None = None
    #: Least share of the background that is pure white.
    white_background: Share | None = None
    min_fill: Share | None = None
    forbidden: Figure[list[Forbidden]] | None = None
    disclosure: Disclosure = Disclosure()
    #: Whether faces are made unrecognisable before anything else is done with a photo.
    blur_faces: bool = False
    #: What the channel recommends; shown to people, not checked.
    advice: list[str] = []

    @property
    def ref(self) -> str:
        """Name and version, as they stand in object keys."""
        return f"{self.channel}@{self.version}"

    def check(self, facts: ImageFacts) -> list[RuleResult]:
        """Hold a finished file against every rule of the channel."""
        longest, shortest = max(facts.width, facts.height), min(facts.width, facts.height)
        results = [self._rule("format", facts.format in self.formats.value, facts.format, " ".join(self.formats.value))]
        at_most: list[tuple[str, Figure[Any] | None, float]] = [
            ("max_bytes", self.max_bytes, facts.bytes),
            ("max_megapixels", self.max_megapixels, facts.width * facts.height / 1e6),
            ("max_side", self.max_side, longest),
        ]
        at_least: list[tuple[str, Figure[Any] | None, float | None]] = [
            ("min_shortest_side", self.min_shortest_side, shortest),
            ("min_longest_side", self.min_longest_side, longest),
            ("white_background", self.white_background, facts.whiteness),
            ("min_fill", self.min_fill, facts.fill),
        ]
        for name, most, there in at_most:
            if most is not None:
                results.append(self._rule(name, there <= most.value, there, f"<= {most.value}"))
        for name, least, measured in at_least:
            if least is not None:
                holds = measured is not None and measured >= least.value
                results.append(self._rule(name, holds, measured, f">= {least.value}"))
        if self.aspect is not None:
            ratio = facts.width / facts.height
            holds = abs(ratio - self.aspect.value) <= 0.01 * self.aspect.value
            results.append(self._rule("aspect", holds, round(ratio, 4), f"{self.aspect.value} within 1 %"))
        return results + self._check_forbidden(facts)

    def _check_forbidden(self, facts: ImageFacts) -> list[RuleResult]:
        if self.forbidden is None:
            return []
        synthetic = "trainedalgorithmicmedia" in facts.digital_source_type.lower()
        # Our encoders write single frames, so `animation` can never be there.
        there = facts.added | ({"synthetic"} if synthetic else set())
        return [
            self._rule(f"forbidden_{thing}", thing not in there, "present" if thing in there else "absent", "absent")
            for thing in self.forbidden.value
        ]

    def is_confirmed(self, rule: str) -> bool:
        """Whether the figure behind a rule was read in a primary text; without that a breach goes to a person."""
        name = {"format": "formats"}.get(rule, "forbidden" if rule.startswith("forbidden_") else rule)
        figure = getattr(self, name, None)
        return bool(figure is not None and figure.confirmed)

    def _rule(self, name: str, passed: bool, measured: float | str | None, required: str) -> RuleResult:
        return RuleResult(
            rule=name,
            passed=passed,
            measured=measured,
            required=required,
            profile=self.channel,
            profile_version=str(self.version),
        )
