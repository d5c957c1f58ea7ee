from pathlib import Path

import pytest
from pydantic import ValidationError

from serve.settings import ServeSettings


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SERVE_FETCH_ALLOW", "127.0.0.1:8080, photos.local:80,")
    monkeypatch.setenv("VITRINE_SERVE_FETCH_BUCKETS", "originals")
    settings = ServeSettings()
    assert settings.fetch_allow == ("127.0.0.1:8080", "photos.local:80")
    assert settings.fetch_buckets == ("originals",)


def test_nothing_local_is_reached_and_no_key_is_shown_by_default() -> None:
    settings = ServeSettings(s3_secret_key="hidden")
    assert (settings.fetch_allow, settings.fetch_buckets, settings.fetch_files) == ((), (), None)
    assert "hidden" not in repr(settings)


def test_the_index_is_a_file_in_the_state_folder_unless_an_address_is_given(tmp_path: Path) -> None:
    assert ServeSettings(state_dir=tmp_path).index_address == f"sqlite:///{tmp_path}/index.db"
    assert ServeSettings(index_url="postgresql://db/vitrine").index_address == "postgresql://db/vitrine"


def test_the_password_of_the_index_is_not_shown() -> None:
    settings = ServeSettings(index_url="postgresql://me:hidden@db/vitrine")
    assert "hidden" in settings.index_address
    assert "hidden" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("kind", [None, "none", "AES256"])
def test_a_key_of_kms_without_kms_is_refused_and_no_secret_is_shown(kind: str | None) -> None:
    chosen = {} if kind is None else {"s3_sse": kind}
    with pytest.raises(ValidationError, match="s3_sse=aws:kms") as refused:
        ServeSettings(s3_kms_key_id="alias/images", s3_secret_key="hidden-value", **chosen)  # type: ignore[arg-type]
    assert "hidden-value" not in str(refused.value)
    assert ServeSettings(s3_kms_key_id="alias/images", s3_sse="aws:kms").s3_kms_key_id == "alias/images"


@pytest.mark.parametrize(
    "wrong", [{"s3_sse": "rot13"}, {"s3_kms_key_id": "", "s3_sse": "aws:kms"}, {"retention_days": -1}]
)
def test_privacy_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServeSettings(**wrong)  # type: ignore[arg-type]


def test_an_impossible_value_is_refused() -> None:
    with pytest.raises(ValidationError, match="threads"):
        ServeSettings(threads=0)
