"""Which marks an output needs: channels, settings, conflicts, and what of it enters the key."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.catalog.channel import Channel
from serve.catalog.loader import load_catalog
from serve.catalog.marks import MADE, NO_MARKS, MarkPolicy, Marks, marks_for
from serve.catalog.plan import PlannedShot, plan_shot
from serve.catalog.recipe import Variant
from serve.errors import MarkImpossible

STYLED = "compositeWithTrainedAlgorithmicMedia"
POLICY = MarkPolicy(aigc_producer="Studio 1", signer="cafe", watermark_code="beef")
SHA = "ab" * 32


def channel(name: str = "a", *, text: bool = True, **disclosure: object) -> Channel:
    data = {"channel": name, "version": 1, "title": name, "source": "test", "formats": ["jpeg"]}
    forbidden = {} if text else {"forbidden": ["text"]}
    return Channel.model_validate({**data, **forbidden, "disclosure": disclosure})


CHINA = channel("china", visible_label="required", label_language="zh", implicit_aigc=True)


def marks(*channels: Channel, kind: str = STYLED, size: tuple[int, int] = (1000, 1000), **policy: object) -> Marks:
    return marks_for(channels, kind, size, replace(POLICY, **policy))  # type: ignore[arg-type]


def planned(
    *channels: Channel, policy: MarkPolicy = POLICY, locale: str | None = None, style: bool = True
) -> PlannedShot:
    operations: list[dict[str, object]] = [{"op": "studio"}, *([{"op": "style", "style": "oil"}] if style else [])]
    variant = Variant.model_validate({"name": "v", "operations": operations})
    return plan_shot(variant, "acme", SHA, channels, (), policy=policy, locale=locale)


def test_nobody_asks_for_a_mark_by_default() -> None:
    for one in load_catalog().channels.values():
        assert marks_for([one], STYLED, (1000, 1000), MarkPolicy()) == NO_MARKS
    assert NO_MARKS.names == []
    assert NO_MARKS.identity() == {}


def test_a_channel_gets_what_it_asks_for() -> None:
    found = marks(CHINA)
    assert found == Marks(label=("AI生成", ""), aigc_producer="Studio 1")
    assert marks(channel(c2pa=True)) == Marks(c2pa="cafe")
    assert marks(channel(invisible_watermark=True)) == Marks(watermark="beef")
    assert marks(CHINA, channel("b", c2pa=True, invisible_watermark=True)).names == [
        "label",
        "aigc",
        "watermark",
        "c2pa",
    ]


def test_settings_can_ask_for_all_images() -> None:
    assert marks(kind="algorithmicallyEnhanced", c2pa=True, watermark=True) == Marks(c2pa="cafe", watermark="beef")


@pytest.mark.parametrize("kind", ["algorithmicallyEnhanced", "digitalCapture", *sorted(MADE)])
def test_only_what_no_camera_saw_is_labelled(kind: str) -> None:
    found = marks(CHINA, kind=kind)
    assert (found.label is not None) is (kind in MADE)
    assert (found.aigc_producer is not None) is (kind in MADE)


@pytest.mark.parametrize(
    "other", [channel("b", visible_label="forbidden"), channel("b", text=False), load_catalog().channels["ebay"]]
)
def test_demanded_here_and_forbidden_there_is_a_refusal(other: Channel) -> None:
    with pytest.raises(MarkImpossible, match=f"china demands a visible label, which {other.channel} forbids"):
        marks(CHINA, other)
    with pytest.raises(MarkImpossible):
        marks(other, CHINA)
    assert planned(CHINA, other).refusal is not None
    # A plain studio shot needs no label, so there is nothing to quarrel about.
    assert planned(CHINA, other, style=False).refusal is None


@given(st.lists(st.sampled_from(["forbidden", "allowed", "required"]), max_size=4))
def test_a_label_is_never_drawn_where_it_is_forbidden(wishes: list[str]) -> None:
    channels = [channel(f"c{number}", visible_label=wish) for number, wish in enumerate(wishes)]
    try:
        drawn = marks(*channels).label is not None
    except MarkImpossible:
        assert {"forbidden", "required"} <= set(wishes)
        return
    assert drawn is ("required" in wishes)
    assert not (drawn and "forbidden" in wishes)


def test_small_pictures_hold_no_watermark() -> None:
    with pytest.raises(MarkImpossible, match="399 pixels"):
        marks(channel(invisible_watermark=True), size=(1000, 399))
    assert marks(channel(invisible_watermark=True), size=(400, 400)).watermark == "beef"


def test_marks_that_nobody_can_give_are_refused() -> None:
    with pytest.raises(MarkImpossible, match="producer"):
        marks(CHINA, aigc_producer=None)
    with pytest.raises(MarkImpossible, match="signer"):
        marks(channel(c2pa=True), signer="")


@pytest.mark.parametrize(
    ("languages", "text"),
    [
        (("zh",), "AI生成"),
        (("zh-Hans-CN",), "AI生成"),
        (("zh_CN",), "AI生成"),
        (("de-AT",), "KI-generiert"),
        (("fr",), "AI-generated"),
        ((None,), "AI-generated"),
        ((None, "de"), "KI-generiert"),
        (("fr", "de"), "KI-generiert"),
    ],
)
def test_the_label_speaks_the_first_language_that_it_knows(languages: tuple[str | None, ...], text: str) -> None:
    policy = MarkPolicy(label_texts={"en": "AI-generated", "zh": "AI生成", "de": "KI-generiert"})
    assert policy.label_for(*languages) == text


def test_the_channels_language_goes_before_the_listings() -> None:
    assert planned(CHINA, locale="en-US").marks.label == ("AI生成", "")
    assert planned(channel(visible_label="required"), locale="zh-CN").marks.label == ("AI生成", "")


def test_keys_of_unmarked_images_do_not_know_of_marks() -> None:
    plain = planned(policy=MarkPolicy()).key
    others = (POLICY, MarkPolicy(aigc_producer="Other", signer="1", watermark_code="2", label_texts={"en": "Made up"}))
    assert {planned(policy=policy, locale=locale).key for policy in others for locale in (None, "zh")} == {plain}


def test_every_setting_that_changes_a_file_changes_its_key() -> None:
    china, signed, hidden = CHINA, channel("s", c2pa=True), channel("w", invisible_watermark=True)
    keys = [
        planned(china).key,
        planned(china, policy=replace(POLICY, aigc_producer="Studio 2")).key,
        planned(china, policy=replace(POLICY, label_texts={"en": "x", "zh": "AI"})).key,
        planned(china, policy=replace(POLICY, label_face="font")).key,
        planned(signed).key,
        planned(signed, policy=replace(POLICY, signer="f00d")).key,
        planned(hidden).key,
        planned(hidden, policy=replace(POLICY, watermark_code="f00d")).key,
        planned(policy=replace(POLICY, c2pa=True)).key,
        planned(policy=replace(POLICY, watermark=True)).key,
        planned(policy=replace(POLICY, metadata="keep_rights")).key,
        planned(policy=replace(POLICY, metadata="keep_provenance")).key,
        planned().key,
    ]
    assert len(set(keys)) == len(keys)
