from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve.catalog.channel import Channel, ImageFacts
from serve.catalog.loader import load_catalog
from serve.catalog.quality import with_channels
from serve.catalog.rules import Rules
from serve.schemas.outcome import Verdict
from serve.schemas.result import Quality, RuleResult

CHANNELS = load_catalog().channels
OVERLAYS = ("text", "watermark", "border")


def facts(**changes: object) -> ImageFacts:
    known: dict[str, object] = {
        "width": 1000,
        "height": 1000,
        "format": "jpeg",
        "bytes": 200_000,
        "digital_source_type": "algorithmicallyEnhanced",
        "whiteness": 1.0,
        "fill": 0.9,
        "colour": "RGB 8",
        "jpeg_quality": 92,
        "border": 0.0,
        "text": 0,
        "watermark": 0.1,
        "suffix": ".jpg",
    }
    return ImageFacts(**{**known, **changes})  # type: ignore[arg-type]


def results(channel: str, on: date = date.max, **changes: object) -> dict[str, RuleResult]:
    return {rule.rule: rule for rule in CHANNELS[channel].check(facts(**changes), on)}


def broken(channel: str, **changes: object) -> set[str]:
    found = results(channel, **changes).values()
    return {rule.rule for rule in found if not rule.passed and rule.severity != "advice"}


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_a_plain_studio_shot_passes_every_channel(channel: str) -> None:
    assert broken(channel) == set()


@pytest.mark.parametrize(
    ("channel", "changes", "rules"),
    [
        ("google", {"width": 499}, {"min_shortest_side"}),
        ("google", {"width": 500, "height": 500}, set()),
        ("google", {"format": "avif", "suffix": ".avif"}, {"format"}),
        ("google", {"bytes": 16_000_001}, {"max_bytes"}),
        ("google", {"width": 8001, "height": 8000}, {"max_megapixels"}),
        ("google", {"added": frozenset({"text"})}, {"forbidden_text"}),
        ("walmart", {"width": 1000, "height": 1200}, {"aspect"}),
        ("walmart", {"format": "webp", "suffix": ".webp"}, {"format"}),
        ("walmart", {"whiteness": None}, {"white_background"}),
        ("walmart", {"whiteness": 0.5}, {"white_background"}),
        ("amazon-main", {"fill": 0.8}, {"min_fill"}),
        ("etsy", {"digital_source_type": "trainedAlgorithmicMedia"}, {"forbidden_synthetic"}),
        ("etsy", {"digital_source_type": "compositeWithTrainedAlgorithmicMedia"}, {"forbidden_synthetic"}),
        ("shopify", {"width": 5001, "height": 1000}, {"max_side"}),
        ("ebay", {"width": 499, "height": 300}, {"min_longest_side"}),
        ("ebay", {"animated": True, "format": "gif"}, {"forbidden_animation"}),
        ("ebay", {"text": 2}, {"forbidden_text"}),
        ("ebay", {"watermark": 0.9}, {"forbidden_watermark"}),
        ("ebay", {"border": 0.02}, {"forbidden_border"}),
        ("ebay", {"text": None, "watermark": None, "border": None}, {f"forbidden_{one}" for one in OVERLAYS}),
        ("ebay", {"url": "http://shop.example/a.jpg"}, {"address_https"}),
        ("ebay", {"url": "https://shop.example/a.jpg?v=2"}, set()),
        ("amazon-main", {"added": frozenset({"logo"})}, {"forbidden_logo"}),
        ("walmart", {"colour": "CMYK 8"}, {"colour"}),
        ("walmart", {"colour": "RGB 16"}, {"colour"}),
        ("walmart", {"url": "https://shop.example/a.jpg?X-Amz-Signature=1"}, {"address_query"}),
        ("walmart", {"url": "http://shop.example:8443/a.jpg"}, set()),
        ("walmart", {"url": "https://shop.example:9000/a.jpg"}, {"address_port"}),
        ("walmart", {"url": "ftp://shop.example/a.jpg"}, {"address_port"}),
        ("walmart", {"url": "https://[broken/a.jpg"}, {"address_port"}),
        ("walmart", {"suffix": ""}, {"suffix"}),
        ("walmart", {"suffix": ".JPEG"}, set()),
        ("google", {"suffix": ".png"}, {"suffix"}),
        ("google", {"url": "https://shop.example/" + "a" * 2000 + ".jpg"}, {"address_length"}),
        ("google", {"url": "https://shop.example/gr\u00fcn.jpg"}, {"address_ascii"}),
        ("generic", {"format": "png", "suffix": ".png"}, set()),
        ("generic", {"suffix": None}, {"suffix"}),
    ],
)
def test_a_breach_names_its_rule(channel: str, changes: dict[str, object], rules: set[str]) -> None:
    assert broken(channel, **changes) == rules


