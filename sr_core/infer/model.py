"""A network together with what is needed to use it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from sr_core.arch.build import build
from sr_core.arch.weights import read_header
from sr_core.errors import WeightsError
from sr_core.infer.engine import ComputeChoice, Engine
from sr_core.infer.tiles import Tiling
from sr_core.infer.window_engine import WindowEngine, resolve_compute

__all__ = ["LoadedModel", "open_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        id: The variant's id.
        engine: The network.
        tiling: How pictures are best cut up for it.
    """

    id: str
    engine: Engine
    tiling: Tiling


def open_model(path: Path, compute: ComputeChoice) -> LoadedModel:
    """Returns the network in a weight file that is not in the manifest, as the file describes itself.

    Args:
        path: A safetensors file of this project.
        compute: Number format of the matrix products.

    Raises:
        WeightsError: The file is missing or damaged, or its tensors do not fit the network that it names.
    """
    variant_id, spec = read_header(path)
    module = build(spec)
    try:
        module.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()}, strict=True)
    except RuntimeError as error:  # what torch raises for missing, unknown and misshapen tensors alike
        raise WeightsError(f"The weights in {path.name} do not fit the network that the file names.") from error
    if not all(torch.isfinite(tensor).all() for tensor in module.state_dict().values()):
        raise WeightsError(f"The weights in {path.name} are not all finite numbers.")
    return LoadedModel(id=variant_id, engine=WindowEngine(module, resolve_compute(compute)), tiling=Tiling())
