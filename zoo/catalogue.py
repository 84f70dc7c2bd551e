"""From a model id to a network that is ready to run."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from sr_core.arch.weights import load_weights
from sr_core.infer.engine import ComputeChoice
from sr_core.infer.model import LoadedModel
from sr_core.infer.window_engine import WindowEngine, resolve_compute
from zoo.files import EmbeddedFiles, ModelFiles
from zoo.manifest import Manifest, load_manifest
from zoo.release import Release

__all__ = ["ModelCache", "load_model", "resolve"]


def load_model(release: Release, compute: ComputeChoice = "auto", files: ModelFiles | None = None) -> LoadedModel:
    """Returns the network of a release, prepared for this processor.

    Args:
        release: Which one.
        compute: Number format of the matrix products; ``auto`` takes bfloat16 where the processor has it.
        files: Where the weight files come from; None for those that come with the project.

    Raises:
        WeightsError: The weight file is missing, damaged or belongs to another release.
    """
    path = (files or EmbeddedFiles()).path_of(release.weights, release.id)
    module = load_weights(path, release.variant)
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

    While one model is loaded, which may mean a download, the others stay available.

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
        self._turns = {release.id: threading.Lock() for release in manifest.releases}

    def get(self, model_id: str) -> LoadedModel:
        """Returns the model of an id, loading it when needed.

        Raises:
            UnknownModelError: No release has this id.
            WeightsError: The weight file is missing, damaged or belongs to another release.
        """
        release = self._manifest.release(model_id)
        with self._turns[model_id]:
            model = self._held(model_id)
            return model or self._hold(self._load(release))

    def _held(self, model_id: str) -> LoadedModel | None:
        with self._lock:
            if model_id in self._models:
                self._models.move_to_end(model_id)
            return self._models.get(model_id)

    def _hold(self, model: LoadedModel) -> LoadedModel:
        with self._lock:
            self._models[model.id] = model
            while len(self._models) > 1 and self.held_bytes > self._limit_bytes:
                self._models.popitem(last=False)
        return model

    @property
    def held_bytes(self) -> int:
        """Length of the float32 weights of the models that are loaded; their attention tables come on top."""
        return sum(4 * self._manifest.release(model_id).parameters for model_id in self._models)
