"""From a photo's bytes to judged pictures and finished files, without store and index."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from serve.batching.budget import Budget
from serve.batching.slots import BYTES_PER_PIXEL
from serve.catalog.channel import ImageFacts
from serve.catalog.fitting import least_factor
from serve.catalog.marks import Kept, MarkPolicy
from serve.catalog.operations import Scene, Studio
from serve.catalog.plan import ENCODING_QUALITY, SUFFIXES, PlannedShot
from serve.catalog.quality import QualityRules, recorded_measurements, with_channels
from serve.images.decoding import DecodeLimits, Decoder
from serve.images.encoding import Encoded
from serve.images.finishing import Finisher
from serve.images.phash import phash
from serve.images.provenance import SOURCE_TYPES, Provenance
from serve.images.rights import rights_of
from serve.images.shrinking import until_it_fits
from serve.interfaces import Caller, Development, FetchedBytes, Picture, Shot, ShotFailure, SourceImage, Stage
from serve.metrics import Timings
from serve.privacy.faces import FaceBlur
from serve.schemas.result import Quality
from serve.schemas.subject import Subject

R = TypeVar("R")
_PLAIN = Finisher()
_WHITE = "#ffffff"


class Darkroom:
    """Decodes, computes, encodes. Threads for pictures are few and its own; where stages compute, others know."""

    def __init__(
        self,
        *,
        development: Development,
        threads: Executor,
        decoder: Decoder,
        limits: DecodeLimits,
        working_bytes: Budget,
        finisher: Finisher = _PLAIN,
    ) -> None:
        self.working_bytes = working_bytes
        self._finisher = finisher
        self._development = development
        self._threads = threads
        self._decoder = decoder
        self._limits = limits

    @property
    def mark_policy(self) -> MarkPolicy:
        """What the settings say about marks; plans are made with it."""
        return self._finisher.policy

    async def decode(self, fetched: FetchedBytes, image_id: str, timings: Timings) -> SourceImage:
        """Decode on white, a thread waiting for it; raise `SourceError`, or `DecoderUnavailable`."""
        return await self._decoded(fetched, image_id, self._limits, timings)

    async def laid_on(
        self, ground: str | None, source: SourceImage, fetched: FetchedBytes, timings: Timings
    ) -> SourceImage:
        """The photo with this colour, `#rrggbb`, behind what is transparent; None leaves it on white."""
        if ground is None:
            return source
        red, green, blue = bytes.fromhex(ground[1:])
        limits = replace(self._limits, ground=(red, green, blue))
        laid = await self._decoded(fetched, source.image_id, limits, timings)
        return replace(laid, phash=source.phash, treatment=f"{source.treatment} on {ground}")

    async def _decoded(
        self, fetched: FetchedBytes, image_id: str, limits: DecodeLimits, timings: Timings
    ) -> SourceImage:
        def work() -> SourceImage:
            with timings.stage("decode"):
                return self._decoder(fetched, image_id, limits)

        return await self._in_thread(work)

    async def fingerprint(self, source: SourceImage) -> SourceImage:
        """The photo with its perceptual hash."""
        return await self._in_thread(lambda: replace(source, phash=phash(source.pixels)))

    async def without_faces(self, source: SourceImage, faces: FaceBlur, timings: Timings) -> SourceImage:
        """The photo with its faces made unrecognisable; raise `FaceBlurFailed`."""

        def work() -> SourceImage:
            with timings.stage("faces"):
                pixels, count = faces.blur(source.pixels)
            treatment = f"{source.treatment} {faces.model.name} {faces.model.version}"
            return replace(source, pixels=pixels, faces_blurred=count, treatment=treatment)

        return await self._in_thread(work)

    async def develop(
        self,
        source: SourceImage,
        planned: Sequence[PlannedShot],
        stages: Sequence[Stage],
        caller: Caller,
        timings: Timings,
    ) -> Sequence[Shot | ShotFailure]:
        """Make the planned pictures of one photo; one entry per plan, in order.

        The caller holds `room_for` these shots in `working_bytes`.
        """
        shots = [
            Shot(source=source, variant=one.variant, key=one.key, seed=one.seed, models=one.models) for one in planned
        ]
        developed = await self._development.develop(stages, shots, caller)
        for stage, seconds in developed.seconds.items():
            timings.add(stage, seconds)
        return developed.shots

    async def encode(self, shot: Shot, planned: PlannedShot, timings: Timings) -> tuple[Encoded, Quality]:
        """The finished file with its marks, and the judgement that includes the channels' rules."""
        pixels, quality = shot.pixels, shot.quality
        if pixels is None or quality is None:
            raise ValueError("a shot is encoded after all stages")
        provenance = _kept(
            Provenance(
                digital_source_type=planned.digital_source_type, models=shot.models, seed=shot.seed, key=shot.key
            ),
            shot.source,
            planned.marks.metadata,
        )

        def work() -> Encoded:
            with timings.stage("encode"):
                return until_it_fits(pixels, finished, least_factor(planned.variant, planned.channels, planned.on))

        def finished(sized: Picture) -> Encoded:
            return self._finisher.finish(
                sized,
                planned.variant.format,
                provenance,
                planned.marks,
                max_bytes=planned.max_bytes,
                quality=ENCODING_QUALITY,
            )

        encoded = await self._in_thread(work)
        facts = facts_of(
            planned,
            quality,
            size=(encoded.width, encoded.height),
            count=len(encoded.body),
            encoding_quality=encoded.quality,
            subject=shot.subject,
        )
        return encoded, checked(planned, quality, facts)

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _kept(provenance: Provenance, source: SourceImage, policy: Kept) -> Provenance:
    """With what the metadata policy keeps of the source photo."""
    if policy == "strip":
        return provenance
    told = replace(provenance, rights=rights_of(source.notices) or None)
    if policy == "keep_rights":
        return told
    declared = declared_type(source)
    return replace(told, source=source.sha256, source_type=declared if declared in SOURCE_TYPES else None)


