"""The finisher from the settings, and whether it can put on every mark that a catalog asks for."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from serve.catalog.channel import Channel
from serve.catalog.marks import LABEL_TEXTS, MarkPolicy
from serve.images.credentials import CredentialsUnready, Signer
from serve.images.finishing import OPEN_SECRET, Finisher
from serve.images.glyphs import LettersMissing, text_mask
from serve.settings import ServeSettings

_PREFIX = "VITRINE_SERVE_"
_LONGEST_LABEL = 24


class MarksUnready(ValueError):
    """A mark is asked for that the settings cannot give; the message names the setting."""


def finisher_for(settings: ServeSettings) -> Finisher:
    """A finisher that can do what the settings ask for; raise `MarksUnready`."""
    signer = _signer(settings)
    secret = settings.watermark_secret.get_secret_value().encode() if settings.watermark_secret else OPEN_SECRET
    texts = {**LABEL_TEXTS, **{language.lower(): text for language, text in settings.label_texts.items()}}
    _check_letters(texts.values(), settings.label_font)
    policy = MarkPolicy(
        label_texts=texts,
        label_face=_digest(settings.label_font.read_bytes()) if settings.label_font else "",
        aigc_producer=settings.aigc_producer,
        c2pa=settings.c2pa,
        signer=signer.fingerprint if signer else "",
        watermark=settings.watermark,
        watermark_code=_digest(b"code " + secret),
        metadata=settings.metadata,
    )
    finisher = Finisher(policy=policy, signer=signer, secret=secret, face=settings.label_font)
    if settings.c2pa and signer is None:
        raise MarksUnready(f"{_PREFIX}C2PA needs {_PREFIX}C2PA_CERTIFICATES and {_PREFIX}C2PA_KEY")
    return finisher


def check_marks(settings: ServeSettings, channels: Iterable[Channel]) -> None:
    """Raise `MarksUnready` if a channel asks for a mark that the settings cannot give."""
    for channel in channels:
        asked = channel.disclosure
        if asked.c2pa and (settings.c2pa_certificates is None or settings.c2pa_key is None):
            raise MarksUnready(
                f"channel {channel.channel} wants signed manifests: {_PREFIX}C2PA_CERTIFICATES and {_PREFIX}C2PA_KEY"
            )
        if asked.implicit_aigc and settings.aigc_producer is None:
            raise MarksUnready(f"channel {channel.channel} wants AIGC metadata: {_PREFIX}AIGC_PRODUCER names you")


def _signer(settings: ServeSettings) -> Signer | None:
    if settings.c2pa_certificates is None or settings.c2pa_key is None:
        return None
    try:
        certificates = settings.c2pa_certificates.read_bytes()
        return Signer(certificates, _key(settings.c2pa_key), settings.c2pa_algorithm)
    except (OSError, CredentialsUnready) as error:
        raise MarksUnready(f"{_PREFIX}C2PA_CERTIFICATES and _KEY: {error}") from error


def _key(value: SecretStr) -> bytes:
    """The PEM itself, or that of the file it names."""
    text = value.get_secret_value()
    return text.encode() if "-----BEGIN" in text else Path(text).read_bytes()


def _check_letters(texts: Iterable[str], face: Path | None) -> None:
    for text in texts:
        fault = "" if text.strip() and len(text) <= _LONGEST_LABEL else f"1 to {_LONGEST_LABEL} letters, not {text!r}"
        try:
            text_mask(text, 20, face)
        except (LettersMissing, OSError) as error:
            fault = str(error)
        if fault:
            raise MarksUnready(f"{_PREFIX}LABEL_TEXTS, {_PREFIX}LABEL_FONT: {fault}")


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:16]
