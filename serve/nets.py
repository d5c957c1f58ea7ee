"""The nets that the settings name: their cards, which manifests tell, and how they are loaded.

Only replicas that compute may pay for torch, and the ingress imports this module too: hence the imports inside.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from models.cutout import GrabCut, MaskBackend
from models.cutout.version import learned_version
from models.registry.manifest import Found, Source, find_weights
from serve.buckets import weights_reader
from serve.schemas.result import ModelRef
from serve.settings import ServeSettings
from serve.stages.cutting import Cutting, Judge, Recogniser
from serve.stages.generation import NamedRestorer
from serve.stages.loaded import Loaded
from serve.stages.style_transfer import StyleNet

if TYPE_CHECKING:
    from models.product import ProductModel


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """What the manifest says of a style net."""

    name: str
    version: str
    styles: tuple[str, ...]


class Nets:
    """Everything that is asked here raises `models.registry.manifest.WeightsError` where weights cannot be used."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings

    @property
    def cutout_card(self) -> ModelRef:
        """What cuts products out."""
        if self._settings.cutout == "grabcut":
            return ModelRef(name=GrabCut.name, version=GrabCut.version)
        found = self._found("product", "lite-product", self._settings.product_weights)
        return ModelRef(name="learned", version=learned_version(found.entry.version))

    def cutting(self) -> Cutting:
        """Cut-out, recognition and judgement of photos."""
        judge = self._judge() if self._settings.judge_photos else None
        if self._settings.cutout == "grabcut":
            return Cutting(Loaded(self.cutout_card, GrabCut), None, judge)
        recogniser = (lambda: self._recogniser) if self._settings.recognise else None
        return Cutting(Loaded(self.cutout_card, self._cutout), recogniser, judge)

    def restorer(self) -> Loaded[NamedRestorer] | None:
        """What takes damage out of photos, where it is wanted."""
        if not self._settings.restore:
            return None
        place = self._settings.restoration_weights
        found = self._found("restoration", "pu2-restoration", place)

        def load() -> NamedRestorer:
            from models.repair.restoration import Restorer  # noqa: PLC0415

            return Restorer.load(self._settings.device, self._source(place))

        return Loaded(_card(found), load)

    @cached_property
    def style_facts(self) -> StyleFacts:
        """The style net that the settings mean."""
        found = self._found("style", "pu2-style", self._settings.style_weights)
        return StyleFacts(found.name, found.entry.version, tuple(found.entry.config.get("styles", ())))

    def style(self) -> StyleNet:
        """Loads the style net."""
        from models.styles.transfer import StyleTransfer  # noqa: PLC0415

        source = self._source(self._settings.style_weights)
        return StyleTransfer.load(self._settings.device, source, fixed_batch=self._fixed_batch)

    def _cutout(self) -> MaskBackend:
        from models.cutout.learned import LearnedCutout  # noqa: PLC0415

        return LearnedCutout(self._eye)

    @cached_property
    def _eye(self) -> "ProductModel":
        """One look serves the cut-out and the recognition."""
        from models.product import ProductModel  # noqa: PLC0415

        source = self._source(self._settings.product_weights)
        return ProductModel.load(self._settings.device, source, fixed_batch=self._fixed_batch)

    @cached_property
    def _recogniser(self) -> Recogniser:
        from models.recognition.attributes import AttributeModel  # noqa: PLC0415
        from models.recognition.reader import NoReader, open_reader  # noqa: PLC0415
        from models.recognition.recognise import Recogniser as Recognition  # noqa: PLC0415

        heads = AttributeModel.load(self._source(self._settings.attribute_weights), product=self._eye.version)
        wanted = self._settings.read_text
        reader = open_reader(limit_s=self._settings.read_text_limit_s) if wanted else NoReader()
        return Recognition(self._eye, heads, reader)

    def _judge(self) -> Loaded[Judge]:
        place = self._settings.quality_weights
        found = self._found("quality", "pu2-quality", place)

        def load() -> Judge:
            from models.quality.judge import QualityModel  # noqa: PLC0415

            return QualityModel.load(self._settings.device, self._source(place), fixed_batch=self._fixed_batch)

        return Loaded(_card(found), load)

    @property
    def _fixed_batch(self) -> int | None:
        return self._settings.batch_shots if self._settings.deterministic else None

    def _found(self, name: str, architecture: str, place: str | None) -> Found:
        return find_weights(name, architecture, self._source(place))

    def _source(self, place: str | None) -> Source:
        return Source(place, read=weights_reader(self._settings))


def _card(found: Found) -> ModelRef:
    return ModelRef(name=found.name, version=found.entry.version)
