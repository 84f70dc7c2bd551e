"""From a spec to a network, with or without weights."""

from torch import nn

from sr_core.arch.swinir import SwinIR
from sr_core.spec import SwinIRSpec

__all__ = ["build", "parameter_count"]


def build(spec: SwinIRSpec) -> SwinIR:
    """Returns the network of a spec, with fresh random weights."""
    return SwinIR(spec)


def parameter_count(module: nn.Module) -> int:
    """Returns the number of learned values."""
    return sum(parameter.numel() for parameter in module.parameters())
