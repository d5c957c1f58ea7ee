"""What the GPUs do, by nvidia-smi where there is one."""

import shutil
import subprocess
from collections.abc import Mapping

_FIELDS = ("utilization.gpu", "memory.used", "power.draw")
_NAMES = ("util", "memory_mib", "power_w")
_TELLS_EVERY_S = 2


def parse_line(line: str) -> dict[str, float]:
    """Figures of one GPU from `index, utilization.gpu, memory.used, power.draw`; what it does not tell is left out.

    Utilisation in percent, memory in MiB, power in watts.
    """
    index, *values = (part.strip() for part in line.split(","))
    if not index.isdigit() or len(values) != len(_NAMES):
        return {}
    found = {}
    for name, value in zip(_NAMES, values, strict=True):
        try:
            found[f"gpu.{index}.{name}"] = float(value)
        except ValueError:
            # `[N/A]`, `[Not Supported]`
            continue
    return found


class GpuGauge:
    """Reads one line of nvidia-smi at a time: a line per GPU, all of them every two seconds."""

    every_s = 0.05

    def __init__(self) -> None:
        program = shutil.which("nvidia-smi")
        self._command = program and [
            program,
            f"--query-gpu=index,{','.join(_FIELDS)}",
            "--format=csv,noheader,nounits",
            # One program that goes on: starting it anew every time would cost more than what it tells.
            f"--loop={_TELLS_EVERY_S}",
        ]
        self._process: subprocess.Popen[str] | None = None

    @property
    def there(self) -> bool:
        """Whether there is an nvidia-smi."""
        return self._command is not None

    def look(self) -> Mapping[str, float]:
        """The next line; nothing where it has ended."""
        if self._process is None and self._command:
            self._process = subprocess.Popen(  # noqa: S603 - found on the PATH
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        if self._process is None or self._process.stdout is None:
            return {}
        return parse_line(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
