"""From a model id to a network that is ready to run."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from sr_core.arch.weights import load_weights, sha256_of
from sr_core.errors import WeightsError
from sr_core.infer.engine import ComputeChoice
from sr_core.infer.model import LoadedModel
from sr_core.infer.window_engine import WindowEngine, resolve_compute
from zoo.manifest import BUILTIN, Manifest, Release, load_manifest

__all__ = ["ModelCache", "load_model", "resolve", "weight_path"]


def weight_path(release: Release, folder: Path = BUILTIN) -> Path:
    """Returns the weight file of a release after checking its length and sha256.

    Raises:
        WeightsError: The file is missing, or is not the one the manifest lists.
    """
    path = folder / release.weights.path
    if not path.is_file():
        raise WeightsError(f"The weight file of {release.id} is missing; install the project again.")
    if path.stat().st_size != release.weights.bytes or sha256_of(path) != release.weights.sha256:
        raise WeightsError(f"The weight file of {release.id} is damaged: it is not the one the manifest lists.")
    return path


def load_model(release: Release, compute: ComputeChoice = "auto", folder: Path = BUILTIN) -> LoadedModel:
    """Returns the network of a release, prepared for this processor.

    Args:
        release: Which one.
        compute: Number format of the matrix products; ``auto`` takes bfloat16 where the processor has it.
        folder: Where the weight files are.

    Raises:
        WeightsError: The weight file is missing, damaged or belongs to another release.
    """
    module = load_weights(weight_path(release, folder), release.variant)
    return LoadedModel(
        id=release.id,
        engine=WindowEngine(module, resolve_compute(compute)),
        tiling=release.tiling.plain(),
    )


def resolve(model_id: str | None, compute: ComputeChoice = "auto") -> LoadedModel:
    """Returns the network of an id, or the default one.

    Raises:
        UnknownModelError: No release has this id.
        WeightsError: The weight file is missing, damaged or belongs to another release.
    """
    manifest = load_manifest()
    return load_model(manifest.default if model_id is None else manifest.release(model_id), compute)


class ModelCache:
    """Loaded models up to a number of bytes; the one that was not used for longest goes first. Safe between threads.

    Args:
        manifest: The releases that can be loaded.
        limit_bytes: Total length of the float32 weights kept; the newest model is kept even when it alone is longer.
        load: How a release becomes a model.
    """

    def __init__(
        self, manifest: Manifest, limit_bytes: int, load: Callable[[Release], LoadedModel] = load_model
    ) -> None:
        self._manifest, self._limit_bytes, self._load = manifest, limit_bytes, load
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model_id: str) -> LoadedModel:
        """Returns the model of an id, loading it when needed.

        Raises:
            UnknownModelError: No release has this id.
            WeightsError: The weight file is missing, damaged or belongs to another release.
        """
        release = self._manifest.release(model_id)
        with self._lock:
            if model_id not in self._models:
                self._models[model_id] = self._load(release)
            self._models.move_to_end(model_id)
            while len(self._models) > 1 and self.held_bytes > self._limit_bytes:
                self._models.popitem(last=False)
            return self._models[model_id]

    @property
    def held_bytes(self) -> int:
        """Length of the float32 weights of the models that are loaded; their attention tables come on top."""
        return sum(4 * self._manifest.release(model_id).parameters for model_id in self._models)
