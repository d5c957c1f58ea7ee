"""Source photos cut out, and what they show recognised, in one look each."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.compute.memory import is_out_of_memory
from models.cutout import Cutout, MaskBackend
from models.quality.artefacts import blockiness_of, noise_of
from models.quality.overlays import watermark_of
from models.recognition.facts import Facts
from models.recognition.reader import Reading, ReadingState
from models.sight import Sight
from serve.interfaces import Mask, Picture
from serve.schemas.subject import Subject
from serve.stages.loaded import Loaded
from serve.stages.subjects import subject_of

log = logging.getLogger(__name__)


class Recognised(Protocol):
    """What a recogniser says of a photo."""

    @property
    def facts(self) -> Facts:
        """All that is known, each fact with its evidence."""
        ...

    @property
    def beside(self) -> tuple[str, ...]:
        """Text beside the product."""
        ...

    @property
    def reading(self) -> Reading:
        """Whether text was read."""
        ...


class Recogniser(Protocol):
    """Tells what photos show; `models.recognition.recognise.Recogniser` is one."""

    def recognise(self, pictures: Sequence[Picture], sights: Sequence[Sight] | None = None) -> Sequence[Recognised]:
        """One per photo, in order, from what was seen when it was cut out."""
        ...


class Judged(Protocol):
    """What a net makes of a photo."""

    @property
    def score(self) -> float:
        """0..1, higher is better."""
        ...


class Judge(Protocol):
    """Tells how good photos are; `models.quality.judge.QualityModel` is one."""

    name: str
    version: str

    def judge(self, pictures: Sequence[Picture], masks: Sequence[Mask | None] | None = None) -> Sequence[Judged]:
        """One per photo, in order; a mask draws its eye to the product."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A source photo, cut out."""

    photo: Picture
    alpha: Mask
    #: 0..1
    confidence: float
    figures: Mapping[str, float]
    subject: Subject | None


class Cutting:
    """Cuts photos out together; one that spoils the batch, or cannot be recognised, costs no other one anything."""

    def __init__(
        self,
        backend: Loaded[MaskBackend],
        recogniser: Callable[[], Recogniser] | None = None,
        judge: Loaded[Judge] | None = None,
    ) -> None:
        self._backend = backend
        self._recogniser = recogniser
        self._judge = judge

    def together(self, photos: Mapping[str, Picture]) -> dict[str, Cut]:
        """All of them by their names; none where one of them spoils it, so that each is tried `alone`."""
        try:
            return self.alone(photos)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            log.warning("photos are cut out one by one", exc_info=True)
            return {}

    def alone(self, photos: Mapping[str, Picture]) -> dict[str, Cut]:
        """The same, but raising what goes wrong."""
        pictures = list(photos.values())
        cutouts = self._backend.model.cut(pictures)
        subjects = self._subjects(pictures, cutouts)
        judged = self._judged(pictures, cutouts)
        return {
            name: Cut(photo, cutout.alpha, cutout.confidence, source_figures(photo, cutout) | score, subject)
            for (name, photo), cutout, subject, score in zip(photos.items(), cutouts, subjects, judged, strict=True)
        }

    def _judged(self, pictures: Sequence[Picture], cutouts: Sequence[Cutout]) -> Sequence[dict[str, float]]:
        """Judged as it came: what a finished shot was enlarged from cannot be seen in it any more."""
        if self._judge is None:
            return [{}] * len(pictures)
        found = self._judge.model.judge(pictures, [cutout.alpha for cutout in cutouts])
        return [{"photo_score": one.score} for one in found]

    def _subjects(self, pictures: Sequence[Picture], cutouts: Sequence[Cutout]) -> Sequence[Subject | None]:
        """No photo is lost because nobody can tell what it shows."""
        sights = [cutout.sight for cutout in cutouts if cutout.sight is not None]
        if self._recogniser is None or len(sights) < len(pictures):
            return [None] * len(pictures)
        recogniser = self._recogniser()
        try:
            recognised = recogniser.recognise(pictures, sights)
            return [
                subject_of(one.facts, one.beside, read=one.reading.state is ReadingState.READ) for one in recognised
            ]
        except Exception as error:
            if is_out_of_memory(error):
                raise
            log.exception("nothing was recognised")
            return [None] * len(pictures)


def source_figures(photo: Picture, cutout: Cutout) -> dict[str, float]:
    """What can only be measured on the photo as it came: scaling hides noise and takes JPEG's grid apart."""
    return {
        "noise": noise_of(photo, cutout.alpha),
        "blockiness": blockiness_of(photo),
        "watermark": watermark_of(photo),
        "correction_light": 0.0,
        "correction_colour": 0.0,
        **cutout.figures,
    }
