"""Ways of running a net: each makes a call for one photo out of a net and its inputs."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy

import torch
from torch import Tensor, nn

from models.bench.nets import Subject
from models.compute.fold import folded

Call = Callable[[], object]
#: What all others are held against: the net as it is, channel by channel in memory, in float32.
PLAIN = "plain"


def plain(subject: Subject, device: torch.device) -> Call:
    """Eager, float32."""
    return _call(deepcopy(subject.net), subject.inputs, device, torch.contiguous_format)


def channels_last(subject: Subject, device: torch.device) -> Call:
    """The channels of a pixel beside each other in memory."""
    return _call(deepcopy(subject.net), subject.inputs, device)


def without_norms(subject: Subject, device: torch.device) -> Call:
    """Batch norms folded into their convolutions, channels last."""
    return _call(folded(subject.net), subject.inputs, device)


def bf16(subject: Subject, device: torch.device) -> Call:
    """Convolutions in bfloat16, batch norms folded, channels last."""
    return _call(folded(subject.net), subject.inputs, device, narrow=True)


def compiled(subject: Subject, device: torch.device) -> Call:
    """torch.compile for this very shape, batch norms folded, channels last; bfloat16 on CUDA."""
    net = torch.compile(folded(subject.net), dynamic=False)
    return _call(net, subject.inputs, device, narrow=device.type == "cuda")  # type: ignore[arg-type]


MODES: Mapping[str, Callable[[Subject, torch.device], Call]] = {
    PLAIN: plain,
    "channels last": channels_last,
    "folded": without_norms,
    "bf16": bf16,
    "compiled": compiled,
}


def _call(
    net: nn.Module,
    inputs: tuple[Tensor, ...],
    device: torch.device,
    layout: torch.memory_format = torch.channels_last,
    *,
    narrow: bool = False,
) -> Call:
    net = net.eval().to(device, memory_format=layout)  # type: ignore[call-overload]
    given = [each.to(device, memory_format=layout) if each.ndim == 4 else each.to(device) for each in inputs]

    def call() -> object:
        context: AbstractContextManager[object] = (
            torch.autocast(device.type, torch.bfloat16) if narrow else nullcontext()
        )
        with torch.inference_mode(), context:
            return net(*given)

    return call
