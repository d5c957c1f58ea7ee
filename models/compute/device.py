"""Setting a thread up for computing."""

import os

import cv2
import torch


def prepare_compute_thread(device: str, *, threads: int, deterministic: bool = False) -> None:
    """Call once in the thread that computes. On CUDA it gets a stream of its own, so that copies and kernels of
    several threads overlap; on the CPU torch and OpenCV use so many threads. `deterministic` forbids kernels whose
    result depends on chance.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if deterministic:
        # cuBLAS reads it when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(torch.device(device))
        torch.cuda.set_stream(torch.cuda.Stream())  # type: ignore[no-untyped-call]
