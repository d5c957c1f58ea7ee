import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve.catalog.channel import Channel, ImageFacts
from serve.catalog.loader import load_catalog

CHANNELS = load_catalog().channels


def facts(**changes: object) -> ImageFacts:
    known: dict[str, object] = {
        "width": 1000,
        "height": 1000,
        "format": "jpeg",
        "bytes": 200_000,
        "digital_source_type": "algorithmicallyEnhanced",
        "whiteness": 1.0,
        "fill": 0.9,
    }
    return ImageFacts(**{**known, **changes})  # type: ignore[arg-type]


def broken(channel: str, **changes: object) -> set[str]:
    return {rule.rule for rule in CHANNELS[channel].check(facts(**changes)) if not rule.passed}


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_a_plain_studio_shot_passes_every_channel(channel: str) -> None:
    assert broken(channel) == set()


@pytest.mark.parametrize(
    ("channel", "changes", "rules"),
    [
        ("google", {"width": 499}, {"min_shortest_side"}),
        ("google", {"width": 500, "height": 500}, set()),
        ("google", {"format": "avif"}, {"format"}),
        ("google", {"bytes": 16_000_001}, {"max_bytes"}),
        ("google", {"width": 8001, "height": 8000}, {"max_megapixels"}),
        ("google", {"added": frozenset({"text"})}, {"forbidden_text"}),
        ("walmart", {"width": 1000, "height": 1200}, {"aspect"}),
        ("walmart", {"format": "webp"}, {"format"}),
        ("walmart", {"whiteness": None}, {"white_background"}),
        ("walmart", {"whiteness": 0.5}, {"white_background"}),
        ("amazon-main", {"fill": 0.8}, {"min_fill"}),
        ("etsy", {"digital_source_type": "trainedAlgorithmicMedia"}, {"forbidden_synthetic"}),
        ("etsy", {"digital_source_type": "compositeWithTrainedAlgorithmicMedia"}, {"forbidden_synthetic"}),
        ("shopify", {"width": 5001, "height": 1000}, {"max_side"}),
        ("ebay", {"width": 499, "height": 300}, {"min_longest_side"}),
    ],
)
def test_a_breach_names_its_rule(channel: str, changes: dict[str, object], rules: set[str]) -> None:
    assert broken(channel, **changes) == rules


def test_a_result_carries_profile_version_measured_and_required() -> None:
    rule = next(one for one in CHANNELS["google"].check(facts(width=400)) if one.rule == "min_shortest_side")
    assert (rule.profile, rule.profile_version, rule.measured, rule.required) == ("google", "1", 400, ">= 500")


def test_unconfirmed_figures_are_known_as_such() -> None:
    assert CHANNELS["walmart"].is_confirmed("white_background")
    assert not CHANNELS["amazon-main"].is_confirmed("white_background")
    assert not CHANNELS["etsy"].is_confirmed("format")
    assert CHANNELS["etsy"].is_confirmed("forbidden_synthetic")


@given(
    st.integers(1, 12_000),
    st.integers(1, 12_000),
    st.integers(0, 30_000_000),
    st.sampled_from(sorted(CHANNELS)),
)
def test_checking_never_fails_and_growing_bytes_never_mends(width: int, height: int, count: int, name: str) -> None:
    channel: Channel = CHANNELS[name]
    before = channel.check(facts(width=width, height=height, bytes=count))
    after = channel.check(facts(width=width, height=height, bytes=count + 1_000_000))
    assert [rule.rule for rule in before] == [rule.rule for rule in after]
    assert all(late.passed <= early.passed for early, late in zip(before, after, strict=True))


def test_disclosure_is_data_of_the_channel() -> None:
    asked = {
        "channel": "marktplatz",
        "version": 1,
        "title": "a channel",
        "source": "a test",
        "formats": ["jpeg"],
        "disclosure": {"visible_label": "required", "implicit_aigc": True},
        "blur_faces": True,
    }
    channel = Channel.model_validate(asked)
    assert (channel.disclosure.visible_label, channel.disclosure.implicit_aigc, channel.blur_faces) == (
        "required",
        True,
        True,
    )
    assert (channel.disclosure.c2pa, channel.disclosure.invisible_watermark) == (False, False)
    plain = Channel.model_validate({**asked, "disclosure": {}, "blur_faces": False})
    assert plain.disclosure.visible_label == "allowed"
    with pytest.raises(ValidationError):
        Channel.model_validate({**asked, "disclosure": {"visible_label": "sometimes"}})
