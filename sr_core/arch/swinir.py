"""SwinIR: image restoration with a Swin transformer, for any number of heads and hidden units per block.

Source: Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCV Workshops 2021 (arXiv:2108.10257);
window attention from Liu et al., "Swin Transformer", ICCV 2021 (arXiv:2103.14030), section 3.2.

The file reads from the smallest part to the whole network. Parameter names are those of the published
checkpoints wherever the tensors are the same. Deviations:
  - heads, head width and hidden units are free per block, and a branch with none of them does not exist;
  - index tables and shift masks are computed when a size is first seen, kept on the module, and never saved;
  - stochastic depth and dropout, which the published models do not use when they run, do not exist;
  - pictures of any size, down to a single pixel, are padded by repeated reflection.
"""

from collections.abc import Callable
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.arch.padding import align, reflect_indices
from sr_core.spec import ResiConnection, SwinIRSpec

__all__ = ["SwinIR", "partition", "relative_position_index", "shift_mask", "unpartition"]


def partition(x: Tensor, window: int) -> Tensor:
    """Cuts a map (B, H, W, C) into windows (B*windows, window*window, C); H and W are multiples of window."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.transpose(2, 3).reshape(-1, window * window, c)  # (B*windows, N, C)


def unpartition(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """Puts windows (B*windows, window*window, C) back into a map (B, H, W, C)."""
    c = windows.shape[-1]
    x = windows.view(-1, height // window, width // window, window, window, c)
    return x.transpose(2, 3).reshape(-1, height, width, c)  # (B, H, W, C)


def relative_position_index(window: int) -> Tensor:
    """Returns for each pair of tokens in a window the row of the bias table, as int64 (N, N).

    Source: Swin Transformer, section 3.2, "Relative position bias"; the row is
    ``(dy + window - 1) * (2 * window - 1) + (dx + window - 1)`` for query minus key.
    """
    axis = torch.arange(window)
    y, x = (grid.reshape(-1) for grid in torch.meshgrid(axis, axis, indexing="ij"))  # (N,)
    dy = y[:, None] - y[None, :] + window - 1  # (N, N)
    dx = x[:, None] - x[None, :] + window - 1
    return dy * (2 * window - 1) + dx


def shift_mask(height: int, width: int, window: int, shift: int) -> Tensor:
    """Returns what is added to the attention logits after a cyclic shift, as float32 (windows, N, N).

    0 where two tokens were neighbours before the shift, -100 where the shift brought them together.

    Source: Swin Transformer, section 3.2, "Efficient batch computation for shifted configuration".
    """

    def region(size: int) -> Tensor:
        place = torch.arange(size)
        return (place >= size - window).long() + (place >= size - shift).long()

    regions = region(height)[:, None] * 3 + region(width)[None, :]  # (H, W)
    regions = partition(regions[None, :, :, None], window).squeeze(-1)  # (windows, N)
    apart = regions[:, :, None] != regions[:, None, :]  # (windows, N, N)
    return apart.float() * -100.0


class WindowAttention(nn.Module):
    """Multi-head self-attention inside a window, with a learned bias for each relative position."""

    def __init__(self, dim: int, heads: int, head_dim: int, window: int) -> None:
        super().__init__()
        self.heads, self.head_dim, self.window = heads, head_dim, window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(dim, 3 * heads * head_dim)
        self.proj = nn.Linear(heads * head_dim, dim)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("index", relative_position_index(window).reshape(-1), persistent=False)
        self.index: Tensor

    def bias(self) -> Tensor:
        """Returns the position bias of each head and token pair, as (heads, N, N)."""
        n = self.window * self.window
        return self.relative_position_bias_table[self.index].view(n, n, self.heads).permute(2, 0, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Maps tokens (B*windows, N, C) to tokens of the same shape; mask is (windows, N, N) or None."""
        return self.proj(self.mix(x, mask))

    def mix(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Maps tokens (B*windows, N, C) to what the projection takes, (B*windows, N, heads*head_dim)."""
        b, n, _ = x.shape
        qkv = self.qkv(x).view(b, n, 3, self.heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B*windows, heads, N, head_dim)
        bias = self.bias()[None]  # (1, heads, N, N)
        if mask is not None:
            bias = bias + mask.repeat(b // len(mask), 1, 1)[:, None]  # (B*windows, heads, N, N)
        logits = (q * self.head_dim**-0.5) @ k.transpose(-2, -1) + bias  # (B*windows, heads, N, N)
        x = logits.softmax(-1) @ v  # (B*windows, heads, N, head_dim)
        return x.transpose(1, 2).reshape(b, n, self.heads * self.head_dim)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., C) to (..., C)."""
        return self.fc2(self.activate(x))

    def activate(self, x: Tensor) -> Tensor:
        """Maps (..., C) to what the hidden units give, (..., hidden)."""
        return F.gelu(self.fc1(x))


class SwinBlock(nn.Module):
    """One Swin transformer layer (STL): attention and MLP, each behind a LayerNorm and beside a shortcut.

    Source: SwinIR, section 3.2, equations 5 and 6.
    """

    def __init__(self, spec: SwinIRSpec, heads: int, hidden: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = spec.window, shift
        self.norm1 = nn.LayerNorm(spec.embed_dim) if heads else None
        self.attn = WindowAttention(spec.embed_dim, heads, spec.head_dim, spec.window) if heads else None
        self.norm2 = nn.LayerNorm(spec.embed_dim) if hidden else None
        self.mlp = Mlp(spec.embed_dim, hidden) if hidden else None

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps a map (B, H, W, C) to a map of the same shape; mask (windows, N, N) is for shifted blocks."""
        if self.attn is not None:
            x = x + self._in_windows(x, self.attn, mask)
        if self.norm2 is not None and self.mlp is not None:
            x = x + self.mlp(self.norm2(x))
        return x

    def mix(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps a map (B, H, W, C) to what the projection of its attention takes, (B, H, W, heads*head_dim)."""
        if self.attn is None:
            raise ValueError("a block without heads mixes nothing")
        return self._in_windows(x, self.attn.mix, mask)

    def activate(self, x: Tensor) -> Tensor:
        """Maps a map (B, H, W, C) to what its hidden units give, (B, H, W, hidden)."""
        if self.norm2 is None or self.mlp is None:
            raise ValueError("a block without hidden units activates nothing")
        return self.mlp.activate(self.norm2(x))

    def _in_windows(self, x: Tensor, run: Callable[[Tensor, Tensor | None], Tensor], mask: Tensor) -> Tensor:
        """Maps a map (B, H, W, C), normed and shifted, window by window to a map (B, H, W, K)."""
        if self.norm1 is None:
            raise ValueError("a block without heads has no norm before them")
        h, w = x.shape[1:3]
        y = self.norm1(x)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), (1, 2))
        y = run(partition(y, self.window), mask if self.shift else None)  # (B*windows, N, K)
        y = unpartition(y, self.window, h, w)  # (B, H, W, K)
        return y.roll((self.shift, self.shift), (1, 2)) if self.shift else y