def test_a_result_carries_profile_version_measured_and_required() -> None:
    rule = next(one for one in CHANNELS["google"].check(facts(width=400)) if one.rule == "min_shortest_side")
    assert (rule.profile, rule.profile_version, rule.measured, rule.required) == ("google", "2", 400, ">= 500")


def test_google_demands_500_px_from_the_day_on_which_it_does() -> None:
    def severity(year: int, month: int, day: int) -> str | None:
        rule = results("google", date(year, month, day), width=400)["min_shortest_side"]
        assert not rule.passed
        return rule.severity

    assert [severity(2026, 11, 22), severity(2027, 1, 30), severity(2027, 1, 31), severity(2030, 1, 1)] == [
        "advice",
        "advice",
        "reject",
        "reject",
    ]


@pytest.mark.parametrize(
    ("channel", "changes", "rule", "severity"),
    [
        ("walmart", {"whiteness": 0.5}, "white_background", "reject"),
        ("walmart", {"whiteness": None}, "white_background", "review"),
        ("amazon-main", {"whiteness": 0.5}, "white_background", "review"),
        ("ebay", {"watermark": 1.0}, "forbidden_watermark", "review"),
        ("ebay", {"text": 3}, "forbidden_text", "review"),
        ("ebay", {"text": None}, "forbidden_text", "review"),
        ("ebay", {"added": frozenset({"text"})}, "forbidden_text", "reject"),
        ("ebay", {"jpeg_quality": 85}, "advised_jpeg_quality", "advice"),
        ("walmart", {}, "advised_longest_side", "advice"),
    ],
)
def test_what_a_breach_leads_to(channel: str, changes: dict[str, object], rule: str, severity: str) -> None:
    found = results(channel, **changes)[rule]
    assert (found.passed, found.severity) == (False, severity)


@pytest.mark.parametrize(
    ("severity", "measured", "verdict"),
    [("reject", 1.0, Verdict.REJECT), ("review", None, Verdict.REVIEW), ("advice", 1.0, Verdict.PUBLISH)],
)
def test_the_verdict_follows_the_severity(severity: str, measured: float | None, verdict: Verdict) -> None:
    rule = RuleResult(rule="r", passed=False, measured=measured, required=">= 2", severity=severity)  # type: ignore[arg-type]
    judged = with_channels(Quality(verdict=Verdict.PUBLISH, score=1.0), [(CHANNELS["ebay"], [rule])])
    assert judged.verdict is verdict
    told = {"reject": ["ebay: r is 1.0, required >= 2"], "review": ["ebay: r was not measured, required >= 2"]}
    assert judged.reasons == told.get(severity, [])


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_every_rule_of_every_channel_names_its_source_and_when_it_was_read(channel: str) -> None:
    profile = CHANNELS[channel]
    figures = [figure for name in Rules.model_fields if (figure := getattr(profile, name)) is not None]
    assert figures
    for figure in figures:
        assert figure.source
        assert figure.read
    for rule in [*profile.check(facts(url="https://shop.example/a.jpg")), *profile.check_count(5)]:
        assert profile.figure_of(rule.rule) is not None
        assert profile.source_of(rule.rule).endswith("(2026-11)")


def test_a_channel_that_forbids_text_forbids_a_label_that_people_see() -> None:
    for channel in CHANNELS.values():
        if channel.forbidden is not None and "text" in channel.forbidden.value:
            assert channel.disclosure.visible_label == "forbidden"


@pytest.mark.parametrize(
    ("channel", "images", "wrong"),
    [
        ("amazon-main", 9, set()),
        ("amazon-main", 10, {("max_images", "review")}),
        ("ebay", 24, set()),
        ("ebay", 25, {("max_images", "review")}),
        ("walmart", 3, {("advised_images", "advice")}),
        ("google", 1000, set()),
    ],
)
def test_images_of_a_listing_are_counted(channel: str, images: int, wrong: set[tuple[str, str]]) -> None:
    found = CHANNELS[channel].check_count(images)
    assert {(rule.rule, rule.severity) for rule in found if not rule.passed} == wrong


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
