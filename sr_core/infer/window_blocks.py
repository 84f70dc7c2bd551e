"""The blocks of a SwinIR stage on windows that stay windows: weights folded once, intermediates in shared buffers.

Two forms of every branch: float32, and bfloat16 products beside a float32 residual stream. ``window_engine`` says what
is folded and why it is exact.
"""

import copy
import math
from dataclasses import dataclass
from typing import assert_never, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.arch.swinir import ResidualSwinBlock, SwinBlock
from sr_core.infer.engine import Compute
from sr_core.infer.windows import KINDS, Kind, Run, apart, token_order

__all__ = ["DTYPES", "Block", "Space", "Stage", "frozen", "prepare_stage"]

MASKED = -60.0
"""Added to the logits of pairs that were not neighbours. The published network adds -100, whose exponential is so small
a number that processors are slow with it, twenty times and more; to a sum of float32 both are nothing."""

GROUP_BYTES = 1_500_000
"""Most bytes of the logits that attention in float32 has at a time for each thread: they are to stay in the cache of
its core."""

WIDE_HEAD = 16
"""Channels of a head up to which attention is faster in float32, even where products in bfloat16 are fast."""

SOUND_SUMS = (1e-30, 1e35)
"""Sums of exponentials between these have lost nothing to the limits of float32."""

