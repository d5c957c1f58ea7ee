"""Nets compute in bfloat16 only where the device has instructions for it."""

import pytest
import torch
from torch import nn

from models.compute.precision import has_bfloat16, narrow

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("able", "quick"),
    [({}, False), ({"avx512_bf16": False}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)],
)
def test_a_cpu_without_the_instructions_stays_with_float32(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], quick: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    pictures = torch.rand(1, 3, 16, 16)
    with torch.inference_mode(), narrow(CPU):
        seen = nn.Conv2d(3, 3, 3, padding=1)(pictures)
        assert seen.dtype == (torch.bfloat16 if quick else torch.float32)
        assert (pictures + seen).dtype == torch.float32
    assert has_bfloat16(CPU) == quick


def test_cuda_has_it_and_other_devices_do_not() -> None:
    assert has_bfloat16(torch.device("cuda"))
    assert not has_bfloat16(torch.device("meta"))
