"""A network together with what is needed to use it."""

from dataclasses import dataclass
from pathlib import Path

from sr_core.arch.weights import load_described
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
    variant_id, module = load_described(path)
    return LoadedModel(id=variant_id, engine=WindowEngine(module, resolve_compute(compute)), tiling=Tiling())
