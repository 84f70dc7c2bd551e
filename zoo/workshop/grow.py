"""Starting points for training: interpolating, local, or grown from a shallower network."""

import torch
from torch import nn

from sr_core.arch.swinir import ResidualSwinBlock, SwinBlock, SwinIR
from sr_core.errors import OptionError

__all__ = ["grow_from", "start_as_interpolation", "start_local"]


def start_as_interpolation(module: SwinIR) -> None:
    """Sets a ``pixelshuffledirect`` network so that it begins as a bicubic enlargement plus a small correction.

    Three feature channels carry the colours unchanged past the body; the last convolution weighs their 3 x 3
    neighbours with the cubic kernel (a = -0.5) cut to three taps and normalized. The body's exit starts at a
    tenth of its usual size. Saves the first few hundred steps, in which the network would learn to interpolate.

    Raises:
        OptionError: The network has another upsampler.
    """
    spec = module.spec
    last = module.reconstruction[0]
    exit_conv = module.conv_after_body
    if (
        spec.upsampler != "pixelshuffledirect"
        or not isinstance(last, nn.Conv2d)
        or not isinstance(exit_conv, nn.Conv2d)
    ):
        raise OptionError("Only a pixelshuffledirect network with plain convolutions can start as an interpolation.")
    with torch.no_grad():
        for conv in (module.conv_first, last):
            nn.init.zeros_(_bias(conv))
        last.weight.mul_(0.1)
        exit_conv.weight.mul_(0.1)
        module.conv_first.weight[: spec.channels] = 0.0
        last.weight[:, : spec.channels] = 0.0
        exit_conv.weight[: spec.channels] = 0.0
        _bias(exit_conv)[: spec.channels] = 0.0
        for c in range(spec.channels):
            module.conv_first.weight[c, c, 1, 1] = 1.0
            for y in range(spec.scale):
                for x in range(spec.scale):
                    taps = torch.outer(_taps(y, spec.scale), _taps(x, spec.scale))
                    last.weight[(c * spec.scale + y) * spec.scale + x, c] = taps


def start_local(module: SwinIR) -> None:
    """Sets the attention so that each head begins by looking at one place: the token itself or a near neighbour.

    The usual start attends evenly to the whole window, which tells neighbours apart only after many steps. Linear
    layers get the deviation of their fan-in, where the usual 0.02 leaves a narrow network nearly linear.

    Source: positional initialization as in d'Ascoli et al., "ConViT", ICML 2021, section 3, as a bias
    ``-min(strength * |offset - centre|^2, 6)``.
    """
    edges = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))
    corners = ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 0), (0, 0))
    blocks = [block for block in module.modules() if isinstance(block, SwinBlock)]
    with torch.no_grad():
        for i, block in enumerate(blocks):
            if block.attn is not None:
                reach = block.window - 1
                axis = torch.arange(-reach, reach + 1.0)
                for head in range(block.attn.heads):
                    y, x = (edges, corners)[i // 2 % 2][head % 6]
                    distance = (axis[:, None] - y) ** 2 + (axis[None, :] - x) ** 2
                    strength = 0.1 if head % 6 == 5 else 1.5
                    away = (strength * distance).clamp(max=6.0)  # far places stay within reach of the gradient
                    block.attn.relative_position_bias_table[:, head] = -away.reshape(-1)
                nn.init.trunc_normal_(block.attn.qkv.weight, std=0.1)
                nn.init.trunc_normal_(block.attn.proj.weight, std=0.06)
            if block.mlp is not None:
                nn.init.trunc_normal_(block.mlp.fc1.weight, std=0.1)
                nn.init.trunc_normal_(block.mlp.fc2.weight, std=0.06)


def grow_from(module: SwinIR, shallow: SwinIR) -> None:
    """Copies a network into one with more blocks and stages, so that both compute the same.

    Each further block and each further stage starts as the identity: the layer that leads back into the residual
    stream is zero. Widths, heads and upsampler must be the same.

    Raises:
        OptionError: The networks differ in more than their depth.

    Source: function-preserving growth as in Chen, Goodfellow, Shlens, "Net2Net", ICLR 2016.
    """
    if module.conv_first.weight.shape != shallow.conv_first.weight.shape or len(module.layers) < len(shallow.layers):
        raise OptionError("A network can only grow from a shallower one of the same width.")
    with torch.no_grad():
        for name in ("conv_first", "patch_norm", "norm", "conv_after_body", "reconstruction"):
            getattr(module, name).load_state_dict(getattr(shallow, name).state_dict())
        for i, stage in enumerate(module.layers):
            assert isinstance(stage, ResidualSwinBlock)
            source = shallow.layers[i] if i < len(shallow.layers) else None
            known = len(source.residual_group.blocks) if isinstance(source, ResidualSwinBlock) else 0
            for j, block in enumerate(stage.residual_group.blocks):
                assert isinstance(block, SwinBlock)
                if isinstance(source, ResidualSwinBlock) and j < known:
                    block.load_state_dict(source.residual_group.blocks[j].state_dict())
                elif source is not None:
                    _silence(block)
            if isinstance(source, ResidualSwinBlock):
                stage.conv.load_state_dict(source.conv.state_dict())
            else:
                _silence_last(stage.conv)


def _silence_last(closing: nn.Module) -> None:
    last = closing[-1] if isinstance(closing, nn.Sequential) else closing
    for parameter in last.parameters():
        nn.init.zeros_(parameter)


def _silence(block: SwinBlock) -> None:
    for layer in (block.attn.proj if block.attn else None, block.mlp.fc2 if block.mlp else None):
        if layer is not None:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def _taps(phase: int, scale: int) -> torch.Tensor:
    """Returns the cubic weights of the three nearest pixels for one of ``scale`` output places in a pixel."""
    centre = (phase + 0.5) / scale - 0.5
    distance = (torch.arange(-1.0, 2.0) - centre).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros(())))
    return taps / taps.sum()


def _bias(conv: nn.Module) -> torch.Tensor:
    bias = conv.bias
    assert isinstance(bias, torch.Tensor)
    return bias
