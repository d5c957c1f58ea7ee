"""What is known of a finished file when it is held against a channel."""

from dataclasses import dataclass

#: File suffixes of each format, as channels take them for the real one.
SUFFIXES_OF = {
    "jpeg": (".jpg", ".jpeg"),
    "png": (".png",),
    "webp": (".webp",),
    "avif": (".avif",),
    "gif": (".gif",),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp",),
    "heic": (".heic", ".heif"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What is known of a finished file when it is held against a channel profile. None: it was not measured."""

    width: int
    height: int
    format: str
    bytes: int
    digital_source_type: str
    #: Share of the background that is pure white, 0..1.
    whiteness: float | None = None
    #: Share of the frame's limiting side that the product takes, 0..1.
    fill: float | None = None
    #: What operations have drawn on the picture: `text`, `logo`, `watermark`, `border`.
    added: frozenset[str] = frozenset()
    #: Channels and bits, such as `RGB 8`.
    colour: str | None = None
    #: Whether the file holds more than one picture, moving or not.
    animated: bool = False
    #: 1..100, of a JPEG.
    jpeg_quality: int | None = None
    #: Width of a drawn frame as a share of the shorter side; 0 without one.
    border: float | None = None
    #: Lines of text that do not belong to the product.
    text: int | None = None
    #: How much the picture looks like one with a watermark all over it, 0..1 (`models.quality.overlays`).
    watermark: float | None = None
    #: Suffix of the file's name or key, with the dot.
    suffix: str | None = None
    #: The address under which the channel is to fetch it.
    url: str | None = None
