"""SwinIR as a phone likes it: the same weights and the same function, written channel first for one tile size.

What is different from ``sr_core.arch.swinir``:

- maps are (1, C, H, W) throughout, linear layers are 1x1 convolutions, a LayerNorm is taken over the channel axis;
- every size is a plain number, fixed by the tile: nothing is padded, and no operation depends on a shape;
- a shift is slices and a concatenation, never a roll; position biases and the shift mask are constants, never a gather;
- no tensor has more than five axes;
- both norms of a block are folded into the products that follow (``sr_core.compress.fold``), the scale of the queries
  too unless the weights have one palette for queries, keys and values, and the mean colour that is put back on the
  output into the last convolution.

Every weight is a buffer with the name that it has in ``SwinIR``; only the baked constants have further names: ``mean``,
``mask`` and, in each block, ``attn.position_bias``. In a package a constant is called like its buffer, with ``_`` for
``.`` (:func:`constant_names`), so that what a package holds can be put back into this network and run here.

Overflow of float16: with ``rescale`` k, everything that is written to the residual stream is multiplied by 2**-k, and
the epsilon of every norm that reads the stream by 4**-k. A norm undoes a common factor, so the function is the same.
The weights of the blocks stay as they are, and what they give is multiplied: a step of an int8 weight divided by 64
would be a float16 with few bits left, which some hardware takes for zero.

Source: SwinIR (see ``sr_core.arch.swinir``); the layout follows Apple, "Deploying Transformers on the Apple Neural
Engine", 2022, principles 1 (data format) and 3 (memory copies).
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.arch.swinir import Nearest, ResidualSwinBlock, SwinBlock, SwinIR, WindowAttention, shift_mask
from sr_core.compress.fold import fold_norms
from sr_core.errors import OptionError, PackageError

__all__ = ["MAX_RESCALE", "WHITE", "ChannelFirstSwinIR", "Convolution", "constant_names", "load_constants"]

WHITE: Final = 255.0
"""The largest value of a picture that leaves the network."""

MAX_RESCALE: Final = 14
"""2**-14 is the smallest power of two that float16 holds with all its bits."""


class Convolution(nn.Module):
    """A convolution that keeps the size: 3x3 with zeros around the map, or 1x1.

    ``factor`` is what the weights of the original layer were multiplied by, one value or one for each output.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, factor: Tensor, bias_factor: Tensor) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        weight = weight[:, :, None, None] if weight.ndim == 2 else weight  # (outputs, inputs, k, k)
        assert layer.bias is not None  # noqa: S101  SwinIR has no layer without
        self.factor = factor.view(-1)
        self.padding = weight.shape[-1] // 2
        self.register_buffer("weight", weight * factor.view(-1, 1, 1, 1))
        self.register_buffer("bias", layer.bias.detach().float() * bias_factor)
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Maps (1, inputs, H, W) to (1, outputs, H, W)."""
        return F.conv2d(x, self.weight, self.bias, padding=self.padding)


class ChannelNorm(nn.Module):
    """A LayerNorm over the channel axis, with scale and shift."""

    def __init__(self, norm: nn.LayerNorm, factor: float, epsilon_factor: float) -> None:
        super().__init__()
        self.epsilon = norm.eps * epsilon_factor
        self.register_buffer("weight", norm.weight.detach().float().view(1, -1, 1, 1) * factor)
        self.register_buffer("bias", norm.bias.detach().float().view(1, -1, 1, 1) * factor)
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Maps (1, C, H, W) to the same shape."""
        return normalise(x, self.epsilon) * self.weight + self.bias


