"""The rules of a sales channel and the engine that holds an image against them. Pure: facts and a day in, results out.

A breach of a confirmed figure rejects; of one that was read in no primary text, and of one that nobody could measure,
asks a person; advice, and a rule that does not bind yet, is told and stops nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from models.quality.overlays import WATERMARK_SUSPECTED
from serve.catalog.facts import SUFFIXES_OF, ImageFacts
from serve.catalog.figure import AddressForm, Figure
from serve.schemas.result import Severity

Format = Literal["jpeg", "png", "webp", "avif", "gif", "tiff", "bmp", "heic"]
#: What a channel may forbid: pictures made by a model, moving pictures, and drawn-on things.
Forbidden = Literal["synthetic", "animation", "text", "logo", "watermark", "border"]
Pixels = Figure[Annotated[int, Field(ge=1, le=100_000)]]
Count = Figure[Annotated[int, Field(ge=1)]]
Share = Figure[Annotated[float, Field(gt=0, le=1)]]
#: The day on which every rule is in force, for whoever does not say when.
ALL_IN_FORCE = date.max
#: Ports of addresses that name none.
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule came to, before it is said on behalf of a channel. `holds` is None where nothing was measured."""

    rule: str
    figure: Figure[Any]
    holds: bool | None
    measured: float | str | None
    required: str
    #: Found by a guess, such as a suspected watermark: never more than a question to a person.
    guess: bool = False
    advice: bool = False

    def severity(self, on: date) -> Severity:
        """What a breach leads to."""
        if self.advice or not self.figure.binds(on):
            return "advice"
        return "review" if self.holds is None or self.guess or not self.figure.confirmed else "reject"


class Rules(BaseModel):
    """Everything that can be required of one image, and of the images of one listing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    formats: Figure[list[Format]]
    max_bytes: Count | None = None
    max_megapixels: Figure[Annotated[float, Field(gt=0)]] | None = None
    max_side: Pixels | None = None
    min_shortest_side: Pixels | None = None
    min_longest_side: Pixels | None = None
    #: What the channel recommends: a listing that is bound for it gets this size where it can.
    advised_longest_side: Pixels | None = None
    #: Width divided by height.
    aspect: Figure[Annotated[float, Field(gt=0)]] | None = None
    #: Least share of the background that is pure white.
    white_background: Share | None = None
    min_fill: Share | None = None
    colour: Figure[Literal["RGB 8"]] | None = None
    advised_jpeg_quality: Figure[Annotated[int, Field(ge=1, le=100)]] | None = None
    forbidden: Figure[list[Forbidden]] | None = None
    address: Figure[AddressForm] | None = None
    #: Images of one listing.
    max_images: Count | None = None
    advised_images: Count | None = None

    def findings(self, facts: ImageFacts) -> Iterator[Finding]:
        """Hold a finished file against every rule about one image."""
        form = facts.format
        yield Finding("format", self.formats, form in self.formats.value, form, " ".join(self.formats.value))
        yield from self._limits(facts)
        if self.aspect is not None:
            ratio = facts.width / facts.height
            holds = abs(ratio - self.aspect.value) <= 0.01 * self.aspect.value
            yield Finding("aspect", self.aspect, holds, round(ratio, 4), f"{self.aspect.value} within 1 %")
        if self.colour is not None:
            same = None if facts.colour is None else facts.colour == self.colour.value
            yield Finding("colour", self.colour, same, facts.colour, self.colour.value)
        if self.forbidden is not None:
            for thing in self.forbidden.value:
                yield _forbidden(thing, self.forbidden, facts)
        if self.address is not None:
            yield from _address(self.address, facts)

    def counted(self, images: int) -> Iterator[Finding]:
        """Hold the number of a listing's images against the rules about it."""
        if self.max_images is not None:
            most = self.max_images
            # A guess, for which of them the seller will take is not known.
            yield Finding("max_images", most, images <= most.value, images, f"<= {most.value}", guess=True)
        if self.advised_images is not None:
            least = self.advised_images
            yield Finding("advised_images", least, images >= least.value, images, f">= {least.value}", advice=True)

    def _limits(self, facts: ImageFacts) -> Iterator[Finding]:
        longest, shortest = max(facts.width, facts.height), min(facts.width, facts.height)
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
            ("advised_longest_side", self.advised_longest_side, longest),
        ]
        if facts.format == "jpeg":
            at_least.append(("advised_jpeg_quality", self.advised_jpeg_quality, facts.jpeg_quality))
        for name, most, there in at_most:
            if most is not None:
                yield Finding(name, most, there <= most.value, there, f"<= {most.value}")
        for name, least, measured in at_least:
            if least is not None:
                holds = None if measured is None else measured >= least.value
                yield Finding(name, least, holds, measured, f">= {least.value}", advice=name.startswith("advised_"))


def _forbidden(thing: Forbidden, figure: Figure[Any], facts: ImageFacts) -> Finding:
    name = f"forbidden_{thing}"
    synthetic = "trainedalgorithmicmedia" in facts.digital_source_type.lower()
    known = facts.added | ({"synthetic"} if synthetic else set()) | ({"animation"} if facts.animated else set())
    if thing in known:
        return Finding(name, figure, False, "present", "absent")
    found: dict[str, tuple[float | None, float]] = {
        "text": (facts.text, 0),
        "border": (facts.border, 0),
        "watermark": (facts.watermark, WATERMARK_SUSPECTED),
    }
    if thing not in found:
        return Finding(name, figure, True, "absent", "absent")
    measured, limit = found[thing]
    if measured is None:
        return Finding(name, figure, None, None, "absent")
    # Text may be printed on the product, and a pattern look like a watermark.
    return Finding(name, figure, measured <= limit, measured, f"<= {limit:g}" if limit else "absent", guess=True)


def _address(figure: Figure[AddressForm], facts: ImageFacts) -> Iterator[Finding]:
    form = figure.value
    if form.suffix:
        right = SUFFIXES_OF.get(facts.format, ())
        suffix = None if facts.suffix is None else facts.suffix.lower()
        yield Finding("suffix", figure, None if suffix is None else suffix in right, suffix, " ".join(right))
    if facts.url is None:
        # Files get their addresses from whoever publishes them.
        return
    scheme, port, query = _parts(facts.url)
    if form.https:
        yield Finding("address_https", figure, scheme == "https", scheme, "https")
    if form.no_query:
        yield Finding("address_query", figure, not query, "present" if query else "absent", "absent")
    if form.ports:
        allowed = " ".join(map(str, form.ports))
        yield Finding("address_port", figure, port in form.ports, port or "none", allowed)
    if form.max_length is not None:
        length = len(facts.url)
        yield Finding("address_length", figure, length <= form.max_length, length, f"<= {form.max_length}")
    if form.ascii:
        plain = facts.url.isascii()
        yield Finding("address_ascii", figure, plain, "ASCII" if plain else "other characters", "ASCII")


def _parts(url: str) -> tuple[str, int | None, bool]:
    """Scheme, port and whether there is a query; an address that is none has no scheme and no port."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.port or _PORTS.get(parts.scheme), "?" in url
    except ValueError:
        return "not an address", None, "?" in url
