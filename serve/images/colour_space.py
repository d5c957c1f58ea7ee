"""Any Pillow picture to opaque 8-bit sRGB: range of deep pixels, palettes, ICC profiles, CMYK, alpha.

Pillow's own `convert` clips 16-bit grey to white, reveals colours hidden under alpha and drops ICC profiles; each step
here stands for one of these. Pictures are converted in bands of rows: a whole one at every step would need several
times its memory, and bands stay in the caches.
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

_PROFILE_MODES = {"RGB": ("RGB", "RGBA"), "GRAY": ("L",), "CMYK": ("CMYK",), "Lab": ("LAB",)}
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_SRGB = ImageCms.createProfile("sRGB")
_BAND_PIXELS = 2**18

Transform = ImageCms.ImageCmsTransform


def bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The rows of a loaded picture in order: the first row of each band, and the band."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


class ToSrgb:
    """Turns the bands of one picture into sRGB on a ground; what had to be done is added to `flags`, once each."""

    def __init__(self, image: Image.Image, flags: list[str], ground: tuple[int, int, int] = (255, 255, 255)) -> None:
        self._flags = flags
        self._ground = (*ground, 255)
        self._profile: bytes | None = image.info.get("icc_profile") or None
        self._range = _range(image) if _deep(image) else None
        self._transforms: dict[str, Transform] = {}

    def __call__(self, band: Image.Image) -> Image.Image:
        """The band as mode RGB."""
        alpha_in_info = "transparency" in band.info
        band = self._eight_bit(band)
        if band.mode in {"P", "PA", "1", "YCbCr", "HSV", "La", "RGBa", "RGBX"} or alpha_in_info:
            band = _plain(band, alpha_in_info)
        grey_alpha = band.getchannel("A") if band.mode == "LA" else None
        if grey_alpha is not None:
            band = band.getchannel("L")
        if self._profile is not None:
            band = self._apply_profile(band, self._profile)
        if band.mode == "LAB":
            lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
            band = self._transformed(band, lab)
        if band.mode == "CMYK":
            self._note("cmyk_without_profile")
        if grey_alpha is not None:
            band = band.convert("RGB")
            band.putalpha(grey_alpha)
        return self._flatten(band)

    def _note(self, flag: str) -> None:
        if flag not in self._flags:
            self._flags.append(flag)

    def _eight_bit(self, band: Image.Image) -> Image.Image:
        """Scale 16-bit, 32-bit and float grey by their range to mode L."""
        if self._range is None:
            return band
        low, high = self._range
        deep = _numbers(band)
        self._note("range_scaled")
        scaled = np.clip((deep - low) * (255.0 / (high - low)), 0, 255)
        shallow = Image.fromarray(np.rint(scaled).astype(np.uint8))
        key = band.info.get("transparency")
        if isinstance(key, int):
            alpha = np.where(deep == key, 0, 255).astype(np.uint8)
            shallow = Image.merge("LA", (shallow, Image.fromarray(alpha)))
        return shallow

    def _apply_profile(self, band: Image.Image, raw: bytes) -> Image.Image:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(raw))
            space = profile.profile.xcolor_space.strip()
            if "srgb" in (profile.profile.profile_description or "").lower() and space == "RGB":
                self._profile = None
                return band
            if space == "RGB" and band.mode == "L":
                band = band.convert("RGB")
            converted = self._transformed(band, profile) if band.mode in _PROFILE_MODES.get(space, ()) else None
        except Exception:  # noqa: BLE001 - littleCMS raises several kinds; a broken profile must not cost the picture
            converted = None
        if converted is None:
            self._profile = None
            self._note("icc_broken")
            return band
        self._note("icc_converted")
        return converted

    def _transformed(self, band: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
        transform = self._transforms.get(band.mode)
        if transform is None:
            mode = "RGBA" if band.mode == "RGBA" else "RGB"
            transform = ImageCms.buildTransform(
                profile, _SRGB, band.mode, mode, _INTENT, ImageCms.Flags.BLACKPOINTCOMPENSATION
            )
            self._transforms[band.mode] = transform
        done = ImageCms.applyTransform(band, transform)
        if done is None:
            raise ValueError("no transform")
        return done

    def _flatten(self, band: Image.Image) -> Image.Image:
        if band.mode != "RGBA":
            return band if band.mode == "RGB" else band.convert("RGB")
        if band.getchannel("A").getextrema() == (255, 255):
            return band.convert("RGB")
        self._note("alpha_flattened")
        return Image.alpha_composite(Image.new("RGBA", band.size, self._ground), band).convert("RGB")


def _deep(image: Image.Image) -> bool:
    return image.mode in {"I", "F"} or image.mode.startswith("I;16")


def _numbers(band: Image.Image) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return np.nan_to_num(np.asarray(band).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _range(image: Image.Image) -> tuple[float, float]:
    """The nominal range of the values: that of the type where it is known, else the smallest usual one that holds."""
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    ends = [(float(deep.min()), float(deep.max())) for deep in (_numbers(band) for _, band in bands(image))]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    usual = (65535.0,) if image.mode != "F" else (1.0, 255.0, 65535.0)
    for top in usual:
        if low >= 0 and high <= top:
            return 0.0, top
    return low, max(high, low + 1.0)


def _plain(image: Image.Image, alpha_in_info: bool) -> Image.Image:
    """Palettes, bit maps and odd layouts to L, RGB, LA or RGBA."""
    if image.mode in {"La", "LA"}:
        return image.convert("LA")
    if alpha_in_info or image.mode in {"PA", "RGBa", "RGBA"} or (image.mode == "P" and image.has_transparency_data):
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")