class Attention(nn.Module):
    """The attention branch of a block, with the norm before it (which has no scale and shift) and the shift."""

    def __init__(self, block: SwinBlock, attn: WindowAttention, network: "ChannelFirstSwinIR") -> None:
        super().__init__()
        self.tile, self.window, self.shift = network.tile, block.window, block.shift
        self.heads, self.head_dim = attn.heads, attn.head_dim
        self.epsilon = _epsilon(block.norm1, network)
        width, query_scale = attn.heads * attn.head_dim, attn.head_dim**-0.5
        rows = torch.tensor([query_scale] * width + [1.0] * 2 * width) if network.folds_query_scale else _one()
        self.query_scale = None if network.folds_query_scale else query_scale
        self.qkv = Convolution(attn.qkv, rows, rows)
        self.proj = Convolution(attn.proj, _one(), _one())
        self.register_buffer("position_bias", attn.bias().detach().float()[None].contiguous())
        self.position_bias: Tensor  # (1, heads, N, N)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Maps a map (1, C, H, W) to what the branch adds to it; mask is (windows, 1, N, N) or None."""
        tile, window, heads, width = self.tile, self.window, self.heads, self.heads * self.head_dim
        y = normalise(x, self.epsilon)
        if self.shift:
            y = rotate(y, self.shift, tile)
        y = to_windows(self.qkv(y), 3 * width, tile, window)  # (windows, 3*heads*head_dim, N)
        y = y.view((tile // window) ** 2, 3 * heads, self.head_dim, window * window)
        q, k, v = y.split(heads, 1)  # (windows, heads, head_dim, N)
        if self.query_scale is not None:
            q = q * self.query_scale
        logits = q.transpose(-1, -2) @ k + self.position_bias  # (windows, heads, N, N)
        if mask is not None:
            logits = logits + mask
        y = v @ logits.softmax(-1).transpose(-1, -2)  # (windows, heads, head_dim, N)
        y = from_windows(y, width, tile, window)  # (1, heads*head_dim, H, W)
        if self.shift:
            y = rotate(y, tile - self.shift, tile)
        return self.proj(y)  # (1, C, H, W)


class Mlp(nn.Module):
    """The MLP branch of a block, with the norm before it (which has no scale and shift)."""

    def __init__(self, block: SwinBlock, fc1: nn.Linear, fc2: nn.Linear, network: "ChannelFirstSwinIR") -> None:
        super().__init__()
        self.epsilon = _epsilon(block.norm2, network)
        self.fc1 = Convolution(fc1, _one(), _one())
        self.fc2 = Convolution(fc2, _one(), _one())

    def forward(self, x: Tensor) -> Tensor:
        """Maps a map (1, C, H, W) to what the branch adds to it."""
        return self.fc2(F.gelu(self.fc1(normalise(x, self.epsilon))))


class Block(nn.Module):
    """One Swin layer, of which either branch may be absent."""

    def __init__(self, block: SwinBlock, network: "ChannelFirstSwinIR") -> None:
        super().__init__()
        self.attn = None if block.attn is None else Attention(block, block.attn, network)
        self.mlp = None if block.mlp is None else Mlp(block, block.mlp.fc1, block.mlp.fc2, network)
        self.factor = 2.0**-network.rescale

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Maps a map (1, C, H, W) to the same shape; mask is (windows, 1, N, N) for shifted blocks."""
        if self.attn is not None:
            x = x + self._scaled(self.attn(x, mask if self.attn.shift else None))
        if self.mlp is not None:
            x = x + self._scaled(self.mlp(x))
        return x

    def _scaled(self, x: Tensor) -> Tensor:
        return x if self.factor == 1.0 else x * self.factor


class Group(nn.Module):
    """The blocks of a stage."""

    def __init__(self, blocks: nn.Module, network: "ChannelFirstSwinIR") -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(cast(SwinBlock, block), network) for block in blocks.children())

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Maps a map (1, C, H, W) to the same shape."""
        for block in self.blocks:
            x = block(x, mask)
        return x


class Stage(nn.Module):
    """Swin layers and a convolution beside a shortcut."""

    def __init__(self, stage: ResidualSwinBlock, network: "ChannelFirstSwinIR") -> None:
        super().__init__()
        self.residual_group = Group(stage.residual_group.blocks, network)
        self.conv = _rewrite(stage.conv, bias_factor=2.0**-network.rescale)  # homogeneous but for its biases

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Maps a map (1, C, H, W) to the same shape."""
        return x + self.conv(self.residual_group(x, mask))


class ChannelFirstSwinIR(nn.Module):
    """The whole network for tiles of one size; a copy, which later changes of the original do not reach.

    Attributes:
        spec: The shape of the network, that of the original.
        tile: Side of the square pictures that it takes, in pixels.
        rescale: The residual stream is multiplied by 2 to the power of minus this.
        folds_query_scale: Whether the scale of the queries stands in their weights.
    """

    def __init__(self, module: SwinIR, *, tile: int, rescale: int = 0, folds_query_scale: bool = True) -> None:
        """Rewrites a network.

        Args:
            module: The network; its norms are folded here when they are not yet.
            tile: Side of the square pictures, in pixels: a multiple of the window.
            rescale: From ``sr_core.coreml.audit.rescale_exponent``, from 0 to ``MAX_RESCALE``.
            folds_query_scale: False multiplies the queries when the network runs, and leaves their weights alone.

        Raises:
            OptionError: The tile is no multiple of the window, or the rescale is out of range.
        """
        super().__init__()
        self.spec, self.tile, self.rescale, self.folds_query_scale = module.spec, tile, rescale, folds_query_scale
        window = self.spec.window
        if tile < window or tile % window:
            raise OptionError(f"The tile of a package must be a multiple of the window of {window} pixels, not {tile}.")
        if not 0 <= rescale <= MAX_RESCALE:
            raise OptionError(f"The rescale of a package is a number from 0 to {MAX_RESCALE}, not {rescale}.")
        module = fold_norms(module)
        self.register_buffer("mean", module.mean.detach().float().clone())
        self.register_buffer("mask", shift_mask(tile, tile, window, window // 2)[:, None].contiguous())
        self.mean: Tensor  # (1, channels, 1, 1)
        self.mask: Tensor | None  # (windows, 1, N, N)
        self.conv_first = _rewrite(module.conv_first)
        self.patch_norm = ChannelNorm(module.patch_norm, factor=2.0**-rescale, epsilon_factor=1.0)
        self.layers = nn.ModuleList(Stage(cast(ResidualSwinBlock, stage), self) for stage in module.layers)
        self.norm = ChannelNorm(module.norm, factor=1.0, epsilon_factor=4.0**-rescale)
        self.conv_after_body = _rewrite(module.conv_after_body)
        self.reconstruction = nn.Sequential(*(_rewrite(layer) for layer in module.reconstruction))
        self._fold_mean()
        if not any(isinstance(part, Attention) and part.shift for part in self.modules()):
            self.mask = None

    def forward(self, x: Tensor) -> Tensor:
        """Maps a picture (1, channels, H, W) in 0..1 to (1, channels, scale*H, scale*W) in 0..255, clamped."""
        return self.enlarge(x).clamp(0.0, 1.0) * WHITE

    def enlarge(self, x: Tensor) -> Tensor:
        """Maps a picture (1, channels, H, W) in 0..1 to (1, channels, scale*H, scale*W) in 0..1, not clamped."""
        shallow = self.conv_first(x - self.mean)  # (1, C, H, W)
        y = self.patch_norm(shallow)
        for stage in self.layers:
            y = stage(y, self.mask)
        return self.reconstruction(self.conv_after_body(self.norm(y)) + shallow)

    def _fold_mean(self) -> None:
        """Adds the mean colour to the bias of the last convolution; before a pixel shuffle each colour has several."""
        last = [layer for layer in self.reconstruction if isinstance(layer, Convolution)][-1]
        last.bias += self.mean.view(-1).repeat_interleave(len(last.bias) // self.spec.channels)


def normalise(x: Tensor, epsilon: float) -> Tensor:
    """Returns a map (1, C, H, W) with mean 0 and variance 1 over its channels.

    Written out, because a LayerNorm of torch takes the last axis; the conversion recognises exactly this form.
    """
    centred = x - x.mean(1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(1, keepdim=True) + epsilon)


def rotate(x: Tensor, by: int, tile: int) -> Tensor:
    """Returns a map (1, C, tile, tile) moved cyclically up and left by 0 < ``by`` < tile pixels."""
    x = torch.cat([x.narrow(2, by, tile - by), x.narrow(2, 0, by)], 2)
    return torch.cat([x.narrow(3, by, tile - by), x.narrow(3, 0, by)], 3)


def to_windows(x: Tensor, channels: int, tile: int, window: int) -> Tensor:
    """Cuts a map (1, channels, tile, tile) into windows (windows, channels, N)."""
    side = tile // window
    x = x.view(channels, side, window, side, window).permute(1, 3, 0, 2, 4)  # (side, side, channels, window, window)
    return x.reshape(side * side, channels, window * window)


def from_windows(x: Tensor, channels: int, tile: int, window: int) -> Tensor:
    """Puts windows of ``channels`` x N values back into a map (1, channels, tile, tile)."""
    side = tile // window
    x = x.reshape(side, side, channels, window, window).permute(2, 0, 3, 1, 4)  # (channels, side, window, side, window)
    return x.reshape(1, channels, tile, tile)


def constant_names(network: ChannelFirstSwinIR) -> dict[str, str]:
    """Returns the name of each of the network's buffers by the name of its constant in a package."""
    names = {name.replace(".", "_"): name for name, _ in network.named_buffers()}
    assert len(names) == len(list(network.named_buffers()))  # noqa: S101  no two buffers differ only in "." and "_"
    return names


def load_constants(network: ChannelFirstSwinIR, constants: Mapping[str, NDArray[Any]]) -> None:
    """Puts a package's constants, as its weights stand in it after decompression, into the network.

    Args:
        network: Rewritten for the same tile, with the same rescale and the same way with the scale of the queries.
        constants: Arrays by the name of the constant in the package; names that are no weight are passed over.

    Raises:
        PackageError: A constant is missing or has another shape.
    """
    buffers = dict(network.named_buffers())
    for constant, name in constant_names(network).items():
        value = constants.get(constant)
        if value is None:
            raise PackageError(f"The package holds no constant {constant}, which the network needs.")
        if value.shape != tuple(buffers[name].shape):
            raise PackageError(
                f"The constant {constant} of the package has the shape {value.shape}, "
                f"but the network needs {tuple(buffers[name].shape)}."
            )
        buffers[name].copy_(torch.from_numpy(np.array(value, dtype=np.float32)))


def _one() -> Tensor:
    return torch.tensor(1.0)


def _epsilon(norm: nn.LayerNorm | None, network: ChannelFirstSwinIR) -> float:
    assert norm is not None  # noqa: S101  a branch always has its norm
    return norm.eps * 4.0**-network.rescale


def _rewrite(layer: nn.Module, bias_factor: float = 1.0) -> nn.Module:
    """Returns a layer of the original that is no part of a block, written with constants; recursive."""
    match layer:
        case nn.Conv2d():
            return Convolution(layer, _one(), torch.tensor(bias_factor))
        case nn.Sequential():
            return nn.Sequential(*(_rewrite(part, bias_factor) for part in layer))
        case nn.LeakyReLU() | nn.PixelShuffle() | Nearest():
            return layer
        case _:
            raise ValueError(f"no way to write {type(layer).__name__} is known")
