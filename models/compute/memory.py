"""What to do when memory does not suffice, without importing torch where nobody else did."""

import sys


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory did not suffice: on the device, or for one array on the CPU."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # torch's CPU allocator has no error class of its own; OpenCV's code for it is -4.
    text = str(error)
    return "DefaultCPUAllocator: can't allocate memory" in text or "(-4:Insufficient memory)" in text


def release_memory() -> None:
    """Give back what torch keeps of the device's memory for later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
