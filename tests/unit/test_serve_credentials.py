"""Content Credentials: signed with a chain of our own, read back by the library, broken by any change."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from serve.errors import StageFailed
from serve.images.credentials import CredentialsUnready, Signer, read_credentials
from serve.images.encoding import encode
from serve.images.provenance import Provenance, read_provenance
from serve.schemas.result import ModelRef
from tests.support.certificates import chain

pytest.importorskip("c2pa", reason="the extra `c2pa` is not installed")

FORMATS = ["jpeg", "png", "webp", "avif"]
PROVENANCE = Provenance(
    digital_source_type="compositeWithTrainedAlgorithmicMedia",
    models=(ModelRef(name="Stil <é>", version="2"), ModelRef(name="cutout", version="1")),
    seed=3,
    key="shop/abcdef.jpg",
)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(chain().certificates, chain().key)


@pytest.fixture(scope="module")
def plain() -> dict[str, bytes]:
    pixels = np.random.default_rng(4).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    return {name: encode(pixels, name, PROVENANCE).body for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_a_signed_file_says_who_made_it_and_how(name: str, signer: Signer, plain: dict[str, bytes]) -> None:
    body = signer.sign(plain[name], f"image/{name}", PROVENANCE)
    found = read_credentials(body, f"image/{name}")
    assert found is not None
    assert found.valid
    assert not found.trusted
    assert found.failures == ("signingCredential.untrusted",)
    assert (found.signer, found.issuer, found.generator) == ("Image signing", "Shop Studio", "Vitrine")
    assert found.source_types == (PROVENANCE.digital_source_type,)
    # No thumbnail: a manifest is a few kilobytes, whatever the picture.
    assert len(body) - len(plain[name]) <= signer.room
    assert read_provenance(body) == PROVENANCE
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        assert image.size == (120, 90)


@pytest.mark.parametrize("name", FORMATS)
def test_a_changed_byte_breaks_the_signature(name: str, signer: Signer, plain: dict[str, bytes]) -> None:
    body = bytearray(signer.sign(plain[name], f"image/{name}", PROVENANCE))
    # Early in the picture for the formats that end with the manifest, late in it for the others: never the manifest.
    place = body.find(plain[name][-400:-200])
    assert place > 0
    body[place + 50] ^= 1
    found = read_credentials(bytes(body), f"image/{name}")
    assert found is not None
    assert not found.valid
    assert any("mismatch" in code for code in found.failures)


@pytest.mark.parametrize("name", FORMATS)
def test_pillow_drops_the_manifest_when_it_saves_again(name: str, signer: Signer, plain: dict[str, bytes]) -> None:
    """The reason why signing comes last."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(signer.sign(plain[name], f"image/{name}", PROVENANCE))) as image:
        image.save(buffer, name.upper())
    assert read_credentials(buffer.getvalue(), f"image/{name}") is None
    assert read_provenance(buffer.getvalue()) is None


@pytest.mark.parametrize("name", FORMATS)
def test_unsigned_files_have_none(name: str, plain: dict[str, bytes]) -> None:
    assert read_credentials(plain[name], f"image/{name}") is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "image/png"), (b"junk", "image/jpeg"), (b"GIF89a", "image/gif"), (b"BM", "image/bmp"), (b"x", "text/plain")],
)
def test_what_is_no_image_has_no_valid_manifest(body: bytes, kind: str) -> None:
    found = read_credentials(body, kind)
    assert found is None or not found.valid


def test_a_truncated_signed_file_is_not_valid(signer: Signer, plain: dict[str, bytes]) -> None:
    body = signer.sign(plain["jpeg"], "image/jpeg", PROVENANCE)
    for length in range(0, len(body), len(body) // 20):
        found = read_credentials(body[:length], "image/jpeg")
        assert found is None or not found.valid


@pytest.mark.parametrize("broken", ["certificates", "key", "algorithm", "another"])
def test_what_cannot_sign_is_told_at_the_start(broken: str) -> None:
    own = chain()
    certificates = b"no certificate" if broken == "certificates" else own.certificates
    key = {"key": b"no key", "another": chain("Somebody else").key}.get(broken, own.key)
    with pytest.raises(CredentialsUnready) as told:
        Signer(certificates, key, "ed25519" if broken == "algorithm" else "es256")
    assert "PRIVATE" not in str(told.value)


def test_the_key_is_not_shown(signer: Signer) -> None:
    assert "PRIVATE" not in repr(signer)
    assert chain().key.decode()[30:80] not in repr(signer)


def test_what_cannot_be_signed_is_an_error(signer: Signer) -> None:
    with pytest.raises(StageFailed, match="could not be signed"):
        signer.sign(b"no picture", "image/jpeg", PROVENANCE)


def test_without_the_extra_one_is_told_so(monkeypatch: pytest.MonkeyPatch, plain: dict[str, bytes]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    with pytest.raises(CredentialsUnready, match="extra `c2pa`"):
        Signer(chain().certificates, chain().key)
    with pytest.raises(CredentialsUnready, match="extra `c2pa`"):
        read_credentials(plain["png"], "image/png")


class _Counting(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *args: object) -> None: ...


def test_a_manifest_elsewhere_is_never_fetched() -> None:
    """A stranger's file may name any address as the place of its manifest."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        f'dcterms:provenance="http://127.0.0.1:{server.server_port}/manifest.c2pa"/></rdf:RDF></x:xmpmeta>'
    )
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "JPEG", xmp=packet.encode())
    try:
        found = read_credentials(buffer.getvalue(), "image/jpeg")
    finally:
        server.shutdown()
        server.server_close()
    assert _Counting.asked == []
    assert found is None or not found.valid
    # The library saw the address, so it would have asked.
    assert "remote" in str(found).lower()
