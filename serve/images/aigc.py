"""The implicit mark of GB 45438-2025: seven fields as JSON, under the key `AIGC` in the XMP.

Whoever makes an image fills the first four fields, whoever spreads it the other three; we make.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
PREFIX = "TC260"
#: `Label`: the content is certainly generated; 2 would be "possibly", 3 "suspected".
CERTAIN = "1"
_FIELDS = {
    "Label": "label",
    "ContentProducer": "content_producer",
    "ProduceID": "produce_id",
    "ReservedCode1": "reserved_code1",
    "ContentPropagator": "content_propagator",
    "PropagateID": "propagate_id",
    "ReservedCode2": "reserved_code2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aigc:
    """The seven fields, in their order."""

    label: str = CERTAIN
    #: Name or registration code of the service that generated the content.
    content_producer: str
    #: The producer's number of this content.
    produce_id: str
    reserved_code1: str = ""
    content_propagator: str = ""
    propagate_id: str = ""
    reserved_code2: str = ""

    def fields(self) -> dict[str, str]:
        """By the names of the standard."""
        values = asdict(self)
        return {name: values[own] for name, own in _FIELDS.items()}

    def json(self) -> str:
        """One line; the same fields give the same text."""
        return json.dumps(self.fields(), ensure_ascii=False, separators=(",", ":"))


def parse_aigc(text: str) -> Aigc | None:
    """The fields in a JSON text; None unless all seven are there and are texts."""
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or any(not isinstance(data.get(name), str) for name in _FIELDS):
        return None
    return Aigc(**{own: data[name] for name, own in _FIELDS.items()})
