"""A package's own constants put back into SwinIR as it was published: what a package is compared with.

The network of a package is written quite differently from ``sr_core.arch.swinir`` (see ``sr_core.coreml.network``). So
that a mistake in that rewriting cannot hide in the comparison, nothing of it is used here: every constant is unscaled,
tables of position biases are read back out of what was baked from them, and the original modules run with them, in
float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_core.arch.swinir import ResidualSwinBlock, SwinBlock, SwinIR, relative_position_index, shift_mask
from sr_core.coreml.compact import BIASES, MASK
from sr_core.coreml.interpret import Package
from sr_core.coreml.program import Operation
from sr_core.errors import PackageError
from sr_core.spec import SwinIRSpec

__all__ = ["Rewriting", "module_from_constants", "weights_deviation"]

SINGLE: Final = 1
"""Constants of a single value are settings of operations; what they do is seen when the package runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """What was done to the weights of a network on their way into a package.

    Attributes:
        spec: The shape of the network.
        rescale: What is written to the residual stream is multiplied by 2 to the power of minus this: in the weights
            of the first norm and in the biases that close a stage, and by an operation behind each branch of a block.
        folds_query_scale: Whether the weights of the queries are multiplied by ``head_dim**-0.5``.
    """

    spec: SwinIRSpec
    rescale: int
    folds_query_scale: bool


def module_from_constants(package: Package, rewriting: Rewriting) -> SwinIR:
    """Returns SwinIR, in float64 and for evaluation, with the weights that a package holds.

    Args:
        package: Its constants are called like the weights of SwinIR, with ``_`` for ``.``; further ones are ``mean``,
            ``mask`` and the ``attn_position_bias`` of each block, or one ``position_bias`` for all blocks.
        rewriting: What is to be undone.

    Raises:
        PackageError: A constant is missing, unknown or of another shape; the mask is not the one of a shift; or a
            position bias differs between pairs of tokens that lie the same way to each other.
    """
    module = SwinIR(rewriting.spec).double().eval().requires_grad_(False)
    constants = _Constants(values={name: value.astype(np.float64) for name, value in package.constants().items()})
    stream = 2.0**-rewriting.rescale
    module.mean.copy_(constants.take("mean", module.mean))
    for name, norm, factor in (("patch_norm", module.patch_norm, stream), ("norm", module.norm, 1.0)):
        norm.weight.copy_(constants.take(f"{name}_weight", norm.weight) / factor)
        norm.bias.copy_(constants.take(f"{name}_bias", norm.bias) / factor)
    _set_convolutions(constants, "conv_first", module.conv_first)
    _set_convolutions(constants, "conv_after_body", module.conv_after_body)
    _set_convolutions(constants, "reconstruction", module.reconstruction)
    last = _last_convolution(module)
    assert last.bias is not None  # noqa: S101  SwinIR has no layer without
    last.bias -= _mean_of_outputs(module)
    for name, stage in _stages(module):
        _set_convolutions(constants, f"{name}_conv", stage.conv, bias_factor=stream)
    blocks = list(_blocks(module))
    query_factor = _query_factor(package, rewriting, sum(block.attn is not None for _, block in blocks))
    for name, block in blocks:
        _set_block(constants, name, block, query_factor)
    _set_tables(constants, blocks)
    if any(block.attn is not None and block.shift for _, block in blocks):
        _check_mask(constants, package, rewriting.spec.window)
    constants.finish(package.program.name)
    _set_epsilons(package, module, stream)
    _set_slopes(package, module)
    return module


def weights_deviation(restored: SwinIR, own: SwinIR) -> float:
    """Returns how far two networks are apart: the largest difference of two weights, as a part of their tensor's peak.

    Args:
        restored: From :func:`module_from_constants`.
        own: The network that the package was made of, in canonical form (``sr_core.compress.fold``).
    """
    weights = _weights_with_mean(restored)
    pairs = [(value, weights[name]) for name, value in _weights_with_mean(own).items()]
    peaks = [max(float(value.abs().max()), float(other.abs().max())) for value, other in pairs]
    parts = [float((a - b).abs().max()) / peak for (a, b), peak in zip(pairs, peaks, strict=True) if peak]
    return max(parts, default=0.0)


def _weights_with_mean(module: SwinIR) -> dict[str, Tensor]:
    """Returns the weights, with the mean colour on the last bias, as a package rounds it: alone it may be tiny."""
    weights = {name: value.double() for name, value in module.state_dict().items()}
    name = f"reconstruction.{list(module.reconstruction).index(_last_convolution(module))}.bias"
    weights[name] = weights[name] + _mean_of_outputs(module)
    return weights


