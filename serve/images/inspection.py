"""Everything that an image tells of itself, ours or not; `vitrine inspect` shows it."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from PIL import Image, ImageCms

from serve.errors import ServeError
from serve.images import aigc as gb
from serve.images.aigc import Aigc, parse_aigc
from serve.images.credentials import Credentials, CredentialsUnready, read_credentials
from serve.images.decoding import FORMATS, decode
from serve.images.finishing import OPEN_SECRET
from serve.images.glyphs import LettersMissing
from serve.images.label import LEAST_CONTRAST, label_contrast
from serve.images.leftovers import leftovers
from serve.images.provenance import (
    CREATOR,
    CREDIT,
    NOTICE,
    SOURCE_TYPE,
    SOURCE_TYPE_URI,
    USAGE_TERMS,
    WEB_STATEMENT,
    Provenance,
    parse_packet,
)
from serve.images.rights import SourceRights
from serve.images.watermark import Reading, payload_of, read_watermark
from serve.images.xmp_reading import properties
from serve.interfaces import FetchedBytes, Picture

#: What the codes of the IPTC vocabulary say, in our words.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "algorithmicMedia": "drawn by an algorithm that was not trained on pictures",
        "algorithmicallyEnhanced": "a photo, corrected or laid out by an algorithm",
        "composite": "put together from several pictures",
        "compositeCapture": "put together from several photos",
        "compositeSynthetic": "a photo with parts that no camera saw",
        "compositeWithTrainedAlgorithmicMedia": "a photo with parts that a trained model drew",
        "digitalCapture": "a photo as it was taken",
        "digitalCreation": "made by a person with a computer",
        "humanEdits": "a photo, changed by a person",
        "trainedAlgorithmicMedia": "made by a trained model",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in one file. None: it is not there."""

    format: str
    width: int
    height: int
    mode: str
    bytes: int
    sha256: str
    #: Description of the colour profile.
    profile: str | None
    #: IPTC code, from anybody's XMP.
    source_type: str | None
    #: Models, seed and key: only in images of ours.
    provenance: Provenance | None
    aigc: Aigc | None
    rights: SourceRights
    credentials: Credentials | None
    #: Why the manifest could not be looked for.
    credentials_unread: str | None
    watermark: Reading | None
    #: Contrast of the visible label that the metadata name, 1..21; 1 if it is not there. None where none is named, or
    #: where its letters are not in the font.
    label_contrast: float | None
    leftovers: tuple[str, ...]
    #: Code of the error where the pixels cannot be decoded.
    damage: str | None

    @property
    def meaning(self) -> str | None:
        """The source type in words."""
        return None if self.source_type is None else MEANINGS.get(self.source_type, "not a code that Vitrine knows")

    @property
    def watermark_fits(self) -> bool | None:
        """Whether the watermark is that of the key in the metadata; None without either."""
        if self.watermark is None or self.provenance is None:
            return None
        return self.watermark.payload == payload_of(self.provenance.key)

    @property
    def label_stands_out(self) -> bool | None:
        """Whether the label that the metadata name can be read; None where they name none."""
        return None if self.label_contrast is None else self.label_contrast >= LEAST_CONTRAST


def inspect(body: bytes, *, secret: bytes = OPEN_SECRET, face: Path | None = None) -> Inspection | None:
    """Look into a file of whatever origin, within the limits of decoding; None if it is no image.

    `secret` reads the watermark, `face` is the font of the labels where it is not the built-in one.
    """
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            head = (image.format or "", image.mode, image.size)
            packet, profile = image.info.get("xmp"), image.info.get("icc_profile")
    except Exception:  # noqa: BLE001 - decoders raise anything on damaged files
        return None
    pixels, damage = _pixels(body)
    packet = packet.encode() if isinstance(packet, str) else packet if isinstance(packet, bytes) else b""
    ours, told = parse_packet(packet), properties(packet)
    credentials, unread = _credentials(body, f"image/{'jpeg' if head[0] == 'MPO' else head[0].lower()}")
    return Inspection(
        format="jpeg" if head[0] == "MPO" else head[0].lower(),
        mode=head[1],
        width=head[2][0],
        height=head[2][1],
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        profile=_profile_name(profile),
        source_type=next((text.removeprefix(SOURCE_TYPE_URI) for text in told.get(SOURCE_TYPE, ())), None),
        provenance=ours,
        aigc=next(filter(None, map(parse_aigc, told.get(f"{{{gb.NAMESPACE}}}AIGC", ()))), None),
        rights=_rights(told),
        credentials=credentials,
        credentials_unread=unread,
        watermark=None if pixels is None else read_watermark(pixels, secret),
        label_contrast=_label(pixels, ours, face),
        leftovers=leftovers(body),
        damage=damage,
    )


def _pixels(body: bytes) -> tuple[Picture | None, str | None]:
    try:
        return decode(FetchedBytes(body=body, sha256=""), "inspected").pixels, None
    except ServeError as error:
        return None, error.code


def _credentials(body: bytes, content_type: str) -> tuple[Credentials | None, str | None]:
    try:
        return read_credentials(body, content_type), None
    except CredentialsUnready as error:
        return None, str(error)


def _label(pixels: Picture | None, ours: Provenance | None, face: Path | None) -> float | None:
    if ours is None or ours.label is None or pixels is None:
        return None
    try:
        return round(label_contrast(pixels, ours.label, face), 2)
    except LettersMissing:
        return None
    except (ServeError, ValueError):
        return 1.0


def _rights(told: Mapping[str, tuple[str, ...]]) -> SourceRights:
    def first(name: str) -> str | None:
        return next(iter(told.get(name, ())), None)

    return SourceRights(
        creator=told.get(CREATOR, ()),
        copyright_notice=first(NOTICE),
        credit=first(CREDIT),
        usage_terms=first(USAGE_TERMS),
        web_statement=first(WEB_STATEMENT),
    )


def _profile_name(profile: object) -> str | None:
    if not isinstance(profile, bytes) or not profile:
        return None
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except Exception:  # noqa: BLE001 - a stranger's profile may be anything
        return "unreadable"
