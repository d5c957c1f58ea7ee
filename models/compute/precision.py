"""In which precision the served nets compute."""

from contextlib import AbstractContextManager

import torch


def narrow(device: torch.device) -> AbstractContextManager[object]:
    """Convolutions in bfloat16 where that is quicker: on CUDA, and on a CPU that has instructions for it.

    What convolutions give stays narrow until it meets float32: a picture to which a net adds its work keeps its 8 bits.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device itself multiplies in bfloat16; where that is emulated, it takes longer than float32."""
    if device.type != "cpu":
        return device.type == "cuda"
    # Older versions of torch cannot tell.
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
