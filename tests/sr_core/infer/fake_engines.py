"""Engines whose answer is known without a network."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_core.infer.engine import Compute

__all__ = ["FakeEngine", "bilinear", "blurred", "convolved", "nearest"]


class FakeEngine:
    """Runs a function of (tiles, scale) and notes the shape of each batch, and its content if wanted."""

    def __init__(
        self, function: Callable[[Tensor, int], Tensor], scale: int = 2, multiple: int = 8, *, notes: bool = True
    ) -> None:
        self.function, self._scale, self._multiple, self._notes = function, scale, multiple, notes
        self.shapes: list[tuple[int, ...]] = []
        self.inputs: list[Tensor] = []

    @property
    def scale(self) -> int:
        return self._scale

    @property
    def multiple(self) -> int:
        return self._multiple

    @property
    def compute(self) -> Compute:
        return "float32"

    def run(self, tiles: Tensor) -> Tensor:
        assert tiles.dtype == torch.float32
        assert tiles.shape[1] == 3
        assert tiles.shape[2] % self._multiple == tiles.shape[3] % self._multiple == 0
        self.shapes.append(tuple(tiles.shape))
        if self._notes:
            self.inputs.append(tiles.clone())
        return self.function(tiles, self._scale)


def nearest(tiles: Tensor, scale: int) -> Tensor:
    """Sees one pixel."""
    return tiles.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def bilinear(tiles: Tensor, scale: int) -> Tensor:
    """Sees one pixel to each side."""
    return F.interpolate(tiles, scale_factor=scale, mode="bilinear", align_corners=False)


def blurred(tiles: Tensor, scale: int) -> Tensor:
    """Sees two pixels to each side, and dark beyond the tile: wrong near a tile's own border."""
    return nearest(F.avg_pool2d(tiles, 5, stride=1, padding=2), scale)


def convolved(tiles: Tensor, scale: int) -> Tensor:
    """Averages 3 x 3 pixels by a convolution that sees black beyond the tile, as those of SwinIR do."""
    return nearest(F.conv2d(tiles, torch.full((3, 1, 3, 3), 1 / 9), padding=1, groups=3), scale)
