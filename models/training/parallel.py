"""Several processes that learn together: which batches each takes, and how they agree. Needs torch.distributed only."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One of `workers` processes that learn together; it takes the batches `rank`, `rank + workers`, ...

    So `workers` processes see the batches that one would see, `workers` of them at a time. The process group must stand
    where there are several.
    """

    rank: int = 0
    workers: int = 1

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put in place of each tensor its mean over the workers; they travel as one."""
        if self.workers == 1 or not tensors:
            return
        together = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(together)
        together /= self.workers
        first = 0
        for tensor in tensors:
            tensor.copy_(together[first : first + tensor.numel()].view(tensor.shape))
            first += tensor.numel()

    def gather(self, values: Tensor) -> Tensor:
        """The values [K] of every worker, in their order: [workers, K]."""
        if self.workers == 1:
            return values[None]
        found = [torch.empty_like(values) for _ in range(self.workers)]
        distributed.all_gather(found, values)
        return torch.stack(found)


ALONE = Share()
