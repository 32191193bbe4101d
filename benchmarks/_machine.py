"""What this machine can do at most, and how long a given amount of work takes it at least."""

import ctypes
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import torch
from _timing import fastest

from doatrack.features.constant_product import ConstantProduct

_STATUS = pathlib.Path("/proc/self/status")


@dataclasses.dataclass(frozen=True)
class Machine:
    """Measured peaks: floating-point operations and bytes per second, read and written."""

    flops: float
    bandwidth: float

    @classmethod
    def measured(cls, size: int = 1536, n_bytes: int = 1 << 27, repeats: int = 7) -> "Machine":
        """Return the fastest of torch's own product and the prepacked one, and of large copies."""
        a, b = torch.randn(size, size), torch.randn(size, size)
        packed, out = ConstantProduct(b), torch.empty(size, size)
        ways: tuple[Callable[[], Any], ...] = (lambda: torch.mm(a, b, out=out), lambda: packed(a))
        seconds = min(_elapsed(way, repeats) for way in ways)
        source = torch.zeros(n_bytes // 4)
        target = torch.zeros_like(source)
        return cls(2 * size**3 / seconds, 2 * n_bytes / _elapsed(lambda: target.copy_(source), repeats))

    def floor(self, flop: float, n_bytes: float) -> float:
        """Return the least seconds: what takes longer of the arithmetic and the memory."""
        return max(flop / self.flops, n_bytes / self.bandwidth)


def _elapsed(function: Callable[[], Any], repeats: int) -> float:
    function()
    return float(min(fastest(function, repeats)[1]))


def peak_memory(function: Callable[[], Any]) -> float | None:
    """Return how many bytes the process grows by at most while a function runs; None where nobody tells."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was used before would be used again unseen
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _kilobytes("VmRSS")
    except (OSError, AttributeError):
        return None
    function()
    return 1024.0 * max(0, _kilobytes("VmHWM") - before)


def _kilobytes(key: str) -> int:
    [line] = [line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{key}:")]
    return int(line.split()[1])