@dataclass(slots=True, kw_only=True)
class _Constants:
    """The constants of a package, each of which must be used."""

    values: dict[str, NDArray[np.float64]]
    used: set[str] = field(default_factory=set[str])

    def take(self, name: str, like: Tensor) -> Tensor:
        """Returns a constant in the shape of what it is for; axes of length 1 may be added or missing."""
        value = self.values.get(name)
        if value is None:
            raise PackageError(f"The package holds no constant {name}, which its network needs.")
        if [size for size in value.shape if size > 1] != [size for size in like.shape if size > 1]:
            raise PackageError(
                f"The constant {name} has the shape {value.shape}, which does not fit {tuple(like.shape)}."
            )
        self.used.add(name)
        return torch.from_numpy(value.reshape(like.shape))

    def finish(self, package: str) -> None:
        """Refuses constants that are no weight of the network."""
        further = sorted(name for name, value in self.values.items() if value.size > SINGLE and name not in self.used)
        if further:
            raise PackageError(f"{package} holds constants that its network does not have: {', '.join(further[:3])}.")


def _last_convolution(module: SwinIR) -> nn.Conv2d:
    return [layer for layer in module.reconstruction if isinstance(layer, nn.Conv2d)][-1]


def _mean_of_outputs(module: SwinIR) -> Tensor:
    """Returns the mean colour for each output of the last convolution: before a pixel shuffle a colour has several."""
    return module.mean.view(-1).repeat_interleave(_last_convolution(module).out_channels // module.spec.channels)


def _set_convolutions(constants: _Constants, name: str, module: nn.Module, bias_factor: float = 1.0) -> None:
    """Sets a convolution, or all of a sequence."""
    if isinstance(module, nn.Conv2d):
        assert module.bias is not None  # noqa: S101  SwinIR has no layer without
        module.weight.copy_(constants.take(f"{name}_weight", module.weight))
        module.bias.copy_(constants.take(f"{name}_bias", module.bias) / bias_factor)
    for place, part in module.named_children():
        _set_convolutions(constants, f"{name}_{place}", part, bias_factor)


def _query_factor(package: Package, rewriting: Rewriting, attentions: int) -> float:
    """Returns what the weights of the queries must be divided by.

    That is the scale of the queries where it is folded into them. Where it is not, an operation multiplies by it, with
    the scale as the package's arithmetic rounds it.
    """
    scale = rewriting.spec.head_dim**-0.5
    if rewriting.folds_query_scale or not attentions:
        return scale
    products = [operation for operation in package.program.operations if operation.type == "mul"]
    names = [one for product in products for several in product.inputs.values() for one in several]
    constants = package.constants()
    factors = [constants[name] for name in names if isinstance(name, str) and name in constants]
    near = [float(factor) for factor in factors if factor.size == SINGLE and _is_near(float(factor), scale)]
    if len(near) != attentions or len(set(near)) > 1:
        raise PackageError(f"{package.program.name} scales the queries of {len(near)} of its {attentions} attentions.")
    return scale / near[0]


def _set_block(constants: _Constants, name: str, block: SwinBlock, query_factor: float) -> None:
    """Sets a block; its norms stay without scale and shift, which stand in the weights behind them."""
    if block.attn is not None:
        attn, width = block.attn, block.attn.heads * block.attn.head_dim
        queries = torch.ones(3 * width, dtype=torch.float64)
        queries[:width] = query_factor
        _set_linear(constants, f"{name}_attn_qkv", attn.qkv, queries)
        _set_linear(constants, f"{name}_attn_proj", attn.proj, torch.ones(1))
    if block.mlp is not None:
        _set_linear(constants, f"{name}_mlp_fc1", block.mlp.fc1, torch.ones(1))
        _set_linear(constants, f"{name}_mlp_fc2", block.mlp.fc2, torch.ones(1))


def _set_linear(constants: _Constants, name: str, layer: nn.Linear, factors: Tensor) -> None:
    """Sets a linear layer whose outputs were multiplied by ``factors``."""
    layer.weight.copy_(constants.take(f"{name}_weight", layer.weight) / factors[:, None])
    layer.bias.copy_(constants.take(f"{name}_bias", layer.bias) / factors)


def _set_tables(constants: _Constants, blocks: list[tuple[str, SwinBlock]]) -> None:
    """Sets the position biases, from one constant for all blocks where there is one, or from one for each block."""
    attentions = [(name, block.attn) for name, block in blocks if block.attn is not None]
    if BIASES not in constants.values:
        for name, attn in attentions:
            table = _table_of(constants, f"{name}_attn_position_bias", attn.heads, attn.window)
            attn.relative_position_bias_table.copy_(table)
        return
    if not attentions:
        return
    side, heads = 2 * attentions[0][1].window - 1, [attn.heads for _, attn in attentions]
    together = constants.take(BIASES, torch.empty(sum(heads), side, side))
    for (_, attn), table in zip(attentions, together.split(heads), strict=True):
        attn.relative_position_bias_table.copy_(table.reshape(attn.heads, -1).T)


def _table_of(constants: _Constants, name: str, heads: int, window: int) -> Tensor:
    """Returns the table (offsets, heads) that a position bias for each pair of tokens was baked from."""
    n = window * window
    baked = constants.take(name, torch.empty(1, heads, n, n)).view(heads, n * n)
    index = relative_position_index(window).view(-1)
    table = torch.zeros((2 * window - 1) ** 2, heads, dtype=torch.float64)
    table[index] = baked.T
    if not torch.equal(table[index], baked.T):
        raise PackageError(f"The constant {name} differs between tokens that lie the same way to each other.")
    return table


def _check_mask(constants: _Constants, package: Package, window: int) -> None:
    """Refuses a mask that is not the one of a shift: of all windows, or of each kind of window once.

    Where a kind stands among the windows is done by operations, and seen when the package runs.
    """
    _, _, height, width = package.program.inputs[0][0].shape
    mask = shift_mask(height, width, window, window // 2)[:, None]  # (windows, 1, N, N)
    if BIASES in constants.values:
        mask = torch.unique(mask, dim=0)
        found = torch.unique(constants.take(MASK, mask), dim=0)
    else:
        found = constants.take(MASK, mask)
    if not torch.equal(found, mask.double()):
        raise PackageError("The constant mask does not keep apart just what a shift brings together.")


def _set_epsilons(package: Package, module: SwinIR, stream: float) -> None:
    """Sets what each norm adds to the variance: the first is of the shallow features, all others read the stream."""
    epsilons = [_setting(package, op, "epsilon") for op in package.program.operations if op.type == "layer_norm"]
    norms = [part for part in module.modules() if isinstance(part, nn.LayerNorm)]
    if len(epsilons) != len(norms) or len(set(epsilons[1:])) > 1:
        raise PackageError(
            f"{package.program.name} has {len(epsilons)} norms with {len(set(epsilons))} different epsilons, "
            f"but its network has {len(norms)}, of which only the first may differ."
        )
    for norm in norms:
        norm.eps = epsilons[-1] / stream**2
    module.patch_norm.eps = epsilons[0]


def _set_slopes(package: Package, module: SwinIR) -> None:
    """Sets what each leaky ReLU multiplies negative values by, as the package's arithmetic rounds it."""
    leaks = [part for part in module.modules() if isinstance(part, nn.LeakyReLU)]
    slopes = [_setting(package, op, "alpha") for op in package.program.operations if op.type == "leaky_relu"]
    if len(slopes) != len(leaks):
        raise PackageError(f"{package.program.name} has {len(slopes)} leaky ReLUs, but its network has {len(leaks)}.")
    for leak, slope in zip(leaks, slopes, strict=True):
        if not _is_near(slope, leak.negative_slope):
            raise PackageError(f"A leaky ReLU of {package.program.name} has the slope {slope}.")
        leak.negative_slope = slope


def _setting(package: Package, operation: Operation, key: str) -> float:
    """Returns a single number that an operation is given."""
    arguments = operation.inputs.get(key, ())
    if len(arguments) != 1:
        raise PackageError(f"The operation {operation.name} does not have one {key}.")
    [argument] = arguments
    value = package.constants().get(argument) if isinstance(argument, str) else argument.value
    if value is None or isinstance(value, str) or value.ndim:
        raise PackageError(f"The {key} of the operation {operation.name} is not a single number.")
    return float(value)


def _is_near(found: float, exact: float) -> bool:
    """Returns whether a number may be another one, rounded to float16."""
    return abs(found / exact - 1.0) < 2**-10


def _stages(module: SwinIR) -> Iterator[tuple[str, ResidualSwinBlock]]:
    for number, stage in enumerate(module.layers):
        yield f"layers_{number}", cast(ResidualSwinBlock, stage)


def _blocks(module: SwinIR) -> Iterator[tuple[str, SwinBlock]]:
    for name, stage in _stages(module):
        for number, block in enumerate(stage.residual_group.blocks):
            yield f"{name}_residual_group_blocks_{number}", cast(SwinBlock, block)
