"""The Swin layers of a network, and copies of a network."""

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinBlock, SwinIR

__all__ = ["copy_network", "stages_of"]


def stages_of(module: SwinIR) -> list[list[SwinBlock]]:
    """Returns the Swin layers of each stage, in the order in which they run."""
    groups = [stage.get_submodule("residual_group.blocks").children() for stage in module.layers]
    return [[block for block in group if isinstance(block, SwinBlock)] for group in groups]


def copy_network(module: SwinIR) -> SwinIR:
    """Returns a network with the same spec and weights, in float32 and in evaluation mode; they share nothing."""
    copied = build(module.spec)
    copied.load_state_dict(module.state_dict())
    return copied.eval()
