"""A Core ML package as an engine: whole pictures as an app makes them, on any machine."""

import numpy as np
import torch
from torch import Tensor

from sr_core.coreml.interpret import Package, to_bytes
from sr_core.errors import OptionError, PackageError
from sr_core.infer.engine import Compute

__all__ = ["PackageEngine"]


class PackageEngine:
    """Runs a package tile by tile; see ``sr_core.infer.engine.Engine``.

    Every tile is rounded to 8 bits on its way in and on its way out, as it is on a phone, where images go in and come
    out. All tiles must have the side that the package takes: ``Tiling(tile=engine.tile, fixed=True)``.
    """

    def __init__(self, package: Package, window: int) -> None:
        """Prepares a package.

        Args:
            package: A package that maps one square image to one larger image.
            window: The attention window of the network in it, which tiles are aligned to.

        Raises:
            PackageError: The package maps something else.
            OptionError: The package's side is no multiple of the window.
        """
        [(source, _), *others], results = package.program.inputs, package.program.outputs
        _, _, height, width = source.shape if source.kind == "image" else (0, 0, 0, -1)
        if others or len(results) != 1 or height != width or results[0].kind != "image":
            raise PackageError(f"{package.program.name} does not map one square image to one image.")
        self._scale, rest = divmod(results[0].shape[2], height)
        if rest or self._scale < 1 or results[0].shape[2] != results[0].shape[3]:
            raise PackageError(f"{package.program.name} does not enlarge by a whole number.")
        if window < 1 or height % window:
            raise OptionError(f"Tiles of {height} pixels cannot be cut into windows of {window}.")
        self._package, self._window, self._tile = package, window, height

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return self._scale

    @property
    def multiple(self) -> int:
        """The attention window."""
        return self._window

    @property
    def tile(self) -> int:
        """The side of every tile."""
        return self._tile

    @property
    def compute(self) -> Compute:
        """Always float32: products are made in it, and only their results rounded as the package declares."""
        return "float32"

    def run(self, tiles: Tensor) -> Tensor:
        """Maps float32 RGB (B, 3, tile, tile) in [0, 1] to float32 (B, 3, scale*tile, scale*tile) in [0, 1].

        Raises:
            OptionError: The tiles are of another size.
            PackageError: The package gives values that are not finite.
        """
        if tiles.shape[1:] != (3, self._tile, self._tile):
            raise OptionError(
                f"The package takes tiles of {self._tile} pixels a side, not of {tuple(tiles.shape[2:])}."
            )
        images = to_bytes(tiles.permute(0, 2, 3, 1).numpy() * 255.0)  # (B, tile, tile, 3)
        results = np.stack([self._package.run(image) for image in images])  # (B, scale*tile, scale*tile, 3)
        if not np.isfinite(results).all():
            raise PackageError(f"{self._package.program.name} gave values that are not numbers for this photo.")
        return torch.from_numpy(to_bytes(results)).permute(0, 3, 1, 2).float() / 255.0