class ResidualGroup(nn.Module):
    """The blocks of one stage, unshifted and shifted in turn."""

    def __init__(self, spec: SwinIRSpec, stage: int) -> None:
        super().__init__()
        sizes = zip(spec.heads[stage], spec.hidden[stage], strict=True)
        self.blocks = nn.ModuleList(
            SwinBlock(spec, heads, hidden, shift=spec.window // 2 if i % 2 else 0)
            for i, (heads, hidden) in enumerate(sizes)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps a map (B, H, W, C) to a map of the same shape."""
        for block in self.blocks:
            x = block(x, mask)
        return x


class ResidualSwinBlock(nn.Module):
    """A stage (RSTB): Swin layers and a convolution beside a shortcut. Source: SwinIR, section 3.2, equation 4."""

    def __init__(self, spec: SwinIRSpec, stage: int) -> None:
        super().__init__()
        self.residual_group = ResidualGroup(spec, stage)
        self.conv = closing_conv(spec.embed_dim, spec.resi_connection)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps a map (B, H, W, C) to a map of the same shape."""
        y = self.residual_group(x, mask).permute(0, 3, 1, 2)  # (B, C, H, W)
        return x + self.conv(y).permute(0, 2, 3, 1)  # (B, H, W, C)


class SwinIR(nn.Module):
    """The whole network: shallow features, stages of Swin blocks, reconstruction."""

    def __init__(self, spec: SwinIRSpec) -> None:
        super().__init__()
        self.spec = spec
        dim = spec.embed_dim
        self.conv_first = conv3x3(spec.channels, dim)
        self.patch_norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(ResidualSwinBlock(spec, stage) for stage in range(len(spec.depths)))
        self.norm = nn.LayerNorm(dim)
        self.conv_after_body = closing_conv(dim, spec.resi_connection)
        self.reconstruction = build_reconstruction(spec)
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1), persistent=False)
        self.mean: Tensor
        self._masks: dict[tuple[int, int, torch.device], Tensor] = {}
        self.apply(init_weights)

    def mask(self, height: int, width: int, device: torch.device) -> Tensor:
        """Returns the shift mask of a map's size, computed once per size; the last eight sizes are kept."""
        key = (height, width, device)
        if key not in self._masks:
            while len(self._masks) >= 8:
                self._masks.pop(next(iter(self._masks)))
            self._masks[key] = shift_mask(height, width, self.spec.window, self.spec.window // 2).to(device)
        return self._masks[key]

    def forward(self, x: Tensor) -> Tensor:
        """Maps pictures (B, channels, H, W) in [0, 1] to (B, channels, scale*H, scale*W); not clamped."""
        h, w = x.shape[-2:]
        x = pad(x, self.spec.window) - self.mean
        shallow = self.conv_first(x)  # (B, C, H, W)
        deep = self.body(shallow)  # (B, C, H, W)
        x = self.reconstruction(self.conv_after_body(deep) + shallow) + self.mean
        return x[..., : h * self.spec.scale, : w * self.spec.scale]

    def body(self, shallow: Tensor) -> Tensor:
        """Maps shallow features (B, C, H, W) to deep features of the same shape."""
        x = self.patch_norm(shallow.permute(0, 2, 3, 1))  # (B, H, W, C)
        mask = self.mask(x.shape[1], x.shape[2], x.device)  # (windows, N, N)
        for stage in self.layers:
            x = stage(x, mask)
        return self.norm(x).permute(0, 3, 1, 2)  # (B, C, H, W)


class Nearest(nn.Module):
    """Repeats every pixel twice along both axes."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C, 2*H, 2*W)."""
        return F.interpolate(x, scale_factor=2, mode="nearest")


def build_reconstruction(spec: SwinIRSpec) -> nn.Sequential:
    """Returns the layers from features (B, C, H, W) to a picture (B, channels, scale*H, scale*W).

    Source: SwinIR, section 3.1, "Image reconstruction"; layer by layer as in the published models.
    """
    dim, features, channels, scale = spec.embed_dim, spec.features, spec.channels, spec.scale
    steps = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[scale]
    layers: list[nn.Module] = []
    match spec.upsampler:
        case "pixelshuffledirect":
            layers += [conv3x3(dim, channels * scale * scale), nn.PixelShuffle(scale)]
        case "pixelshuffle":
            layers += [conv3x3(dim, features), nn.LeakyReLU(0.01)]
            for step in steps:
                layers += [conv3x3(features, features * step * step), nn.PixelShuffle(step)]
            layers += [conv3x3(features, channels)]
        case "nearest+conv":
            layers += [conv3x3(dim, features), nn.LeakyReLU(0.01)]
            for _ in steps:
                layers += [Nearest(), conv3x3(features, features), nn.LeakyReLU(0.2)]
            layers += [conv3x3(features, features), nn.LeakyReLU(0.2), conv3x3(features, channels)]
        case _:
            assert_never(spec.upsampler)
    return nn.Sequential(*layers)


def closing_conv(dim: int, kind: ResiConnection) -> nn.Module:
    """Returns the convolution that closes a stage: one 3x3, or a bottleneck of three with a quarter of the width."""
    match kind:
        case "1conv":
            return conv3x3(dim, dim)
        case "3conv":
            narrow = dim // 4
            return nn.Sequential(
                conv3x3(dim, narrow),
                nn.LeakyReLU(0.2),
                nn.Conv2d(narrow, narrow, 1),
                nn.LeakyReLU(0.2),
                conv3x3(narrow, dim),
            )
        case _:
            assert_never(kind)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """Returns a 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def pad(x: Tensor, multiple: int) -> Tensor:
    """Returns the picture (B, C, H, W) reflected to the right and below up to a multiple of ``multiple``."""
    for axis in (-2, -1):
        size = x.shape[axis]
        if size % multiple:
            index = torch.tensor(reflect_indices(size, align(size, multiple)), device=x.device)
            x = x.index_select(axis, index)
    return x


def init_weights(module: nn.Module) -> None:
    """Sets linear layers to a truncated normal of deviation 0.02 without bias, as the Swin Transformer does."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
