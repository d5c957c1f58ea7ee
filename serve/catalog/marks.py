"""Which marks of its making an output must carry, from its channels and the settings; pure.

What a file always says, its IPTC digital source type, is no mark in this sense: it is never left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from serve.catalog.channel import Channel
from serve.errors import MarkImpossible

#: Source types of pictures that show what no camera saw: those must be told apart where a law asks for it.
MADE = frozenset({"compositeSynthetic", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"})
#: Raised when the same label text or the same payload gives other pixels.
LABEL_VERSION = 1
WATERMARK_VERSION = 1
#: Shorter sides hold too little of the invisible watermark.
WATERMARK_MIN_SIDE = 400
#: What the visible label says, by language; `DEFAULT_LANGUAGE` for all others.
LABEL_TEXTS: Mapping[str, str] = MappingProxyType({"en": "AI-generated", "zh": "AI生成"})
DEFAULT_LANGUAGE = "en"


#: What is kept of the source photo's own metadata.
Kept = Literal["strip", "keep_rights", "keep_provenance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPolicy:
    """What the settings say about marks, beyond what channels demand."""

    #: By language in small letters; `DEFAULT_LANGUAGE` is among them.
    label_texts: Mapping[str, str] = field(default_factory=lambda: LABEL_TEXTS)
    #: Stands for the font of the labels; empty for the built-in one.
    label_face: str = ""
    #: Who produces content, as `ContentProducer` of GB 45438 names it; None where no channel asks for it.
    aigc_producer: str | None = None
    #: Sign every image, and not only those whose channel asks for it.
    c2pa: bool = False
    #: Stands for the certificate that signs; empty where none does.
    signer: str = ""
    #: Put the invisible watermark into every image.
    watermark: bool = False
    #: Stands for the secret of the watermark.
    watermark_code: str = ""
    metadata: Kept = "strip"

    def label_for(self, *languages: str | None) -> str:
        """The label's text in the first of these languages that has one; `zh-Hans-CN` also matches `zh`."""
        for language in filter(None, languages):
            parts = language.replace("_", "-").lower().split("-")
            for count in range(len(parts), 0, -1):
                if (name := "-".join(parts[:count])) in self.label_texts:
                    return self.label_texts[name]
        return self.label_texts[DEFAULT_LANGUAGE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The marks of one output. None: not this one."""

    #: Text of the visible label, and the font that draws it.
    label: tuple[str, str] | None = None
    #: `ContentProducer` of the `AIGC` metadata.
    aigc_producer: str | None = None
    #: Stands for the certificate that signs the manifest.
    c2pa: str | None = None
    #: Stands for the secret of the invisible watermark.
    watermark: str | None = None
    #: What is kept of the source's metadata; no mark of ours, but it is written with them.
    metadata: Kept = "strip"

    def identity(self) -> dict[str, object]:
        """What enters the object key: only marks that are there, so that keys of unmarked images stay as they are."""
        return {
            **({"label": [LABEL_VERSION, *self.label]} if self.label else {}),
            **({"aigc": self.aigc_producer} if self.aigc_producer is not None else {}),
            **({"c2pa": self.c2pa} if self.c2pa is not None else {}),
            **({"watermark": [WATERMARK_VERSION, self.watermark]} if self.watermark is not None else {}),
            **({"metadata": self.metadata} if self.metadata != "strip" else {}),
        }

    @property
    def names(self) -> list[str]:
        """What results call them."""
        there = {
            "label": self.label,
            "aigc": self.aigc_producer,
            "watermark": self.watermark,
            "c2pa": self.c2pa,
        }
        return [name for name, value in there.items() if value is not None]


NO_MARKS = Marks()


def marks_for(
    channels: Sequence[Channel],
    digital_source_type: str,
    size: tuple[int, int],
    policy: MarkPolicy,
    locale: str | None = None,
) -> Marks:
    """The marks that the channels and the settings ask for together.

    Label and `AIGC` are for pictures of `MADE` kinds alone. Raise `MarkImpossible` if one channel demands a visible
    label that another forbids, if the picture is too small for a watermark, or if the settings do not say who produces
    or signs.
    """
    asked = [channel.disclosure for channel in channels]
    made = digital_source_type in MADE
    watermark = policy.watermark or any(one.invisible_watermark for one in asked)
    if watermark and min(size) < WATERMARK_MIN_SIDE:
        raise MarkImpossible(f"{size[0]} x {size[1]} pixels hold no watermark: {WATERMARK_MIN_SIDE} are needed")
    aigc, signed = made and any(one.implicit_aigc for one in asked), policy.c2pa or any(one.c2pa for one in asked)
    if (aigc and policy.aigc_producer is None) or (signed and not policy.signer):
        raise MarkImpossible("the settings name no producer for AIGC" if aigc else "the settings name no signer")
    return Marks(
        label=_label(channels, policy, locale) if made else None,
        aigc_producer=policy.aigc_producer if aigc else None,
        c2pa=policy.signer if signed else None,
        watermark=policy.watermark_code if watermark else None,
        metadata=policy.metadata,
    )


def _label(channels: Sequence[Channel], policy: MarkPolicy, locale: str | None) -> tuple[str, str] | None:
    demand = [channel for channel in channels if channel.disclosure.visible_label == "required"]
    if not demand:
        return None
    refuse = [channel.channel for channel in channels if forbids_label(channel)]
    if refuse:
        names = ", ".join(channel.channel for channel in demand)
        raise MarkImpossible(f"{names} demands a visible label, which {', '.join(refuse)} forbids: make two variants")
    return policy.label_for(*(channel.disclosure.label_language for channel in demand), locale), policy.label_face


def forbids_label(channel: Channel) -> bool:
    """Whether nothing may be written on the channel's pictures, a label included."""
    text = channel.forbidden is not None and "text" in channel.forbidden.value
    return text or channel.disclosure.visible_label == "forbidden"
