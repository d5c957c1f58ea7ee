from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cutout import Cutout, MaskBackend
from models.enhance import Enhanced, Parts, enhance
from models.recognition.facts import Evidence, Facts
from models.recognition.reader import Reading, ReadingState
from models.sight import Sight
from serve.batching.recovery import run_recovering
from serve.catalog.channel import Channel
from serve.catalog.loader import load_catalog
from serve.catalog.quality import QualityRules, recorded_measurements, with_channels, worse
from serve.catalog.recipe import Variant
from serve.interfaces import Mask, Picture, Shot, ShotFailure, SourceImage
from serve.schemas.outcome import Verdict
from serve.schemas.result import ModelRef, Quality, RuleResult
from serve.stages.cutting import Cutting
from serve.stages.generation import Canvas, Generation, fitted
from serve.stages.loaded import Loaded
from serve.stages.quality_filter import QualityFilter, background_of
from serve.stages.style_transfer import StyleTransfer

RULES = load_catalog().quality
SIDES: tuple[dict[str, object], ...] = ({"light": "left"}, {}, {"light": "right"})


class BoxBackend:
    """Finds the product in the middle; a black photo makes it fail."""

    name = "box"
    version = "1"

    def __init__(self, confidence: float = 0.9) -> None:
        self.cuts = 0
        self.calls = 0
        self._confidence = confidence

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        self.cuts += len(pictures)
        self.calls += 1
        return [Cutout(self._box(picture), self._confidence) for picture in pictures]

    def _box(self, picture: Picture) -> Mask:
        if not picture.any():
            raise RuntimeError("nothing to see")
        alpha = np.zeros(picture.shape[:2], np.float32)
        height, width = alpha.shape
        alpha[height // 4 : -height // 4, width // 4 : -width // 4] = 1
        return alpha


class Inverter:
    """A style net that turns colours round."""

    name = "inverter"
    version = "3"
    styles = ("oil",)

    def apply(self, pictures: Sequence[Picture], styles: Sequence[str]) -> list[Picture]:
        assert set(styles) <= set(self.styles)
        return [255 - picture for picture in pictures]


def generation(backend: MaskBackend) -> Generation:
    card = ModelRef(name=backend.name, version=backend.version)
    return Generation(card, Cutting(Loaded(card, lambda: backend)))


def photo(seed: int = 1, *, black: bool = False) -> SourceImage:
    pixels = np.random.default_rng(seed).integers(60, 200, (96, 80, 3), dtype=np.uint8)
    return SourceImage(image_id="a", sha256=f"{seed}", pixels=pixels * (not black), format="jpeg")


def variant(*operations: dict[str, object], size: tuple[int, int] = (64, 64)) -> Variant:
    chain = list(operations) or [{"op": "studio"}]
    return Variant.model_validate({"name": "v", "operations": chain, "size": size})


def shot(source: SourceImage, made: Variant, key: str = "k") -> Shot:
    return Shot(source=source, variant=made, key=key, seed=1)


def made(stage: Generation | StyleTransfer | QualityFilter, *shots: Shot) -> list[Shot]:
    done = stage.run(shots)
    assert all(isinstance(one, Shot) for one in done)
    return [one for one in done if isinstance(one, Shot)]


def test_generation_cuts_each_source_once_and_keeps_the_order() -> None:
    backend = BoxBackend()
    one, two = photo(1), photo(2)
    shots = [shot(one, variant(), "a"), shot(two, variant(), "b"), shot(one, variant(), "c")]
    done = made(generation(backend), *shots)
    assert backend.cuts == 2
    assert backend.calls == 1
    assert [entry.key for entry in done] == ["a", "b", "c"]
    for entry in done:
        assert entry.pixels is not None
        assert entry.mask is not None
        assert entry.reference is not None
        assert entry.pixels.shape == entry.reference.shape == (64, 64, 3)
        assert entry.mask.shape == (64, 64)
        assert entry.confidence == 0.9


class SeeingBackend(BoxBackend):
    """Finds the product in the middle, and says that it has seen something."""

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        sight = Sight(np.ones((8, 8), np.float32), np.ones(1, np.float32), np.ones(4, np.float32))
        return [replace(one, sight=sight, figures={"pieces": 1.0}) for one in super().cut(pictures)]


@dataclass(frozen=True)
class Seen:
    facts: Facts
    beside: tuple[str, ...] = ("SALE",)
    reading: Reading = field(default=Reading(state=ReadingState.READ))


class Namer:
    """Calls every photo a shirt; refuses some."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.asked = 0
        self._refuses = refuses

    def recognise(self, pictures: Sequence[Picture], sights: Sequence[Sight] | None = None) -> list[Seen]:
        assert sights is not None
        self.asked += len(pictures)
        if self._refuses:
            raise RuntimeError("no idea")
        category = Evidence(fact="category", value="shirt", confidence=0.97, source="eye 1")
        return [Seen(Facts(category=category))] * len(pictures)


def seeing(namer: Namer) -> Generation:
    card = ModelRef(name="box", version="1")
    return Generation(card, Cutting(Loaded(card, SeeingBackend), lambda: namer))


def test_what_a_photo_shows_goes_with_all_its_shots_and_is_asked_once() -> None:
    namer = Namer()
    done = made(seeing(namer), *(shot(photo(number), variant(), str(number)) for number in (1, 2, 1)))
    assert namer.asked == 2
    for entry in done:
        assert entry.subject is not None
        assert entry.subject.category is not None
        assert (entry.subject.category.value, entry.subject.category.source) == ("shirt", "eye 1")
        assert entry.subject.text_beside == ["SALE"]
        title = entry.subject.words["en"].title
        assert title is not None
        assert "shirt" in title.text.lower()
        assert title.evidence == ["category=shirt"]
        assert entry.figures["pieces"] == 1.0


def test_no_image_is_lost_because_nobody_knows_what_it_shows() -> None:
    (entry,) = made(seeing(Namer(refuses=True)), shot(photo(1), variant()))
    assert entry.subject is None
    assert entry.pixels is not None


def test_a_cut_out_that_knows_nothing_of_products_leaves_the_subject_open() -> None:
    (entry,) = made(generation(BoxBackend()), shot(photo(1), variant()))
    assert entry.subject is None


def test_one_bad_photo_never_fails_its_batch() -> None:
    shots = [shot(photo(1), variant()), shot(photo(2, black=True), variant()), shot(photo(3), variant())]
    first, bad, last = generation(BoxBackend()).run(shots)
    assert isinstance(first, Shot)
    assert isinstance(last, Shot)
    assert isinstance(bad, ShotFailure)
    assert (bad.shot, bad.stage, bad.error.code) == (shots[1], "generation", "stage_failed")
    assert "nothing to see" not in bad.error.message


def test_a_correction_is_worked_out_once_for_all_shots_that_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def counting(picture: Picture, alpha: Mask, strength: float, parts: Parts, restorer: None) -> Enhanced:
        asked.append(strength)
        return enhance(picture, alpha, strength, parts)

    monkeypatch.setattr("serve.stages.generation.enhance", counting)
    full, half = {"op": "enhance"}, {"op": "enhance", "strength": 0.5}
    one, two = photo(1), photo(2)
    chains = [(one, full), (one, full), (one, half), (two, full), (one, full)]
    made(generation(BoxBackend()), *(shot(source, variant(chain, {"op": "studio"})) for source, chain in chains))
    assert asked == [1.0, 0.5, 1.0]


def test_want_of_memory_fails_no_shot_but_divides_the_batch() -> None:
    class Hungry(BoxBackend):
        def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
            if self.cuts == 0:
                self.cuts += 1
                raise MemoryError
            return super().cut(pictures)

    stage = generation(Hungry())
    batch = [shot(photo(number), variant(), str(number)) for number in (1, 2)]
    with pytest.raises(MemoryError):
        stage.run(batch)
    recovered = run_recovering(generation(Hungry()), batch)
    assert [one.key for one in recovered.shots if isinstance(one, Shot)] == ["1", "2"]
    assert recovered.too_many == 2


def test_recolour_changes_the_product_and_not_the_reference() -> None:
    plain, dyed = made(
        generation(BoxBackend()),
        shot(photo(), variant({"op": "studio", "shadow": "none"})),
        shot(photo(), variant({"op": "recolor", "colour": "#1030c0"}, {"op": "studio", "shadow": "none"})),
    )
    assert plain.pixels is not None
    assert dyed.pixels is not None
    inside = dyed.mask is not None and dyed.mask > 0.9
    assert dyed.pixels[inside].mean(0)[2] > plain.pixels[inside].mean(0)[2]
    assert np.array_equal(plain.reference, dyed.reference)  # type: ignore[arg-type]


def dim(level: int) -> SourceImage:
    """A folded grey cloth with a light label on a brown floor, under little light."""
    x = np.arange(128)[None, :] * np.ones((128, 1))
    pixels = np.full((128, 128, 3), (110, 84, 60), np.float64)
    pixels[32:96, 32:96] = (150 + 12 * np.sin(x / 5))[32:96, 32:96, None]
    pixels[60:72, 60:72] = 245
    pixels += np.random.default_rng(2).normal(0, 1, pixels.shape)
    lit = (np.clip(pixels, 0, 255) * level / 255).astype(np.uint8)
    return SourceImage(image_id="d", sha256=f"dim{level}", pixels=lit, format="jpeg")


def test_a_corrected_photo_is_the_reference_and_the_correction_is_judged_by_figures_of_its_own() -> None:
    chain = variant({"op": "enhance"}, {"op": "studio", "shadow": "none"}, size=(200, 200))
    plain = variant({"op": "studio", "shadow": "none"}, size=(200, 200))
    one, other = made(generation(BoxBackend()), shot(dim(110), chain), shot(dim(110), plain))
    assert one.pixels is not None
    assert other.pixels is not None
    inside = other.mask is not None and other.mask > 0.9
    assert one.pixels[inside].mean() > 1.3 * other.pixels[inside].mean()
    assert one.figures["correction_light"] > 5
    assert other.figures["correction_light"] == other.figures["correction_colour"] == 0
    (judged,) = made(QualityFilter(RULES), one)
    assert judged.quality is not None
    measured = recorded_measurements(judged.quality)
    assert measured["fidelity_colour"] < 1
    assert measured["correction_light"] == pytest.approx(one.figures["correction_light"], abs=1e-3)
    assert {"noise", "blockiness", "correction_colour"} <= measured.keys()


def test_a_large_correction_a_noisy_and_a_blocky_photo_go_to_a_person() -> None:
    names = ("noise", "blockiness", "correction_light", "correction_colour")
    good = {name: (limits.publish.min or 0) + 0.5 for name, limits in RULES.kind(variant()).rules.items()}
    good |= dict.fromkeys((*names, "fidelity_colour", "background_delta_e", "clipped_light", "clipped_dark"), 0.0)
    good |= {"border_touch": 0.0, "exposure": 50.0}
    assert RULES.judge(variant(), good).verdict is Verdict.PUBLISH
    for name in names:
        assert RULES.judge(variant(), good | {name: 100.0}).verdict is Verdict.REVIEW


def test_enhance_corrects_the_photo_as_it_came_and_stands_first() -> None:
    with pytest.raises(ValueError, match="must be the first"):
        variant({"op": "studio"}, {"op": "enhance"})
    with pytest.raises(ValueError, match="must be the first"):
        variant({"op": "enhance"}, {"op": "enhance"}, {"op": "studio"})
    models = generation(BoxBackend()).models(variant({"op": "enhance"}, {"op": "studio"}))
    assert [model.name for model in models] == ["box", "enhance", "studio"]


def test_models_name_the_algorithms_of_the_chain_alone() -> None:
    first, style = generation(BoxBackend()), StyleTransfer(Inverter(), Inverter)
    chain = variant({"op": "recolor", "colour": "#112233"}, {"op": "studio"}, {"op": "style", "style": "oil"})
    assert [model.name for model in first.models(variant())] == ["box", "studio"]
    assert [model.name for model in first.models(chain)] == ["box", "recolor", "studio"]
    assert style.models(variant()) == ()
    assert [(model.name, model.version) for model in style.models(chain)] == [("inverter", "3")]
    assert QualityFilter(RULES).models(chain) == ()


@pytest.mark.parametrize("name", ["wood", "wall", "terrace"])
def test_a_scene_is_set_in_the_wanted_size_and_judged_without_a_background(name: str) -> None:
    chain = variant({"op": "scene", "scene": name}, size=(80, 120))
    (entry,) = made(generation(BoxBackend()), shot(photo(), chain))
    assert entry.pixels is not None
    assert entry.mask is not None
    assert entry.pixels.shape == (120, 80, 3)
    assert [model.name for model in generation(BoxBackend()).models(chain)] == ["box", "scene"]
    (judged,) = made(QualityFilter(RULES), entry)
    assert judged.quality is not None
    passed = {rule.rule: rule.passed for rule in judged.quality.rules if rule.required != "recorded only"}
    assert passed["fidelity_colour"]
    assert "background_delta_e" not in passed


def test_light_of_a_scene_comes_from_where_it_is_asked_for() -> None:
    left, own, right = made(
        generation(BoxBackend()),
        *(shot(photo(), variant({"op": "scene", "scene": "gradient", **side})) for side in SIDES),
    )
    assert left.pixels is not None
    assert own.pixels is not None
    assert right.pixels is not None
    assert np.array_equal(left.pixels, own.pixels)
    assert left.pixels[:, :12].mean() > right.pixels[:, :12].mean() + 5


def test_a_scene_without_shadow_is_brighter() -> None:
    with_, without = made(
        generation(BoxBackend()),
        shot(photo(), variant({"op": "scene", "scene": "marble"})),
        shot(photo(), variant({"op": "scene", "scene": "marble", "shadow": "none"})),
    )
    assert with_.pixels is not None
    assert without.pixels is not None
    assert with_.mask is not None
    outside = with_.mask == 0
    assert with_.pixels[outside].mean() < without.pixels[outside].mean() - 1


@given(st.integers(8, 90), st.integers(8, 90), st.integers(64, 100), st.integers(64, 100))
def test_fitting_gives_the_wanted_size_without_bending(height: int, width: int, wide: int, high: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    canvas = fitted(Canvas(picture, np.ones((height, width), np.float32), picture), (wide, high))
    assert canvas.picture.shape == canvas.reference.shape == (high, wide, 3)
    assert canvas.alpha.shape == (high, wide)
    assert canvas.alpha.min() == 1


@pytest.mark.parametrize(
    ("operation", "share"),
    [({"strength": 1.0}, 1.0), ({"strength": 0.5}, 0.5), ({"strength": 0.0}, 0.0)],
)
def test_style_is_blended_by_strength(operation: dict[str, object], share: float) -> None:
    (base,) = made(generation(BoxBackend()), shot(photo(), variant()))
    before = base.pixels
    assert before is not None
    drawn = shot(photo(), variant({"op": "studio"}, {"op": "style", "style": "oil", **operation}))
    (after,) = made(StyleTransfer(Inverter(), Inverter), replace(drawn, pixels=before, mask=base.mask))
    assert after.pixels is not None
    expected = before + (255.0 - 2.0 * before) * share
    assert np.abs(after.pixels - expected).max() <= 1


def test_style_on_the_product_leaves_the_background() -> None:
    chain = variant({"op": "studio", "shadow": "none"}, {"op": "style", "style": "oil", "area": "product"})
    (base,) = made(generation(BoxBackend()), shot(photo(), chain))
    before, mask = base.pixels, base.mask
    assert before is not None
    assert mask is not None
    (after,) = made(StyleTransfer(Inverter(), Inverter), base)
    assert after.pixels is not None
    assert np.array_equal(after.pixels[mask == 0], before[mask == 0])
    assert not np.array_equal(after.pixels[mask == 1], before[mask == 1])


def test_style_on_the_background_leaves_the_product() -> None:
    chain = variant({"op": "studio", "shadow": "none"}, {"op": "style", "style": "oil", "area": "background"})
    (base,) = made(generation(BoxBackend()), shot(photo(), chain))
    before, mask = base.pixels, base.mask
    assert before is not None
    assert mask is not None
    (after,) = made(StyleTransfer(Inverter(), Inverter), base)
    assert after.pixels is not None
    assert np.array_equal(after.pixels[mask == 1], before[mask == 1])
    assert not np.array_equal(after.pixels[mask == 0], before[mask == 0])
    (unknown,) = made(StyleTransfer(Inverter(), Inverter), replace(base, mask=None))
    assert unknown.pixels is not None
    assert np.array_equal(unknown.pixels, before)


def test_a_doubtful_cut_out_goes_to_a_person_with_a_reason() -> None:
    (sure,) = made(QualityFilter(RULES), *made(generation(BoxBackend(0.9)), shot(photo(), variant(size=(200, 200)))))
    (doubt,) = made(QualityFilter(RULES), *made(generation(BoxBackend(0.2)), shot(photo(), variant(size=(200, 200)))))
    assert sure.quality is not None
    assert doubt.quality is not None
    assert "the cut-out is doubtful" not in sure.quality.reasons
    assert doubt.quality.verdict is not Verdict.PUBLISH
    assert "the cut-out is doubtful" in doubt.quality.reasons
    rule = next(one for one in doubt.quality.rules if one.rule == "mask_confidence")
    assert (rule.passed, rule.measured, rule.required) == (False, 0.2, ">= 0.8")


def test_judging_without_a_picture_is_a_failure_of_that_shot() -> None:
    (failed,) = QualityFilter(RULES).run([shot(photo(), variant())])
    assert isinstance(failed, ShotFailure)


def test_the_wanted_background_is_that_of_the_studio() -> None:
    assert background_of(variant({"op": "studio", "background": "#102030"})) == (16, 32, 48)
    assert background_of(variant({"op": "style", "style": "oil"})) is None
    assert background_of(variant({"op": "studio"}, {"op": "scene", "scene": "wood"})) is None
    assert background_of(variant({"op": "scene", "scene": "wood"}, {"op": "studio"})) == (255, 255, 255)


def limits(**rule: object) -> QualityRules:
    kind = {"operations": [], "rules": {"sharpness": {"reason": "soft", **rule}}}
    return QualityRules.model_validate({"version": 1, "kinds": {"any": kind}})


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (5.0, Verdict.PUBLISH),
        (2.0, Verdict.PUBLISH),
        (1.9, Verdict.REVIEW),
        (1.0, Verdict.REVIEW),
        (0.9, Verdict.REJECT),
        (float("nan"), Verdict.REVIEW),
    ],
)
def test_limits_are_data(value: float, verdict: Verdict) -> None:
    rules = limits(publish={"min": 2}, review={"min": 1})
    assert rules.judge(variant(), {"sharpness": value}).verdict is verdict


def test_without_a_review_limit_nothing_is_rejected_and_the_unmeasured_is_reviewed() -> None:
    rules = limits(publish={"min": 2})
    assert rules.judge(variant(), {"sharpness": -1e9}).verdict is Verdict.REVIEW
    assert rules.judge(variant(), {}).verdict is Verdict.REVIEW


def test_what_is_measured_is_recorded_even_where_nothing_judges_it() -> None:
    quality = limits(publish={"min": 2}).judge(variant(), {"sharpness": 3.0, "fill": 0.5})
    assert recorded_measurements(quality) == {"sharpness": 3.0, "fill": 0.5}
    assert quality.score == 1.0


def test_the_kind_with_the_longest_fitting_chain_counts() -> None:
    styled = variant({"op": "recolor", "colour": "#112233"}, {"op": "studio"}, {"op": "style", "style": "oil"})
    assert RULES.kind(variant()).operations == []
    assert RULES.kind(variant({"op": "recolor", "colour": "#112233"})).operations == ["recolor"]
    assert RULES.kind(styled).operations == ["style"]


@pytest.mark.parametrize(("confirmed", "verdict"), [(True, Verdict.REJECT), (False, Verdict.REVIEW)])
def test_a_channel_breach_weighs_as_much_as_its_figure_is_sure(confirmed: bool, verdict: Verdict) -> None:
    channel = Channel.model_validate(
        {
            "channel": "c",
            "version": 1,
            "title": "C",
            "source": "s",
            "formats": ["jpeg"],
            "max_bytes": {"value": 10, "confirmed": confirmed},
        }
    )
    rule = RuleResult(rule="max_bytes", passed=False, measured=11, required="<= 10", profile="c", profile_version="1")
    before = Quality(verdict=Verdict.PUBLISH, score=1.0)
    after = with_channels(before, [(channel, [rule])])
    assert after.verdict is verdict
    assert after.reasons == ["c: max_bytes is 11.0, required <= 10"]
    assert with_channels(before, [(channel, [])]).verdict is Verdict.PUBLISH


@given(st.sampled_from(list(Verdict)), st.sampled_from(list(Verdict)))
def test_the_worse_verdict_counts(one: Verdict, other: Verdict) -> None:
    assert worse(one, other) == worse(other, one)
    assert worse(one, one) is one
    assert worse(Verdict.REJECT, one) is Verdict.REJECT
    assert worse(Verdict.PUBLISH, one) is one


def test_a_rule_for_what_only_some_models_measure_is_left_out_elsewhere() -> None:
    limits = {"publish": {"max": 2}, "reason": "several things", "if_measured": True}
    rules = QualityRules.model_validate(
        {"version": 1, "kinds": {"any": {"operations": [], "rules": {"pieces": limits}}}}
    )
    unknown, one, crowd = (rules.judge(variant(), found) for found in ({}, {"pieces": 1.0}, {"pieces": 4.0}))
    assert (unknown.verdict, one.verdict, crowd.verdict) == (Verdict.PUBLISH, Verdict.PUBLISH, Verdict.REVIEW)
    assert crowd.reasons == ["several things"]
    assert not rules.asks_more(variant(), unknown)


@dataclass(frozen=True)
class Cleaned:
    pixels: Picture
    severity: dict[str, float]


class Cleaner:
    """A restorer that lifts every level a little, or finds nothing wrong."""

    name = "cleaner"
    version = "2"

    def __init__(self, *, finds: bool = True) -> None:
        self._finds = finds

    def restore(self, pictures: Sequence[Picture], strength: float = 1.0) -> list[Cleaned]:
        assert strength == 1.0
        return [Cleaned(picture + np.uint8(2) if self._finds else picture, {"noise": 0.6}) for picture in pictures]


def restoring(cleaner: Cleaner) -> Generation:
    card = ModelRef(name="box", version="1")
    restorer = Loaded(ModelRef(name="cleaner", version="2"), lambda: cleaner)
    return Generation(card, Cutting(Loaded(card, BoxBackend)), restorer)


def smooth_photo() -> SourceImage:
    return replace(photo(), pixels=np.full((96, 80, 3), 140, np.uint8))


def test_a_restorer_has_its_part_in_the_correction_and_in_the_key() -> None:
    stage = restoring(Cleaner())
    chain = variant({"op": "enhance", "exposure": False, "white_balance": False}, size=(80, 96))
    assert [model.name for model in stage.models(chain)] == ["box", "enhance", "cleaner"]
    assert [model.name for model in stage.models(variant())] == ["box", "studio"]
    (entry,) = made(stage, shot(smooth_photo(), chain))
    assert entry.pixels is not None
    assert set(np.unique(entry.pixels)) == {142}


def test_what_the_restorer_finds_nothing_wrong_with_stays_as_it_is() -> None:
    chain = variant({"op": "enhance", "exposure": False, "white_balance": False}, size=(80, 96))
    (entry,) = made(restoring(Cleaner(finds=False)), shot(smooth_photo(), chain))
    assert entry.pixels is not None
    assert set(np.unique(entry.pixels)) == {140}


@dataclass(frozen=True)
class Scored:
    score: float


class Critic:
    name = "critic"
    version = "1"

    def judge(self, pictures: Sequence[Picture], masks: Sequence[Mask | None] | None = None) -> list[Scored]:
        assert masks is not None
        assert [mask.shape for mask in masks if mask is not None] == [picture.shape[:2] for picture in pictures]
        return [Scored(0.25)] * len(pictures)


def judging(restorer: Loaded[Cleaner] | None = None) -> Generation:
    card = ModelRef(name="box", version="1")
    critic = Loaded(ModelRef(name="critic", version="1"), Critic)
    return Generation(card, Cutting(Loaded(card, BoxBackend), None, critic), restorer)


def test_photos_are_judged_as_they_came() -> None:
    (entry,) = made(judging(), shot(photo(), variant()))
    assert entry.figures["photo_score"] == 0.25


def test_what_was_corrected_is_not_held_to_what_it_was_before() -> None:
    chain = variant({"op": "enhance", "exposure": False, "white_balance": False}, size=(80, 96))
    mended, sound = (
        made(
            judging(Loaded(ModelRef(name="cleaner", version="2"), partial(Cleaner, finds=finds))),
            shot(smooth_photo(), chain),
        )
        for finds in (True, False)
    )
    assert "photo_score" not in mended[0].figures
    assert sound[0].figures["photo_score"] == 0.25


def test_one_file_with_its_faces_and_without_is_two_photos_for_a_batch() -> None:
    whole = photo(1)
    without = replace(whole, pixels=np.full_like(whole.pixels, 9), treatment=" without faces")
    with_faces, hidden = made(generation(BoxBackend()), shot(whole, variant(), "a"), shot(without, variant(), "b"))
    assert with_faces.reference is not None
    assert hidden.reference is not None
    assert with_faces.reference[24:40, 24:40].mean() > 60
    assert hidden.reference[24:40, 24:40].max() == 9
