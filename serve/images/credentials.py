"""Content Credentials: a signed C2PA manifest in the file, through the library of the extra `c2pa`.

The manifest is the last thing that is written, for its signature covers all other bytes. It holds no thumbnail, and
nothing is fetched for it, neither when it is written nor when it is read. Manifests carry the time and random numbers,
so signed files are not the same byte for byte.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import Any

from PIL import Image

from serve.errors import StageFailed
from serve.images.provenance import SOURCE_TYPE_URI, Provenance

#: Not a fault of a manifest: whose certificates are trusted is for the reader to say.
UNTRUSTED = "signingCredential.untrusted"
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
}
_NOBODY: Any = {"models": (), "seed": 0, "key": "probe"}
#: Bytes of a manifest besides signature and certificates.
_MANIFEST_BYTES = 4096


class CredentialsUnready(ValueError):
    """Images should be signed, but library, certificate or key are missing or do not fit each other."""


def _probe() -> bytes:
    """A file to try a signature on."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


_PROBE = _probe()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a manifest says, as read from a file."""

    #: The signature holds and the bytes are those that were signed.
    valid: bool
    #: Whether the certificate chain ends in a trusted one; without a list of those, never.
    trusted: bool
    #: Codes of the C2PA specification for what is wrong.
    failures: tuple[str, ...]
    signer: str | None
    issuer: str | None
    generator: str | None
    #: IPTC codes that the actions name, in their order.
    source_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with one certificate. Raise `CredentialsUnready` if it cannot."""

    #: PEM: the signing certificate first, then its chain.
    certificates: bytes = field(repr=False)
    #: PEM, PKCS #8.
    key: bytes = field(repr=False)
    algorithm: str = "es256"

    def __post_init__(self) -> None:
        library = _library()
        try:
            # The library takes a key that belongs to another certificate; only the signature tells.
            signed = self.sign(_PROBE, "image/png", Provenance(digital_source_type="digitalCapture", **_NOBODY))
        except (library.C2paError, StageFailed) as error:
            raise CredentialsUnready(f"certificate and key do not sign: {error}") from None
        found = read_credentials(signed, "image/png")
        if found is None or not found.valid:
            raise CredentialsUnready(f"certificate and key do not fit: {found.failures if found else 'no manifest'}")

    @property
    def fingerprint(self) -> str:
        """Stands for the certificates in object keys."""
        return hashlib.sha256(self.certificates).hexdigest()[:16]

    @property
    def room(self) -> int:
        """Bytes that a manifest may add to a file."""
        return _MANIFEST_BYTES + 2 * len(self.certificates)

    def sign(self, body: bytes, content_type: str, provenance: Provenance) -> bytes:
        """The file with its manifest; raise `StageFailed`."""
        library = _library()
        signed = io.BytesIO()
        try:
            # A signer of its own for every file: they are cheap, and threads share nothing.
            with (
                library.Context.from_dict(_SETTINGS) as context,
                self._native(library) as native,
                library.Builder.from_json(json.dumps(_manifest(provenance)), context=context) as builder,
            ):
                builder.sign(native, content_type, io.BytesIO(body), signed)
        except library.C2paError as error:
            raise StageFailed(f"the image could not be signed: {error}") from error
        return signed.getvalue()

    def _native(self, library: Any) -> Any:
        info = library.C2paSignerInfo(
            alg=self.algorithm.encode(), sign_cert=self.certificates, private_key=self.key, ta_url=None
        )
        return library.Signer.from_info(info)


def read_credentials(body: bytes, content_type: str) -> Credentials | None:
    """The manifest of a file, checked against its bytes; None if it has none. Nothing is fetched.

    Raise `CredentialsUnready` where the library is missing. A damaged manifest is one that is not valid.
    """
    library = _library()
    try:
        with (
            library.Context.from_dict(_SETTINGS) as context,
            library.Reader(content_type, io.BytesIO(body), context=context) as reader,
        ):
            state, report = reader.get_validation_state(), json.loads(reader.json())
    except library.C2paError as error:
        text = str(error)
        if text.startswith(("ManifestNotFound", "NotSupported")):
            return None
        return _broken(text.split(":", 1)[0])
    except ValueError:
        return _broken("unreadable")
    failures = tuple(str(one.get("code")) for one in report.get("validation_status", []))
    active = report.get("manifests", {}).get(report.get("active_manifest"), {})
    signature = active.get("signature_info", {})
    return Credentials(
        valid=state in {"Valid", "Trusted"} and not set(failures) - {UNTRUSTED},
        trusted=state == "Trusted",
        failures=failures,
        signer=signature.get("common_name"),
        issuer=signature.get("issuer"),
        generator=next((one.get("name") for one in active.get("claim_generator_info", [])), None),
        source_types=tuple(_source_types(active)),
    )


def _broken(code: str) -> Credentials:
    return Credentials(
        valid=False, trusted=False, failures=(code,), signer=None, issuer=None, generator=None, source_types=()
    )


def _source_types(manifest: dict[str, Any]) -> list[str]:
    return [
        str(action["digitalSourceType"]).removeprefix(SOURCE_TYPE_URI)
        for assertion in manifest.get("assertions", [])
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
        if "digitalSourceType" in action
    ]


def _manifest(provenance: Provenance) -> dict[str, Any]:
    source_type = SOURCE_TYPE_URI + provenance.digital_source_type
    made = {"action": "c2pa.created", "digitalSourceType": source_type}
    edits = [
        {"action": "c2pa.edited", "softwareAgent": {"name": model.name, "version": model.version}}
        for model in provenance.models
    ]
    return {
        "claim_generator_info": [{"name": "Vitrine", "version": version("vitrine")}],
        "title": provenance.key.rsplit("/", 1)[-1],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [made, *edits]}}],
    }


def _library() -> Any:
    try:
        return import_module("c2pa")
    except ImportError as error:
        raise CredentialsUnready("signing images needs the extra `c2pa`") from error