DTYPES: dict[Compute, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""The number format of the products and of the convolutions of the body."""


class Space:
    """Buffers of one run, by name; each grows to the largest size that is asked of it.

    Args:
        is_careful: Whether softmax subtracts the largest logit first, as textbooks say. Without, it saves a pass over
            the logits, and overflows where one of them is above 80; :meth:`is_sound` tells.
    """

    def __init__(self, *, is_careful: bool = False) -> None:
        self.is_careful = is_careful
        self._flat: dict[str, Tensor] = {}
        self._extremes: list[Tensor] = []

    def take(self, name: str, *shape: int) -> Tensor:
        """Returns a float32 tensor of a shape, with any content; the next call with this name reuses it."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.numel() < size:
            flat = self._flat[name] = torch.empty(size, dtype=torch.float32)
        return flat[:size].view(shape)

    def free(self) -> None:
        """Gives the buffers back."""
        self._flat.clear()

    def watch(self, sums: Tensor) -> None:
        """Notes the range of sums of exponentials."""
        self._extremes += torch.aminmax(sums)

    def is_sound(self) -> bool:
        """Returns whether all sums were numbers that float32 holds without loss."""
        if not self._extremes:
            return True
        least, most = SOUND_SUMS
        extremes = torch.stack(self._extremes)
        return bool(((extremes > least) & (extremes < most)).all())  # false for what is no number


@dataclass(frozen=True, slots=True)
class Attention32:
    """The attention branch of one block in float32, channels before tokens, keys before queries.

    Explicit products with tokens as the last axis, of a few windows at a time, so that the logits stay in the cache.
    With keys before queries, sums of softmax run over rows, and weights times values is a product without transposes.
    What is summed is divided by after that product, of which there is less.
    """

    heads: int
    eps: float
    qkv: Tensor  # (heads*3*head_dim, C): the queries, keys and values of a head stand together
    query_bias: Tensor  # (heads, head_dim, 1)
    proj: Tensor  # (heads*head_dim, C)
    proj_bias: Tensor  # (C,)
    tables: dict[Kind, Tensor]  # each (heads, N, N), keys before queries

    def __call__(self, x: Tensor, runs: tuple[Run, ...], space: Space) -> None:
        """Adds the branch to windows (n, N, C) in place."""
        group = max(GROUP_BYTES * torch.get_num_threads() // (4 * self.heads * x.shape[1] ** 2), 1)
        for run in runs:
            for part in x[run.start : run.stop].split(group):
                self._add(part, self.tables[run.kind], space)

    def _add(self, x: Tensor, table: Tensor, space: Space) -> None:
        n, tokens, c = x.shape
        heads, d = self.heads, self.proj.shape[0] // self.heads
        normed = F.layer_norm(x, (c,), eps=self.eps)
        qkv = space.take("qkv", n, heads * 3 * d, tokens)
        torch.bmm(self.qkv.expand(n, -1, -1), normed.transpose(1, 2), out=qkv)  # (n, heads*3*D, N)
        q, k, v = qkv.view(n * heads, 3, d, tokens).unbind(1)  # (n*heads, D, N)
        q.view(n, heads, d, tokens).add_(self.query_bias)
        logits = torch.bmm(k.transpose(1, 2), q, out=space.take("logits", n * heads, tokens, tokens))
        logits.view(n, heads, tokens, tokens).add_(table)
        if space.is_careful:
            logits.sub_(logits.amax(1, keepdim=True))
        weights = logits.exp_()
        sums = weights.sum(1)  # (n*heads, N), over keys
        space.watch(sums)
        mixed = torch.bmm(v, weights, out=space.take("mixed", n * heads, d, tokens)).div_(sums[:, None])
        mixed = mixed.view(n, heads * d, tokens).transpose(1, 2)  # (n, N, heads*D)
        x.baddbmm_(mixed, self.proj.expand(n, -1, -1)).add_(self.proj_bias)


@dataclass(frozen=True, slots=True)
class Attention16:
    """The attention branch of one block with bfloat16 products; logits and softmax stay in float32."""

    heads: int
    eps: float
    qkv: Tensor  # (3*heads*head_dim, C), bfloat16
    qkv_bias: Tensor  # (3*heads*head_dim,), bfloat16
    proj: Tensor  # (C, heads*head_dim), bfloat16
    proj_bias: Tensor  # (C,), float32
    tables: dict[Kind, Tensor]  # each (1, heads, N, N), float32

    def __call__(self, x: Tensor, runs: tuple[Run, ...], space: Space) -> None:  # noqa: ARG002
        """Adds the branch to windows (n, N, C) in place."""
        n, tokens, c = x.shape
        normed = F.layer_norm(x, (c,), eps=self.eps).bfloat16()
        qkv = F.linear(normed, self.qkv, self.qkv_bias).view(n, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (n, heads, N, D)
        parts = [
            F.scaled_dot_product_attention(
                q[run.start : run.stop],
                k[run.start : run.stop],
                v[run.start : run.stop],
                attn_mask=self.tables[run.kind],
                scale=1.0,
            )
            for run in runs
        ]
        mixed = parts[0] if len(parts) == 1 else torch.cat(parts)
        mixed = mixed.transpose(1, 2).reshape(n, tokens, -1)  # (n, N, heads*D)
        x.add_(F.linear(mixed, self.proj)).add_(self.proj_bias)


@dataclass(frozen=True, slots=True)
class Mlp32:
    """The MLP branch of one block in float32."""

    eps: float
    fc1: Tensor  # (C, hidden)
    fc1_bias: Tensor  # (hidden,)
    fc2: Tensor  # (hidden, C)
    fc2_bias: Tensor  # (C,)

    def __call__(self, x: Tensor, space: Space) -> None:
        """Adds the branch to windows (n, N, C) in place."""
        c, hidden = self.fc1.shape
        flat = x.view(-1, c)  # (n*N, C)
        normed = F.layer_norm(flat, (c,), eps=self.eps)
        inner = torch.addmm(self.fc1_bias, normed, self.fc1, out=space.take("hidden", len(flat), hidden))
        flat.addmm_(torch.ops.aten.gelu_(inner), self.fc2).add_(self.fc2_bias)


@dataclass(frozen=True, slots=True)
class Mlp16:
    """The MLP branch of one block with bfloat16 products."""

    eps: float
    fc1: Tensor  # (hidden, C), bfloat16
    fc1_bias: Tensor  # (hidden,), bfloat16
    fc2: Tensor  # (C, hidden), bfloat16
    fc2_bias: Tensor  # (C,), float32

    def __call__(self, x: Tensor, space: Space) -> None:  # noqa: ARG002
        """Adds the branch to windows (n, N, C) in place."""
        normed = F.layer_norm(x, x.shape[-1:], eps=self.eps).bfloat16()
        inner = torch.ops.aten.gelu_(F.linear(normed, self.fc1, self.fc1_bias))
        x.add_(F.linear(inner, self.fc2)).add_(self.fc2_bias)


@dataclass(frozen=True, slots=True)
class Block:
    """One Swin layer; a branch of no heads or no hidden units is None."""

    shifted: bool
    attention: Attention32 | Attention16 | None
    mlp: Mlp32 | Mlp16 | None


@dataclass(frozen=True, slots=True)
class Stage:
    """The blocks of one stage and the convolution that closes it."""

    blocks: tuple[Block, ...]
    conv: nn.Module


def prepare_stage(stage: ResidualSwinBlock, compute: Compute) -> Stage:
    """Returns a stage with copied and folded weights, ready to run in a number format."""
    blocks = [cast(SwinBlock, block) for block in stage.residual_group.blocks]
    return Stage(
        blocks=tuple(
            Block(
                shifted=block.shift > 0,
                attention=_prepare_attention(block, compute),
                mlp=_prepare_mlp(block, compute),
            )
            for block in blocks
        ),
        conv=frozen(stage.conv, DTYPES[compute]),
    )


def _prepare_attention(block: SwinBlock, compute: Compute) -> Attention32 | Attention16 | None:
    norm, attn = block.norm1, block.attn
    if norm is None or attn is None:
        return None
    heads, d = attn.heads, attn.head_dim
    weight, bias = _fold(norm, attn.qkv)  # (3*heads*D, C), (3*heads*D,)
    weight, bias = weight.view(3, heads, d, -1), bias.view(3, heads, d)
    query_scale = torch.tensor([d**-0.5, 1.0, 1.0], dtype=torch.float64)
    weight, bias = weight * query_scale.view(3, 1, 1, 1), bias * query_scale.view(3, 1, 1)
    proj = attn.proj.weight.double()  # (C, heads*D)
    proj_bias = attn.proj.bias.double() + proj @ bias[2].reshape(-1)
    order = token_order(attn.window)
    table = attn.bias().double()[:, order][:, :, order]  # (heads, N, N)
    kinds = KINDS if block.shift else KINDS[:1]
    tables: dict[Kind, Tensor] = {kind: (table + MASKED * apart(kind, attn.window)).float() for kind in kinds}
    match "float32" if d <= WIDE_HEAD else compute:
        case "float32":
            return Attention32(
                heads=heads,
                eps=norm.eps,
                qkv=weight.transpose(0, 1).reshape(heads * 3 * d, -1).float(),
                query_bias=bias[0].unsqueeze(-1).float(),
                proj=proj.t().contiguous().float(),
                proj_bias=proj_bias.float(),
                tables={kind: table.transpose(1, 2).contiguous() for kind, table in tables.items()},
            )
        case "bfloat16":
            bias[1:] = 0
            return Attention16(
                heads=heads,
                eps=norm.eps,
                qkv=weight.reshape(3 * heads * d, -1).bfloat16(),
                qkv_bias=bias.reshape(-1).bfloat16(),
                proj=proj.bfloat16(),
                proj_bias=proj_bias.float(),
                tables={kind: table[None] for kind, table in tables.items()},
            )
        case _:
            assert_never(compute)


def _prepare_mlp(block: SwinBlock, compute: Compute) -> Mlp32 | Mlp16 | None:
    norm, mlp = block.norm2, block.mlp
    if norm is None or mlp is None:
        return None
    weight, bias = _fold(norm, mlp.fc1)  # (hidden, C), (hidden,)
    fc2, fc2_bias = mlp.fc2.weight, mlp.fc2.bias.float().clone()
    match compute:
        case "float32":
            fc1, fc2 = weight.t().contiguous().float(), fc2.t().contiguous().float()
            return Mlp32(eps=norm.eps, fc1=fc1, fc1_bias=bias.float(), fc2=fc2, fc2_bias=fc2_bias)
        case "bfloat16":
            fc1, fc2 = weight.bfloat16(), fc2.bfloat16()
            return Mlp16(eps=norm.eps, fc1=fc1, fc1_bias=bias.bfloat16(), fc2=fc2, fc2_bias=fc2_bias)
        case _:
            assert_never(compute)


def _fold(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Returns weight and bias, in float64, of the affine of a norm followed by a linear layer."""
    weight = linear.weight.double()
    return weight * norm.weight.double(), linear.bias.double() + weight @ norm.bias.double()


def frozen(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Returns a copy for running only; on channels-last maps a convolution is fastest with weights in plain order."""
    module = copy.deepcopy(module).to(dtype=dtype).eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, nn.LeakyReLU):
            part.inplace = True
    return module
