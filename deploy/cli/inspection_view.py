"""How an inspected image is shown, to people and to programs."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serve.images.credentials import UNTRUSTED, Credentials
from serve.images.inspection import Inspection

_NONE = Text("none", style="dim")
_CHARS = 300
Row = tuple[str, Text]


def facts(name: str, one: Inspection | None) -> dict[str, Any]:
    """An image for programs."""
    if one is None:
        return {"image": name, "ok": False}
    ours = one.provenance
    return {
        "image": name,
        "ok": one.damage is None,
        "damage": one.damage,
        "format": one.format,
        "width": one.width,
        "height": one.height,
        "mode": one.mode,
        "bytes": one.bytes,
        "sha256": one.sha256,
        "profile": one.profile,
        "digital_source_type": one.source_type,
        "meaning": one.meaning,
        "key": ours.key if ours else None,
        "seed": ours.seed if ours else None,
        "source_sha256": ours.source if ours else None,
        "source_said": ours.source_type if ours else None,
        "models": [model.model_dump() for model in ours.models] if ours else [],
        "aigc": one.aigc.fields() if one.aigc else None,
        "label": None
        if ours is None or ours.label is None
        else {"text": ours.label, "contrast": one.label_contrast, "stands_out": one.label_stands_out},
        "watermark": None
        if one.watermark is None
        else {**asdict(one.watermark), "payload": f"{one.watermark.payload:08x}", "fits_key": one.watermark_fits},
        "c2pa": asdict(one.credentials) if one.credentials else None,
        "c2pa_unread": one.credentials_unread,
        "rights": asdict(one.rights) if one.rights else None,
        "leftovers": list(one.leftovers),
    }


def shown(name: str, one: Inspection) -> RenderableType:
    """An image for people."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in _rows(one):
        table.add_row(Text(row[0], style="dim"), row[1])
    return Group(Text(name, style="bold"), table, "")


def _rows(one: Inspection) -> Iterator[Row]:
    yield "picture", Text(f"{one.format} {one.width} x {one.height} {one.mode}, {one.bytes:,} bytes")
    if one.damage is not None:
        yield "damage", Text(one.damage, style="bold red")
    yield "profile", _words(one.profile)
    yield "source type", _words(one.source_type and f"{one.source_type}: {one.meaning}")
    ours = one.provenance
    if ours is not None:
        yield "key", _words(ours.key)
        yield "seed", _words(str(ours.seed))
        yield "models", _words(", ".join(f"{model.name} {model.version}" for model in ours.models))
        if ours.source is not None:
            yield "made of", _words(f"{ours.source}, {ours.source_type or 'which does not say how it was made'}")
    fields = one.aigc.fields() if one.aigc else {}
    yield "AIGC", _words(", ".join(f"{name} {text or '-'}" for name, text in fields.items()))
    yield "visible label", _label(one)
    yield "watermark", _watermark(one)
    yield "C2PA", _credentials(one.credentials, one.credentials_unread)
    yield from _rights(one)
    yield "left in it", Text(", ".join(one.leftovers), style="yellow") if one.leftovers else Text("nothing")


def _label(one: Inspection) -> Text:
    if one.provenance is None or one.provenance.label is None:
        return _NONE
    if one.label_contrast is None:
        return Text(f"{one.provenance.label}: not looked for, VITRINE_SERVE_LABEL_FONT has its letters", style="yellow")
    words = f"{one.provenance.label}, contrast {one.label_contrast} : 1"
    return _good(words) if one.label_stands_out else _bad(f"{one.provenance.label}: not to be seen")


def _watermark(one: Inspection) -> Text:
    mark, ours = one.watermark, one.provenance
    if mark is None:
        missing = ours is not None and ours.watermark is not None
        return _bad("recorded, but not in the picture") if missing else _NONE
    words = f"{mark.payload:08x}, strength {mark.strength:.1f}, at {mark.scale:.2f} of its size"
    if ours is None:
        return Text(f"{words}; no key to hold it against")
    return _good(f"{words}; that of the key") if one.watermark_fits else _bad(f"{words}; of another key")


def _credentials(found: Credentials | None, unread: str | None) -> Text:
    if unread is not None:
        return Text(f"not looked for: {unread}", style="yellow")
    if found is None:
        return _NONE
    if not found.valid:
        return _bad(f"not valid: {', '.join(code for code in found.failures if code != UNTRUSTED)}")
    trust = "trusted" if found.trusted else "certificate on no list of trusted ones"
    types = ", ".join(found.source_types)
    return _good(f"valid, signed by {found.signer} ({found.issuer}) with {found.generator}: {types}; {trust}")


def _rights(one: Inspection) -> Iterator[Row]:
    rights = one.rights
    for name, text in (
        ("creator", ", ".join(rights.creator) or None),
        ("copyright", rights.copyright_notice),
        ("credit", rights.credit),
        ("usage terms", rights.usage_terms),
        ("rights page", rights.web_statement),
    ):
        if text is not None:
            yield name, _words(text)


def _words(text: str | None) -> Text:
    """A stranger's words: without control characters, which a terminal would obey."""
    if not text:
        return _NONE
    return Text("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_CHARS]))


def _good(words: str) -> Text:
    return Text(_words(words).plain, style="green")


def _bad(words: str) -> Text:
    return Text(_words(words).plain, style="bold red")
