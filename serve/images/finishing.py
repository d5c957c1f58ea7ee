"""The last steps of an image, in the one order in which none undoes another, and the proof on the final bytes.

visible label -> invisible watermark -> encode, with the XMP packet -> sign -> read everything back

Pixels are finished before they are encoded, metadata is written by the encoder itself, and the signature covers all of
it. A file whose marks cannot be read back never leaves: `StageFailed`, and nothing is stored.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from serve.catalog.marks import MarkPolicy, Marks
from serve.errors import OutputTooLarge, StageFailed
from serve.images.aigc import Aigc
from serve.images.credentials import Signer, read_credentials
from serve.images.decoding import decode
from serve.images.encoding import Encoded, encode
from serve.images.label import LEAST_CONTRAST, draw_label, label_contrast
from serve.images.provenance import Provenance, read_provenance
from serve.images.watermark import embed, payload_of, read_watermark
from serve.interfaces import FetchedBytes, Picture

#: Stands where no secret is set: the mark can be read by everybody then.
OPEN_SECRET = b"vitrine"
_NO_POLICY = MarkPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finisher:
    """Makes final files; what it needs for the marks that the policy can ask for, it holds."""

    policy: MarkPolicy = _NO_POLICY
    signer: Signer | None = None
    #: Secret of the invisible watermark.
    secret: bytes = field(default=OPEN_SECRET, repr=False)
    #: Font file of the labels; None for the built-in letters.
    face: Path | None = None

    def finish(
        self,
        pixels: Picture,
        format: str,  # noqa: A002 - the field's own word
        provenance: Provenance,
        marks: Marks,
        *,
        max_bytes: int | None = None,
        quality: int = 92,
    ) -> Encoded:
        """The final file with all its marks, each read back from it. Errors as of `encode`."""
        told = self._told(provenance, marks)
        marked = self._marked(pixels, told)
        room = self.signer.room if marks.c2pa is not None and self.signer is not None else 0
        limit = None if max_bytes is None else max(1, max_bytes - room)
        encoded = encode(marked, format, told, max_bytes=limit, quality=quality)
        if marks.c2pa is not None:
            encoded = self._signed(encoded, told)
        if max_bytes is not None and len(encoded.body) > max_bytes:
            raise OutputTooLarge(f"not under {max_bytes:,} bytes with its signed manifest")
        self.verify(encoded, told, signed=marks.c2pa is not None)
        return encoded

    def verify(self, encoded: Encoded, expected: Provenance, *, signed: bool) -> None:
        """Read every mark back from the final bytes; raise `StageFailed` for the first that is not there."""
        if read_provenance(encoded.body) != expected:
            raise StageFailed("the provenance cannot be read back from the finished file")
        if signed:
            _verify_manifest(encoded, expected)
        if expected.watermark is None and expected.label is None:
            return
        final = decode(FetchedBytes(body=encoded.body, sha256=encoded.sha256), "final").pixels
        if expected.watermark is not None:
            found = read_watermark(final, self.secret, scales=(1.0,))
            if found is None or found.payload != expected.watermark:
                raise StageFailed("the invisible watermark cannot be read back from the finished file")
        if expected.label is not None and label_contrast(final, expected.label, self.face) < LEAST_CONTRAST:
            raise StageFailed("the visible label does not stand out in the finished file")

    def _told(self, provenance: Provenance, marks: Marks) -> Provenance:
        """The provenance that also names the marks."""
        aigc = None
        if marks.aigc_producer is not None:
            aigc = Aigc(content_producer=marks.aigc_producer, produce_id=provenance.key)
        return replace(
            provenance,
            aigc=aigc,
            label=marks.label[0] if marks.label else None,
            watermark=payload_of(provenance.key) if marks.watermark is not None else None,
        )

    def _marked(self, pixels: Picture, told: Provenance) -> Picture:
        if told.label is not None:
            pixels = draw_label(pixels, told.label, self.face)
        return pixels if told.watermark is None else embed(pixels, told.watermark, self.secret)

    def _signed(self, encoded: Encoded, told: Provenance) -> Encoded:
        if self.signer is None:
            raise StageFailed("the image should be signed, and there is no signer")
        body = self.signer.sign(encoded.body, encoded.content_type, told)
        return replace(encoded, body=body, sha256=hashlib.sha256(body).hexdigest())


def _verify_manifest(encoded: Encoded, expected: Provenance) -> None:
    found = read_credentials(encoded.body, encoded.content_type)
    if found is None or not found.valid:
        why = "is missing" if found is None else f"is not valid: {', '.join(found.failures)}"
        raise StageFailed(f"the signed manifest of the finished file {why}")
    if found.source_types != (expected.digital_source_type,):
        raise StageFailed("the signed manifest names another digital source type")
