"""From settings to a finisher: what is asked for and cannot be given is told at the start, by the setting's name."""

from pathlib import Path

import pytest

from serve.catalog.channel import Channel
from serve.catalog.loader import load_catalog
from serve.equipment import equip
from serve.marking import MarksUnready, check_marks, finisher_for
from serve.settings import ServeSettings
from tests.support.certificates import chain

CHANNEL = "channel: cn\nversion: 1\ntitle: t\nsource: s\nformats: [jpeg]\ndisclosure: {{{}}}\n"


def signing(folder: Path) -> dict[str, object]:
    pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")
    (folder / "chain.pem").write_bytes(chain().certificates)
    return {"c2pa_certificates": folder / "chain.pem", "c2pa_key": chain().key.decode()}


def wants(**disclosure: object) -> Channel:
    data = {"channel": "cn", "version": 1, "title": "t", "source": "s", "formats": ["jpeg"], "disclosure": disclosure}
    return Channel.model_validate(data)


def test_nothing_set_is_nothing_asked() -> None:
    finisher = finisher_for(ServeSettings())
    assert finisher.signer is None
    assert (finisher.policy.c2pa, finisher.policy.watermark, finisher.policy.aigc_producer) == (False, False, None)
    check_marks(ServeSettings(), load_catalog().channels.values())


def test_the_key_may_be_a_path_or_the_key(tmp_path: Path) -> None:
    given = signing(tmp_path)
    (tmp_path / "key.pem").write_bytes(chain().key)
    one = finisher_for(ServeSettings(**given))  # type: ignore[arg-type]
    other = finisher_for(ServeSettings(**{**given, "c2pa_key": str(tmp_path / "key.pem")}))  # type: ignore[arg-type]
    assert one.signer is not None
    assert one.policy.signer == one.signer.fingerprint == other.policy.signer
    assert one.signer == other.signer


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"c2pa": True}, "VITRINE_SERVE_C2PA needs VITRINE_SERVE_C2PA_CERTIFICATES"),
        ({"c2pa_certificates": Path("/nowhere.pem"), "c2pa_key": "k"}, "C2PA_CERTIFICATES"),
        ({"label_texts": {"zh": "人工智能"}}, "LABEL_TEXTS"),
        ({"label_texts": {"en": " "}}, "LABEL_TEXTS"),
        ({"label_texts": {"en": ""}}, "LABEL_TEXTS"),
        ({"label_texts": {"en": "x" * 25}}, "LABEL_TEXTS"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, object], told: str) -> None:
    with pytest.raises(MarksUnready, match=told):
        finisher_for(ServeSettings(**settings))  # type: ignore[arg-type]


def test_a_broken_font_is_named(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").write_bytes(b"no font")
    with pytest.raises(MarksUnready, match="LABEL_FONT"):
        finisher_for(ServeSettings(label_font=tmp_path / "font.ttf"))


def test_a_key_of_another_certificate_is_told_without_showing_it(tmp_path: Path) -> None:
    other = chain("Somebody else").key.decode()
    with pytest.raises(MarksUnready) as told:
        finisher_for(ServeSettings(**{**signing(tmp_path), "c2pa_key": other}))  # type: ignore[arg-type]
    assert "do not fit" in str(told.value)
    assert other[30:60] not in str(told.value)


def test_secrets_are_not_shown_with_the_settings(tmp_path: Path) -> None:
    settings = ServeSettings(**signing(tmp_path), watermark_secret="opensesame")  # type: ignore[arg-type]
    assert "opensesame" not in repr(settings)
    assert "PRIVATE" not in repr(settings)
    finisher = finisher_for(settings)
    assert "PRIVATE" not in repr(finisher)
    assert "opensesame" not in repr(finisher)


def test_the_watermark_has_the_secret_of_the_settings() -> None:
    known, other = (finisher_for(ServeSettings(watermark_secret=secret)) for secret in (None, "s"))  # type: ignore[arg-type]
    assert known.secret != other.secret
    assert known.policy.watermark_code != other.policy.watermark_code


@pytest.mark.parametrize(("wish", "told"), [({"c2pa": True}, "C2PA_KEY"), ({"implicit_aigc": True}, "AIGC_PRODUCER")])
def test_a_channel_that_asks_for_more_than_is_set_is_named(wish: dict[str, object], told: str) -> None:
    with pytest.raises(MarksUnready, match=f"channel cn .*{told}"):
        check_marks(ServeSettings(), [wants(**wish)])


def test_a_channel_that_gets_what_it_asks_for_is_fine(tmp_path: Path) -> None:
    settings = ServeSettings(**signing(tmp_path), aigc_producer="Studio 1")  # type: ignore[arg-type]
    check_marks(settings, [wants(c2pa=True, implicit_aigc=True, visible_label="required", invisible_watermark=True)])


def test_a_replica_does_not_start_with_a_channel_that_it_cannot_serve(tmp_path: Path) -> None:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "cn.yaml").write_text(CHANNEL.format("implicit_aigc: true"))
    settings = ServeSettings(catalog_dir=tmp_path, cutout="grabcut", judge_photos=False)
    with pytest.raises(MarksUnready, match="AIGC_PRODUCER"):
        equip(settings)
    assert "cn" in equip(settings.model_copy(update={"aigc_producer": "Studio 1"})).catalog.channels