def declared_type(source: SourceImage) -> str | None:
    """What the photo's own metadata says of its making, an IPTC code; whoever lies there has to answer for it."""
    return next(iter(source.notices.get("digital_source_type", ())), None)


def room_for(source: SourceImage, planned: Sequence[PlannedShot]) -> int:
    """Bytes that the photo and its outputs take while they are worked on."""
    outputs = sum(one.variant.size[0] * one.variant.size[1] for one in planned)
    return source.pixels.nbytes * max(1, len(by_ground(source, planned))) + BYTES_PER_PIXEL * outputs


def by_ground(source: SourceImage, planned: Sequence[PlannedShot]) -> dict[str | None, list[PlannedShot]]:
    """The outputs by the colour that must lie behind a transparent photo; None is white, and every opaque photo."""
    grounds: dict[str | None, list[PlannedShot]] = {}
    for one in planned:
        plain = "alpha_flattened" not in source.flags or one.background in {None, _WHITE}
        grounds.setdefault(None if plain else one.background, []).append(one)
    return grounds


def facts_of(
    planned: PlannedShot,
    quality: Quality,
    *,
    size: tuple[int, int],
    count: int,
    encoding_quality: int | None = None,
    subject: Subject | None = None,
) -> ImageFacts:
    """What the channels' rules are held against: what the quality filter measured is not measured again."""
    measured = recorded_measurements(quality)
    white = planned.background == "#ffffff"
    # What somebody wrote or drew around the product went with the photo's background.
    replaced = any(isinstance(operation, Studio | Scene) for operation in planned.variant.operations)
    beside = len(subject.text_beside) if subject is not None and subject.text_read else None
    return ImageFacts(
        width=size[0],
        height=size[1],
        format=planned.variant.format,
        bytes=count,
        digital_source_type=planned.digital_source_type,
        # `white_border` is the share of the border that is exactly the wanted background, whatever that is.
        whiteness=measured.get("white_border") if white else 0.0 if replaced else measured.get("whiteness"),
        fill=measured.get("fill"),
        # What `serve.images.encoding` writes: one frame, three channels of eight bits, the suffix of the key.
        colour="RGB 8",
        jpeg_quality=encoding_quality,
        border=0.0 if replaced else measured.get("border"),
        text=0 if replaced else beside,
        watermark=measured.get("watermark"),
        suffix=SUFFIXES[planned.variant.format],
        added=frozenset({"text"}) if planned.marks.label else frozenset(),
    )


def checked(planned: PlannedShot, quality: Quality, facts: ImageFacts) -> Quality:
    """The judgement with the rules of every channel that the output must satisfy."""
    return with_channels(quality, [(channel, channel.check(facts, planned.on)) for channel in planned.channels])


def judged_again(planned: PlannedShot, quality: Quality, rules: QualityRules, facts: ImageFacts) -> Quality:
    """The judgement of a known image under today's thresholds, from the figures recorded with it."""
    return checked(planned, rules.judge(planned.variant, recorded_measurements(quality)), facts)
