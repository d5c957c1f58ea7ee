"""Any Pillow picture to opaque 8-bit sRGB: range of deep pixels, palettes, ICC profiles, CMYK, alpha.

Pillow's own `convert` clips 16-bit grey to white, reveals colours hidden under alpha and drops ICC profiles; each step
here stands for one of these.
"""

import io

import numpy as np
from PIL import Image, ImageCms

_WHITE = (255, 255, 255, 255)
_PROFILE_MODES = {"RGB": ("RGB", "RGBA"), "GRAY": ("L",), "CMYK": ("CMYK",), "Lab": ("LAB",)}
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_SRGB = ImageCms.createProfile("sRGB")


def to_srgb(image: Image.Image, flags: list[str]) -> Image.Image:
    """The picture as mode RGB in sRGB on white; what had to be done is added to `flags`."""
    alpha_in_info = "transparency" in image.info
    profile = image.info.get("icc_profile")
    image = _eight_bit(image, flags)
    if image.mode in {"P", "PA", "1", "YCbCr", "HSV", "La", "RGBa", "RGBX"} or alpha_in_info:
        image = _plain(image, alpha_in_info)
    grey_alpha = image.getchannel("A") if image.mode == "LA" else None
    if grey_alpha is not None:
        image = image.getchannel("L")
    if profile:
        image = _apply_profile(image, profile, flags)
    if image.mode == "LAB":
        image = _transform(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if image.mode == "CMYK":
        flags.append("cmyk_without_profile")
    if grey_alpha is not None:
        image = image.convert("RGB")
        image.putalpha(grey_alpha)
    return _flatten(image, flags)


def _eight_bit(image: Image.Image, flags: list[str]) -> Image.Image:
    """Scale 16-bit, 32-bit and float grey by their range to mode L."""
    if not (image.mode in {"I", "F"} or image.mode.startswith("I;16")):
        return image
    deep = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = _range(image.mode, deep)
    flags.append("range_scaled")
    scaled = np.clip((deep - low) * (255.0 / (high - low)), 0, 255)
    shallow = Image.fromarray(np.rint(scaled).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        alpha = np.where(deep == key, 0, 255).astype(np.uint8)
        shallow = Image.merge("LA", (shallow, Image.fromarray(alpha)))
    return shallow


def _range(mode: str, deep: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> tuple[float, float]:
    """The nominal range of the values: that of the type where it is known, else the smallest usual one that holds."""
    low, high = float(deep.min()), float(deep.max())
    usual = (65535.0,) if mode != "F" else (1.0, 255.0, 65535.0)
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


def _apply_profile(image: Image.Image, raw: bytes, flags: list[str]) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(raw))
        space = profile.profile.xcolor_space.strip()
        if "srgb" in (profile.profile.profile_description or "").lower() and space == "RGB":
            return image
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if image.mode not in _PROFILE_MODES.get(space, ()):
            flags.append("icc_broken")
            return image
        converted = _transform(image, profile)
    except Exception:  # noqa: BLE001 - littleCMS raises several kinds; a broken profile must not cost the picture
        flags.append("icc_broken")
        return image
    flags.append("icc_converted")
    return converted


def _transform(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    done = ImageCms.profileToProfile(
        image, profile, _SRGB, _INTENT, mode, inPlace=False, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
    )
    if done is None:
        raise ValueError("no transform")
    return done


def _flatten(image: Image.Image, flags: list[str]) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    if image.getchannel("A").getextrema() != (255, 255):
        flags.append("alpha_flattened")
    return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
