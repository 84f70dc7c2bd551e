"""How large the residual stream of a network gets, and by which power of two a package must make it smaller.

Float16 ends at 65504, and a norm squares what it reads. Where the stream stays within ``STREAM_LIMIT`` there is room
for both. The published SwinIR-M weights go far beyond.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sr_core.arch.swinir import ResidualSwinBlock, SwinBlock, SwinIR
from sr_core.errors import OptionError

__all__ = ["STREAM_LIMIT", "rescale_exponent", "stream_peak"]

STREAM_LIMIT: Final = 100.0
"""The largest magnitude of the stream in a float16 package: the square of a difference of two such values fits."""


def stream_peak(module: SwinIR, tiles: Tensor) -> float:
    """Returns the largest magnitude of the residual stream, wherever something is added to it.

    Args:
        module: The network.
        tiles: Pictures (n, channels, H, W) in [0, 1], n at least 1; real ones, since the stream depends on them.

    Raises:
        OptionError: There are no tiles, or the stream is not finite even in float32.
    """
    if not len(tiles):
        raise OptionError("The audit of a network needs at least one tile.")
    peak = torch.zeros(())
    handles = _watch(module, peak)
    try:
        with torch.inference_mode():
            for tile in tiles:
                module(tile[None])
    finally:
        for handle in handles:
            handle.remove()
    if not torch.isfinite(peak):
        raise OptionError("The residual stream of the network is not finite; its weights cannot be used.")
    return float(peak)


def rescale_exponent(module: SwinIR, tiles: Tensor) -> int:
    """Returns the smallest k of at least 0 for which the stream times 2**-k stays within ``STREAM_LIMIT``.

    Args:
        module: The network.
        tiles: Pictures (n, channels, H, W) in [0, 1], n at least 1; ten real tiles are enough.

    Raises:
        OptionError: There are no tiles, or the stream is not finite even in float32.
    """
    peak, exponent = stream_peak(module, tiles), 0
    while peak * 2.0**-exponent > STREAM_LIMIT:
        exponent += 1
    return exponent


def _watch(module: SwinIR, peak: Tensor) -> list[RemovableHandle]:
    """Lets every run of the network raise ``peak`` to the largest magnitude that its stream has, until removed."""

    def see(x: Tensor) -> None:
        torch.maximum(peak, x.abs().amax().float().cpu(), out=peak)

    def see_input(_: nn.Module, args: tuple[Any, ...]) -> None:
        see(args[0])

    def see_output(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        see(output)

    handles = [module.patch_norm.register_forward_hook(see_output)]
    for part in module.modules():
        if isinstance(part, SwinBlock | ResidualSwinBlock):
            handles.append(part.register_forward_hook(see_output))
        if isinstance(part, SwinBlock) and part.norm2 is not None:
            handles.append(part.norm2.register_forward_pre_hook(see_input))  # between attention and MLP
    return handles
