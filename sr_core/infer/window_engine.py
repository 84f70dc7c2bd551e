"""SwinIR on a CPU without moving pixels more than needed: the same network, rewritten for memory traffic.

What is different from ``sr_core.arch.swinir``, and exact up to the rounding of float32:

- windows stay windows through a whole stage, and a shift only regroups sub-blocks (see ``windows``);
- a mask exists only for the windows of the last row, the last column and the corner, added to their bias beforehand;
- the scale of the queries and both LayerNorm affines are folded into the products that follow; the bias of the keys
  is left out (it moves all logits of a query alike, which softmax ignores), that of the values is moved behind the
  projection (the weights of a query sum to one);
- blocks run over chunks of windows whose intermediates stay in the cache, in buffers that are allocated once a run.

In bfloat16 the products are computed in bfloat16; the residual stream, the norms, softmax and the first and last
convolutions stay in float32, and so does all of attention where its heads are narrow, because that is faster.
Softmax in float32 does not subtract the largest logit; the rare picture on which that overflows is run once more.
"""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import assert_never, cast

import torch
from torch import Tensor, nn

from sr_core.arch.swinir import ResidualSwinBlock, SwinIR
from sr_core.errors import OptionError
from sr_core.infer.engine import Compute, ComputeChoice
from sr_core.infer.window_blocks import DTYPES, Space, Stage, frozen, prepare_stage
from sr_core.infer.windows import Run, WindowPlan, plan_windows

__all__ = ["WindowEngine", "fast_compute", "resolve_compute"]

PLANS = 8
"""Sizes whose tables are kept."""


def fast_compute() -> Compute:
    """Returns the number format in which this CPU multiplies matrices fastest.

    That is ``bfloat16`` where the CPU has AMX tiles or AVX512-BF16, and ``float32`` elsewhere: a CPU without them
    emulates bfloat16 and is slower with it.
    """
    # torch 2.13 has no public question for this; an older or newer build without these answers counts as without.
    answers = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return "bfloat16" if any(answer is not None and answer() for answer in answers) else "float32"


def resolve_compute(choice: ComputeChoice) -> Compute:
    """Returns the number format for a setting: ``auto`` asks the CPU, the others stand for themselves."""
    match choice:
        case "auto":
            return fast_compute()
        case "float32" | "bfloat16":
            return choice
        case _:
            assert_never(choice)


