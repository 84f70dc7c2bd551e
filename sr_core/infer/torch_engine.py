"""The reference engine: the network as it is written, in float32."""

import torch
from torch import Tensor

from sr_core.arch.swinir import SwinIR
from sr_core.infer.engine import Compute

__all__ = ["TorchEngine"]


class TorchEngine:
    """Runs a SwinIR module without changing anything about it; what other engines are compared with.

    Args:
        module: The network; it is put into evaluation mode.
    """

    def __init__(self, module: SwinIR) -> None:
        self._module = module.eval()

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return self._module.spec.scale

    @property
    def multiple(self) -> int:
        """The attention window."""
        return self._module.spec.window

    @property
    def compute(self) -> Compute:
        """Always float32."""
        return "float32"

    def run(self, tiles: Tensor) -> Tensor:
        """Maps float32 (B, 3, H, W) to float32 (B, 3, scale*H, scale*W), not clamped."""
        with torch.inference_mode():
            return self._module(tiles)
