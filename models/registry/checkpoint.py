"""Loading of weights: safetensors only, listed in a manifest, checked against their sha256."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor, nn

from models.registry.manifest import Found, WeightsEntry, find_weights
from models.registry.sources import Place, Source, WeightsError, read_bytes, require_hash

Net = TypeVar("Net", bound=nn.Module)
#: Stored to save room; computed with in float32.
_NARROW = (torch.float16, torch.bfloat16)
#: What a pickle starts with: a file of torch, which is a zip, or a bare one.
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80")
_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Tensors that were found as the manifest describes them; those stored in 16 bits are widened to float32."""

    name: str
    entry: WeightsEntry
    tensors: dict[str, Tensor]


def load_weights(name: str, architecture: str, source: Source | Place | None = None) -> Weights:
    """Find, read and check weights, see `find_weights`; raise `WeightsError` where anything is amiss."""
    return read_weights(find_weights(name, architecture, source))


def read_weights(found: Found) -> Weights:
    """The tensors of an entry; raise `WeightsError` where its file is missing, altered or no safetensors."""
    body = read_bytes(found.file, found.read)
    # The bytes that were checked are the bytes that are parsed.
    require_hash(found.file, body, found.entry.sha256, "the manifest")
    try:
        tensors = parse_safetensors(body)
    except SafetensorError as error:
        hint = ", but a pickle, which is never opened" if body.startswith(_PICKLE_STARTS) else f": {error}"
        raise WeightsError(f"{found.file} is not a safetensors file{hint}") from error
    widened = {key: tensor.float() if tensor.dtype in _NARROW else tensor for key, tensor in tensors.items()}
    return Weights(name=found.name, entry=found.entry, tensors=widened)


def fitted(weights: Weights, make: Callable[[], Net]) -> Net:
    """The net that `make` builds, on the CPU with these weights, ready to evaluate.

    Raise `WeightsError` with all that does not fit: `make` cannot use the configuration, or tensors are unknown,
    missing, of another shape or type.
    """
    try:
        net = make()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _misfit(weights, f"its configuration cannot be used: {error}") from error
    if faults := _faults(net.state_dict(), weights.tensors):
        raise _misfit(weights, "; ".join(faults))
    net.load_state_dict(weights.tensors)
    return net.eval()


def _misfit(weights: Weights, reason: str) -> WeightsError:
    entry = weights.entry
    return WeightsError(f"{entry.file} does not fit its architecture {entry.architecture!r}: {reason}")


def _faults(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    pairs = [(key, wanted[key], given[key]) for key in wanted if key in given]
    shapes = [f"{key} is {_of(b)}, the net has {_of(a)}" for key, a, b in pairs if _of(a) != _of(b)]
    found = {
        "missing tensors": sorted(wanted.keys() - given.keys()),
        "unknown tensors": sorted(given.keys() - wanted.keys()),
        "wrong tensors": shapes,
    }
    return [f"{kind}: {_shortened(names)}" for kind, names in found.items() if names]


def _of(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
