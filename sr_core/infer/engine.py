"""What upscaling needs of a network, whichever way it is computed."""

from typing import Literal, Protocol, TypeAlias

from torch import Tensor

__all__ = ["Compute", "ComputeChoice", "Engine"]

Compute: TypeAlias = Literal["float32", "bfloat16"]
"""The number format of the matrix products; the residual stream is float32 in both."""


ComputeChoice: TypeAlias = Literal["auto", "float32", "bfloat16"]
"""What a user asks for; ``auto`` leaves the number format to the processor."""


class Engine(Protocol):
    """A network that is ready to run.

    Attributes:
        scale: Output pixels per input pixel along each axis.
        multiple: Input height and width must be multiples of this (the attention window).
        compute: The number format of the matrix products.
    """

    @property
    def scale(self) -> int: ...

    @property
    def multiple(self) -> int: ...

    @property
    def compute(self) -> Compute: ...

    def run(self, tiles: Tensor) -> Tensor:
        """Maps float32 RGB (B, 3, H, W) in [0, 1] to float32 (B, 3, scale*H, scale*W), not clamped.

        H and W are multiples of ``multiple``; the result does not require gradients.
        """
        ...