class WindowEngine:
    """A SwinIR network that is ready to run; see ``sr_core.infer.engine.Engine``.

    The weights are copied and folded when the engine is made: later changes of the module do not reach it, and the
    module is not changed. Several threads may run one engine at a time.
    """

    def __init__(self, module: SwinIR, compute: Compute, chunk: int = 64) -> None:
        """Prepares the network.

        Args:
            module: The network, with its weights.
            compute: The number format of the matrix products.
            chunk: Windows that go through a block together, at least 1. Fewer cost calls, more leave the cache.

        Raises:
            OptionError: ``chunk`` is not positive.
        """
        if chunk < 1:
            raise OptionError(f"An engine works on at least 1 window at a time, not {chunk}.")
        self._spec, self._chunk = module.spec, chunk
        self._compute: Compute = compute
        self._plans: OrderedDict[tuple[int, int, int], WindowPlan] = OrderedDict()
        self._lock = Lock()
        with torch.inference_mode():
            self._mean = module.mean.detach().float().clone()
            self._first = frozen(module.conv_first, torch.float32)
            self._patch_norm = frozen(module.patch_norm, torch.float32)
            self._stages = tuple(prepare_stage(cast(ResidualSwinBlock, stage), compute) for stage in module.layers)
            self._norm = frozen(module.norm, torch.float32)
            self._after_body = frozen(module.conv_after_body, DTYPES[compute])
            self._reconstruction = frozen(module.reconstruction, torch.float32)

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return self._spec.scale

    @property
    def multiple(self) -> int:
        """Input height and width must be multiples of this."""
        return self._spec.window

    @property
    def compute(self) -> Compute:
        """The number format of the matrix products."""
        return self._compute

    def run(self, tiles: Tensor) -> Tensor:
        """Maps float32 RGB (B, channels, H, W) in [0, 1] to float32 (B, channels, scale*H, scale*W), not clamped.

        H and W are multiples of ``multiple``; the result does not require gradients.

        Raises:
            ValueError: The tiles have another shape (a bug of the caller).
        """
        b, channels, h, w = tiles.shape
        if channels != self._spec.channels or h % self.multiple or w % self.multiple or not b * h * w:
            raise ValueError(f"tiles of shape {tuple(tiles.shape)} do not fit {self._spec.channels} x {self.multiple}")
        with torch.inference_mode():
            space = Space()
            result = self._run(tiles, self._plan(b, h, w), space)
            if space.is_sound():
                return result
            return self._run(tiles, self._plan(b, h, w), Space(is_careful=True))

    def _run(self, tiles: Tensor, plan: WindowPlan, space: Space) -> Tensor:
        shallow = self._first((tiles.float() - self._mean).contiguous(memory_format=torch.channels_last))
        x = self._patch_norm(shallow.permute(0, 2, 3, 1))  # (B, H, W, C), contiguous
        for stage in self._stages:
            x = self._run_stage(stage, x, plan, space)
        deep = _convolve(self._after_body, self._norm(x).permute(0, 3, 1, 2))  # (B, C, H, W)
        features = shallow.add_(deep)
        del x, deep
        space.free()
        # One picture at a time: the maps of the large upsamplers are many times those of the body.
        pictures = [self._reconstruction(picture[None]) for picture in features]
        return torch.cat(pictures).add_(self._mean).contiguous()

    def _plan(self, batch: int, height: int, width: int) -> WindowPlan:
        key = (batch, height, width)
        with self._lock:
            plan = self._plans.pop(key, None) or plan_windows(batch, height, width, self._spec.window)
            self._plans[key] = plan  # the newest stands last
            while len(self._plans) > PLANS:
                self._plans.popitem(last=False)
        return plan

    def _run_stage(self, stage: Stage, x: Tensor, plan: WindowPlan, space: Space) -> Tensor:
        """Maps a map (B, H, W, C) to a map of the same shape; changes ``x``."""
        n, c = self._spec.window**2, self._spec.embed_dim
        piece, sub_block = self._spec.window // 2 * c, n // 4 * c
        tokens = x.view(-1, piece).index_select(0, plan.enter).view(-1, n, c)  # (B*windows, N, C)
        other = torch.empty_like(tokens)
        shifted = False
        for block in stage.blocks:
            regroup = None
            if block.attention is not None and block.shifted != shifted:
                shifted = block.shifted
                regroup = plan.to_shifted if shifted else plan.to_plain
                tokens, other = other, tokens
            for start, stop, runs in _chunks(plan.shifted if shifted else plan.plain, self._chunk):
                part = tokens[start:stop]  # (n, N, C)
                if regroup is not None:
                    source, rows = other.view(-1, sub_block), regroup[4 * start : 4 * stop]
                    torch.index_select(source, 0, rows, out=part.view(-1, sub_block))
                if block.attention is not None:
                    block.attention(part, runs, space)
                if block.mlp is not None:
                    block.mlp(part, space)
        if shifted:
            torch.index_select(tokens.view(-1, sub_block), 0, plan.to_plain, out=other.view(-1, sub_block))
            tokens, other = other, tokens
        y = torch.index_select(tokens.view(-1, piece), 0, plan.leave, out=other.view(-1, piece))
        return x.add_(_convolve(stage.conv, y.view(x.shape).permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Runs a convolution in the number format of its weights on a float32 map."""
    return conv(x.to(next(conv.parameters()).dtype))


def _chunks(runs: tuple[Run, ...], chunk: int) -> Iterator[tuple[int, int, tuple[Run, ...]]]:
    """Yields start, stop and the runs inside (counted from start) of every ``chunk`` windows."""
    for start in range(0, runs[-1].stop, chunk):
        stop = min(start + chunk, runs[-1].stop)
        inside = (Run(max(run.start, start) - start, min(run.stop, stop) - start, run.kind) for run in runs)
        yield start, stop, tuple(run for run in inside if run.stop > run.start)
